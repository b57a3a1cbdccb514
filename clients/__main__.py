"""`make clients`: the Python client, and the TypeScript one where node is installed."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from clients import write_python, write_typescript

FOLDER = Path(__file__).parent


def main() -> None:
    document = _document()
    try:
        print(f"Python: {write_python.write(document)}", flush=True)
        print(f"TypeScript: {write_typescript.write(document)}")
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        # What it is, the tool has said itself.
        sys.exit(f"make clients: {shlex.join(map(str, error.cmd))} did not succeed")


def _document() -> dict[str, Any]:
    words = [sys.executable, "-m", "app.cli", "openapi"]
    run = subprocess.run(words, check=False, cwd=FOLDER.parent, stdout=subprocess.PIPE, text=True)
    if run.returncode:
        sys.exit(run.returncode)  # the command has said why
    return json.loads(run.stdout)


if __name__ == "__main__":
    main()
