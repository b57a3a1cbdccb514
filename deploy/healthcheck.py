"""For containers: status 0 when the server in this one is live, or as the first argument says: ready."""

import http.client
import os
import sys

TIMEOUT_S = 4


def main() -> None:
    path = f"/health/{sys.argv[1] if len(sys.argv) > 1 else 'live'}"
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("PORT", "8000")), timeout=TIMEOUT_S)
    connection.request("GET", path)
    answer = connection.getresponse()
    if answer.status != 200:
        raise SystemExit(f"{path}: {answer.status} {answer.read(1000).decode(errors='replace')}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, http.client.HTTPException) as error:
        raise SystemExit(f"no answer: {error}") from None
