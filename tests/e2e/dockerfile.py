"""The Dockerfile's first stage without an engine: what it copies, sets and runs, in a folder in the place of /srv."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from tests import processes
from tests.processes import ROOT


def uv() -> str | None:
    """The one that `make` uses."""
    own = ROOT / ".uv" / "bin" / "uv"
    return shutil.which("uv") or (str(own) if own.exists() else None)


def replay(folder: Path) -> None:
    """Build what the image has in /srv, with this Python; its `app` names the folder that it is in."""
    env = processes.environment(UV_PYTHON=sys.executable) | {"PATH": f"{Path(str(uv())).parent}:{os.environ['PATH']}"}
    for word, rest in _first_stage():
        if word == "ENV":
            env |= dict(pair.split("=", 1) for pair in shlex.split(rest))
        elif word == "COPY" and not rest.startswith("--from"):
            _copy(rest.split(), folder)
        elif word == "RUN":
            _run(re.sub(r"--mount=\S+ ", "", rest).replace("/srv", str(folder)), folder, env)


def _first_stage() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.partition(" ") for line in text.splitlines() if line]
    second = [number for number, (word, _, _) in enumerate(lines) if word == "FROM"][1]
    return [(word, rest) for word, _, rest in lines[1:second]]


def _copy(words: list[str], folder: Path) -> None:
    for name in words[:-1]:
        target = folder / (name if words[-1] != "./" else Path(name).name)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, target)


def _run(script: str, folder: Path, env: dict[str, str]) -> None:
    run = subprocess.run(["/bin/sh", "-c", script], cwd=folder, env=env, text=True, capture_output=True, timeout=280)
    assert run.returncode == 0, f"{script}\n{run.stdout}\n{run.stderr}"
