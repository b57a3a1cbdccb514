"""From the command to the first answer, and idle memory: Groundwork against the plain stack, in turn."""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from benchmarks.speed.servers import memory_mb
from tests.factories import SECRET

ROOT = Path(__file__).resolve().parents[2]
PAIRS = 9
TIMEOUT_S = 60
DATABASES = {"app.main:app": "sqlite:///./start.db", "benchmarks.plain:app": "sqlite+aiosqlite:///./start.db"}

COMMANDS = {
    "app.main:app": ("app.cli", "serve"),
    "benchmarks.plain:app": ("uvicorn", "benchmarks.plain:app", "--log-level", "warning"),
}


def start(folder: str, target: str, root: Path = ROOT) -> tuple[float, float]:
    """Seconds to the first answer, and MB of memory after it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    words = [sys.executable, "-m", *COMMANDS[target]]
    ports = {"PORT": str(port), "UVICORN_PORT": str(port)}
    env = os.environ | {"PYTHONPATH": str(root), "SECRET_KEY": SECRET, "DATABASE_URL": DATABASES[target]} | ports
    began = time.perf_counter()
    server = subprocess.Popen(words, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while time.perf_counter() - began < TIMEOUT_S:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=5).read()
            except OSError:
                time.sleep(0.002)
            else:
                seconds = time.perf_counter() - began
                return seconds, memory_mb(server.pid)
        raise TimeoutError(target)
    finally:
        server.terminate()
        server.wait()


def measure() -> dict[str, dict[str, list[float]]]:
    """Seconds and MB of each, as many as there are pairs."""
    ours, plain = DATABASES
    measured: dict[str, list[tuple[float, float]]] = {"groundwork": [], "plain": []}
    with tempfile.TemporaryDirectory() as folder:
        start(folder, ours)  # migrates, and writes the bytecode
        start(folder, plain)
        for _ in range(PAIRS):
            measured["groundwork"].append(start(folder, ours))
            measured["plain"].append(start(folder, plain))
    return {
        name: {"seconds": [one[0] for one in pairs], "memory_mb": [one[1] for one in pairs]}
        for name, pairs in measured.items()
    }


def main() -> None:
    measured = measure()
    for name, of in measured.items():
        seconds, memory = statistics.median(of["seconds"]), statistics.median(of["memory_mb"])
        print(f"{name:<12} {seconds:6.2f} s   {memory:5.0f} MB")
    pairs = zip(measured["groundwork"]["seconds"], measured["plain"]["seconds"], strict=True)
    print(f"ratio        {statistics.median(ours / plain for ours, plain in pairs):6.2f}")


if __name__ == "__main__":
    main()
