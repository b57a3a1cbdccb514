"""`make cluster`: starts the whole, says what runs where, and ends it on Ctrl-C or SIGTERM."""

import os
import signal
import threading

from deploy.cluster import docker
from deploy.cluster.cluster import Cluster, cluster
from deploy.cluster.servers import NotStarted, scratch

MOST = 20
LAST_LINE = "Ctrl-C ends all of it."


def main() -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())  # a handler that prints can interrupt a print and raise
    try:
        if os.environ.get("DOCKER") != "no" and docker.works():
            run_containers(stop)
        else:
            run_installed(stop)
    except NotStarted as error:
        raise SystemExit(str(error)) from None


def run_containers(stop: threading.Event) -> None:
    print("Docker is here: starting the containers of docker-compose.yml ...", flush=True)
    with docker.containers(stop) as url:
        if not stop.is_set():
            print(f"\nGroundwork on {url}\n\n{what_to_try(url)}\n\n{LAST_LINE}", flush=True)
        stop.wait()
        print("\nEnding ...", flush=True)


def run_installed(stop: threading.Event) -> None:
    apps, replicas = _number("APPS", 3, 1), _number("REPLICAS", 2, 0)
    print("Starting what is installed, in a folder that goes when it ends ...", flush=True)
    with scratch() as folder, cluster(folder, apps, replicas, stop=stop) as running:
        if not stop.is_set():
            running.supervise()
            print(f"\nGroundwork on {running.url}\n\n{what_runs_where(running)}\n", flush=True)
            print(f"{what_to_try(running.url, running.parts['app-1'].pid)}\n\n{LAST_LINE}", flush=True)
        stop.wait()
        print("\nEnding ...", flush=True)


def _number(name: str, default: int, least: int) -> int:
    value = os.environ.get(name) or str(default)
    if not value.isdecimal() or not least <= int(value) <= MOST:
        raise NotStarted(
            f"{name}: {value} is not a number from {least} to {MOST}. Right: make cluster {name}={default}"
        )
    return int(value)


def what_runs_where(running: Cluster) -> str:
    parts = list(running.parts.values())
    names, addresses = max(len(part.name) for part in parts), max(len(part.url) for part in parts)
    rows = [("part", "address", "pid", "log"), *((part.name, part.url, part.pid, part.log) for part in parts)]
    return "\n".join(f"  {name:{names}}  {url:{addresses}}  {pid!s:>7}  {log}" for name, url, pid, log in rows)


def what_to_try(url: str, pid: int | None = None) -> str:
    json = "-H 'Content-Type: application/json'"
    body = '\'{"email": "you@example.com", "password": "correct horse"}\''
    lines = ["Try", *(f"  curl -X POST {url}/api/v1/auth/{what} {json} -d {body}" for what in ("register", "login"))]
    return "\n".join(
        [*lines, f"  kill -9 -{pid}   # an app and its worker; every part is started again"] if pid else lines
    )


if __name__ == "__main__":
    main()
