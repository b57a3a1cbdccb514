"""The migrations that are there: the files in alembic/versions, and what follows what."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FOLDER = "alembic/versions"

_IDENTIFIER = re.compile(r"^revision\b[^=]*= *[\"'](\w+)[\"']", re.MULTILINE)
_DOWN = re.compile(r"^down_revision\b[^=]*= *(.*)$", re.MULTILINE)
_TABLE = re.compile(r"\b(?:create_table|drop_table|batch_alter_table|add_column|drop_column)\(\s*[\"'](\w+)[\"']")


@dataclass(frozen=True)
class Revision:
    path: str
    text: str

    @property
    def id(self) -> str:
        match = _IDENTIFIER.search(self.text)
        return match[1] if match else ""

    @property
    def down(self) -> list[str]:
        match = _DOWN.search(self.text)
        return re.findall(r"[\"'](\w+)[\"']", match[1]) if match else []

    @property
    def tables(self) -> set[str]:
        return set(_TABLE.findall(self.text))

    def creates(self, table: str) -> bool:
        upgrade = self.text.partition("def downgrade")[0]
        return re.search(rf"create_table\(\s*[\"']{table}[\"']", upgrade) is not None

    def after(self, down: Sequence[str]) -> str:
        """Its text, following other revisions than it does."""
        return _DOWN.sub(lambda _: f"down_revision: str | Sequence[str] | None = {written(down)}", self.text, count=1)


@dataclass(frozen=True)
class History:
    root: Path

    @cached_property
    def revisions(self) -> list[Revision]:
        paths = sorted((self.root / FOLDER).glob("*.py"))
        return [Revision(path.relative_to(self.root).as_posix(), path.read_text(encoding="utf-8")) for path in paths]

    @property
    def heads(self) -> list[str]:
        followed = {down for revision in self.revisions for down in revision.down}
        return [revision.id for revision in self.revisions if revision.id not in followed]

    def about(self, table: str) -> list[Revision]:
        return [revision for revision in self.revisions if table in revision.tables]

    def up_to(self, ids: Iterable[str]) -> set[str]:
        """The revisions and all that they follow."""
        down = {revision.id: revision.down for revision in self.revisions}
        found: set[str] = set()
        waiting = list(ids)
        while waiting:
            found.add(revision := waiting.pop())
            waiting += down.get(revision, [])
        return found

    def without(self, gone: Sequence[Revision]) -> dict[str, str]:
        """The files that follow one of those, following what it followed."""
        down = {revision.id: revision.down for revision in gone}

        def kept(ids: Sequence[str]) -> list[str]:
            return [final for one in ids for final in (kept(down[one]) if one in down else [one])]

        left = [revision for revision in self.revisions if revision.id not in down]
        return {one.path: one.after(kept(one.down)) for one in left if set(one.down) & down.keys()}


def written(ids: Sequence[str]) -> str:
    """As a migration names what it follows."""
    quoted = [f'"{one}"' for one in ids]
    return f"({', '.join(quoted)})" if len(quoted) > 1 else "".join(quoted) or "None"
