"""From the command to the first answer, and idle memory: Groundwork against benchmarks/bare.py, in turn."""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAIRS = 7
TIMEOUT_S = 60


def start(folder: str, target: str, root: Path = ROOT) -> tuple[float, float]:
    """Seconds to the first answer, and MB of resident memory after it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    words = [sys.executable, "-m", "uvicorn", target, "--port", str(port), "--log-level", "warning"]
    path = os.pathsep.join((str(root), str(ROOT / "benchmarks")))
    began = time.perf_counter()
    server = subprocess.Popen(words, cwd=folder, env=os.environ | {"PYTHONPATH": path}, stderr=subprocess.DEVNULL)
    try:
        while time.perf_counter() - began < TIMEOUT_S:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=5).read()
            except OSError:
                time.sleep(0.005)
            else:
                seconds = time.perf_counter() - began
                status = Path(f"/proc/{server.pid}/status").read_text()
                return seconds, int(status.partition("VmRSS:")[2].split()[0]) / 1024
        raise TimeoutError(target)
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        start(folder, "app.main:app")  # migrates, and writes the bytecode
        start(folder, "bare:app")
        pairs = [(start(folder, "app.main:app"), start(folder, "bare:app")) for _ in range(PAIRS)]
    for name, of in (("groundwork", 0), ("bare", 1)):
        seconds, memory = (statistics.median(pair[of][what] for pair in pairs) for what in (0, 1))
        print(f"{name:<12} {seconds:6.2f} s   {memory:5.0f} MB")
    print(f"ratio        {statistics.median(ours[0] / bare[0] for ours, bare in pairs):6.2f}")


if __name__ == "__main__":
    main()
