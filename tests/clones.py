"""A clone of the project that a test may change: its commands, its files, what its own suite says."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import processes

# Runs commands one after the other in one process, which saves a second for each.
_RUN_ALL = """
import json, sys
from typer.testing import CliRunner
try:
    from app.cli.commands import cli
except ImportError:  # of a Groundwork that was
    from app.cli import cli
from app.cli.report import Fault
for words in json.load(sys.stdin):
    run = CliRunner().invoke(cli, [*words, "--json"])
    fault = run.exception if isinstance(run.exception, Fault) else None
    if run.exception and not fault and not isinstance(run.exception, SystemExit):
        raise run.exception
    answer = json.loads(run.stdout) if not fault else {"ok": False, "code": fault.code, "exit_code": fault.exit_code,
                                                       "line": f"{fault.argument}: {fault}"}
    print(json.dumps(answer))
"""


@dataclass
class Clone:
    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path, **variables: str) -> "Clone":
        processes.clone(folder)
        own = {"PYTHONPATH": str(folder), "DATABASE_URL": f"sqlite:///{folder}/app.db"} | variables
        return cls(folder, processes.environment(**own))

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        program = str(processes.BIN / words[0]) if (processes.BIN / words[0]).exists() else words[0]
        return subprocess.run(
            [program, *words[1:]],
            cwd=self.folder,
            env=self.env | variables,
            text=True,
            capture_output=True,
            timeout=600,
        )

    def ok(self, *words: str, **variables: str) -> str:
        """The output of a command that has to succeed."""
        run = self.run(*words, **variables)
        assert run.returncode == 0, f"{words}\n{run.stdout}\n{run.stderr}"
        return run.stdout

    def app(self, *words: str) -> dict[str, Any]:
        """The document of a command of `app` that has to succeed."""
        (answer,) = self.app_each([words])
        assert answer["ok"], answer
        return answer

    def app_each(self, commands: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
        """What each command answers, refused or not."""
        run = subprocess.run(
            [sys.executable, "-c", _RUN_ALL],
            cwd=self.folder,
            env=self.env,
            input=json.dumps([list(words) for words in commands]),
            text=True,
            capture_output=True,
            timeout=600,
        )
        assert run.returncode == 0, run.stderr
        return [json.loads(line) for line in run.stdout.splitlines()]

    def files(self) -> dict[str, bytes]:
        """Every file of the project and its bytes."""
        found = {}
        for path, folders, names in os.walk(self.folder):
            folders[:] = [
                name for name in folders if name not in (".git", ".venv", "__pycache__", ".ruff_cache", ".grimp_cache")
            ]
            for name in names:
                file = Path(path) / name
                if not name.startswith("app.db"):
                    found[file.relative_to(self.folder).as_posix()] = file.read_bytes()
        return found

    def suite(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """The clone's own tests; without coverage, which would have them twice as long."""
        unmeasured = {name: value for name, value in self.env.items() if not name.startswith("COVERAGE_")}
        return Clone(self.folder, unmeasured).run("pytest", *words, **variables)

    def check(self) -> None:
        """Format, lint and types."""
        self.ok("ruff", "format", "--check", "--no-cache", ".")
        self.ok("ruff", "check", "--no-cache", ".")
        self.ok("ty", "check")
