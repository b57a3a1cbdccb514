"""`make cluster`: starts the whole, says what runs where, and ends it on Ctrl-C or SIGTERM."""

import os
import signal
import sys
import threading
from types import FrameType

from deploy.cluster.cluster import Cluster, cluster
from deploy.cluster.processes import descendants, kill_all
from deploy.cluster.servers import NotStarted, scratch

MOST = 20


def main() -> None:
    signal.signal(signal.SIGINT, _end)
    signal.signal(signal.SIGTERM, _end)
    try:
        apps, replicas = _number("APPS", 3, 1), _number("REPLICAS", 2, 0)
        print("Starting the installed servers, in a folder that goes when they end ...", flush=True)
        with scratch() as folder, cluster(folder, apps, replicas) as running:
            running.supervise()
            print(overview(running), flush=True)
            threading.Event().wait()
    except NotStarted as error:
        raise SystemExit(str(error)) from None
    finally:
        for pid in descendants(os.getpid()):  # whatever a signal has met at the moment of its start
            kill_all(pid)


def _end(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # once is enough: what is being ended is ended in peace
        signal.signal(number, signal.SIG_IGN)
    print("\nEnding ...", flush=True)
    sys.exit(0)


def _number(name: str, default: int, least: int) -> int:
    value = os.environ.get(name) or str(default)
    if not value.isdecimal() or not least <= int(value) <= MOST:
        raise NotStarted(
            f"{name}: {value} is not a number from {least} to {MOST}. Right: make cluster {name}={default}"
        )
    return int(value)


def overview(running: Cluster) -> str:
    """What runs where, and what to try."""
    parts = list(running.parts.values())
    names, addresses = max(len(part.name) for part in parts), max(len(part.url) for part in parts)
    rows = [f"  {part.name:{names}}  {part.url:{addresses}}  {part.pid:>7}  {part.log}" for part in parts]
    json = "-H 'Content-Type: application/json'"
    body = '\'{"email": "you@example.com", "password": "correct horse"}\''
    return "\n".join(
        [
            f"\nGroundwork on {running.url}\n",
            f"  {'part':{names}}  {'address':{addresses}}  {'pid':>7}  log",
            *rows,
            "\nTry",
            f"  curl -X POST {running.url}/api/v1/auth/register {json} -d {body}",
            f"  curl -X POST {running.url}/api/v1/auth/login {json} -d {body}",
            f"  kill -9 {running.parts['app-1'].pid}   # it is started again, as is every part",
            "\nCtrl-C ends all of it.",
        ]
    )


if __name__ == "__main__":
    main()
