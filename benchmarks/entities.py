"""What twenty entities cost: adding each, the start, idle memory, and the suite that proves them."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.speed.start import ROOT, start

STEPS = (0, 10, 20)
FIELDS = ["title:str(200)", "notes:text?", "level:enum(low,high)=low", "price:decimal(10,2)=0", "due_at:datetime?^"]
SUITE = ["tests/conformance", "tests/integration", "tests/unit"]
STARTS = 5


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        words = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
        env = {name: value for name, value in os.environ.items() if not name.startswith(("TEST_", "DATABASE_URL"))}
        env |= {"PYTHONPATH": str(clone), "PYTHONDONTWRITEBYTECODE": ""}
        print("entities  adding one  first answer  memory  suite on SQLite")
        there = 0
        for step in STEPS:
            seconds = []
            while there < step:
                there += 1
                refers = [f"earlier:ref(Entity{there - 1})?"] if there > 1 else []
                began = time.perf_counter()
                command(["app", "add", f"Entity{there}", *FIELDS, *refers], clone, env)
                seconds.append(time.perf_counter() - began)
            adding = f"{statistics.median(seconds):6.2f} s" if seconds else "       -"
            start(folder, "app.main:app", clone)  # migrates, and writes the bytecode
            runs = [start(folder, "app.main:app", clone) for _ in range(STARTS)]
            first, memory = (statistics.median(run[what] for run in runs) for what in (0, 1))
            began = time.perf_counter()
            command(["pytest", "-n", "auto", "--dist", "worksteal", *SUITE], clone, env)
            suite = time.perf_counter() - began
            print(f"{step:8}  {adding:>10}  {first:10.2f} s  {memory:3.0f} MB  {suite:13.1f} s", flush=True)


def command(words: list[str], folder: Path, env: dict[str, str]) -> None:
    program = Path(sys.executable).with_name(words[0])
    run = subprocess.run([program, *words[1:]], check=False, cwd=folder, env=env, capture_output=True, text=True)
    if run.returncode:
        sys.exit(run.stdout + run.stderr)


if __name__ == "__main__":
    main()
