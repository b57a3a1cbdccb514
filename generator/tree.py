"""A change of the project's files that is made as a whole or not at all.

What will be written is on the disk before the first file is replaced, and what was there stands beside it, under a
journal. A change that fails is rolled back; one whose process was killed is rolled back by the next that begins.
"""

import difflib
import fcntl
import json
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from app.cli.report import Fault

STAGE = ".app-change"
JOURNAL = "journal.json"


@contextmanager
def changing(root: Path) -> Generator["Change"]:
    """A change that no other process makes at the same time. What a killed one left is rolled back first.

    Raises:
        Fault: another is at it.
    """
    lock = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise Fault("busy", "another app command is changing the files; wait for it", exit_code=1) from None
    try:
        _clean(root)
        yield Change(root)
    finally:
        _clean(root)
        os.close(lock)


@dataclass
class Change:
    """Paths below the root, and the text that each will have; None is no file."""

    root: Path
    texts: dict[str, str | None] = field(default_factory=dict)

    def write(self, path: str, text: str) -> None:
        self.texts[path] = text

    def delete(self, path: str) -> None:
        self.texts[path] = None

    def current(self, path: str) -> str | None:
        """The text as this change leaves it so far."""
        if path in self.texts:
            return self.texts[path]
        file = self.root / path
        return file.read_text(encoding="utf-8") if file.exists() else None

    @property
    def plan(self) -> list[dict[str, Any]]:
        """What is done to which file, for people and programs to read."""
        return [self._step(path, text) for path, text in sorted(self.texts.items())]

    def _step(self, path: str, text: str | None) -> dict[str, Any]:
        file = self.root / path
        if text is None or not file.exists():
            return {"action": "delete" if text is None else "create", "path": path}
        lines = difflib.ndiff(file.read_text(encoding="utf-8").splitlines(), text.splitlines())
        return {"action": "change", "path": path, "lines": [line for line in lines if line.startswith(("+ ", "- "))]}

    def make(self) -> None:
        """Raises Fault when it cannot be made; nothing has changed then."""
        stage = self.root / STAGE
        try:
            stage.mkdir()
            self._stage(stage)
            self._replace(stage)
            (stage / JOURNAL).unlink()
        except OSError as error:
            why = f"{error.strerror}; nothing was changed"
            raise Fault("write", why, argument=str(error.filename or self.root), exit_code=1) from None

    def _stage(self, stage: Path) -> None:
        entries = []
        for number, (path, text) in enumerate(self.texts.items()):
            file = self.root / path
            if file.exists():
                shutil.copy2(file, stage / f"{number}.old")
                _sync(stage / f"{number}.old")
            if text is not None:
                _write(stage / f"{number}.new", text)
                if file.exists():
                    shutil.copymode(file, stage / f"{number}.new")
            folders = [parent.relative_to(self.root).as_posix() for parent in file.parents if not parent.exists()]
            entry = {"path": path, "number": number, "existed": file.exists(), "folders": folders}
            entries.append(entry | {"new": _digest(stage / f"{number}.new")})
        _write(stage / "writing", json.dumps(entries))
        _sync(stage)
        (stage / "writing").replace(stage / JOURNAL)

    def _replace(self, stage: Path) -> None:
        for number, (path, text) in enumerate(self.texts.items()):
            file = self.root / path
            if text is None:
                file.unlink()
                _remove_empty(file.parent, self.root)
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                (stage / f"{number}.new").replace(file)


def _clean(root: Path) -> None:
    """Take back what was begun and not finished, by this process or by one that was killed."""
    journal = root / STAGE / JOURNAL
    if journal.exists():
        for entry in json.loads(journal.read_text()):
            _restore(root, entry)
        journal.unlink()
    if (root / STAGE).exists():
        shutil.rmtree(root / STAGE)


def _restore(root: Path, entry: dict[str, Any]) -> None:
    """What was there, where the change has come; a file that somebody has edited since is left alone."""
    file = root / entry["path"]
    has_come = _digest(file) == entry["new"]
    if has_come and entry["existed"]:
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / STAGE / f"{entry['number']}.old", file)
    elif has_come:
        file.unlink()
    for folder in entry["folders"]:
        _remove_empty(root / folder, root)


def _digest(file: Path) -> str | None:
    return sha256(file.read_bytes()).hexdigest() if file.exists() else None


def _remove_empty(folder: Path, root: Path) -> None:
    """The folder, when nothing but bytecode is left in it."""
    if folder != root and folder.is_dir() and all(path.name == "__pycache__" for path in folder.iterdir()):
        shutil.rmtree(folder)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
    _sync(path)


def _sync(path: Path) -> None:
    """The file, or the folder's entries, are on the disk: after a power cut the journal speaks of what is there."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
