"""What one user was promised: each row that was acknowledged, and what may have become of it since.

A write whose answer was 2xx is acknowledged, and has to be seen from then on. One that failed may have happened all the
same (the process died after the commit), and the row may then be either; until a later write is acknowledged.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

GONE = None  # the content of a row that is not there
Content = str | None

WRONG_OWNER, DOUBLED, NOT_AS_ACKNOWLEDGED = "wrong owner", "doubled", "not as acknowledged"


@dataclass(frozen=True)
class Finding:
    """What must not be."""

    kind: str
    detail: str


@dataclass
class Entry:
    """A row, whose title is nobody else's."""

    title: str
    id: int | None = None
    acknowledged: Content = GONE
    unknown: set[Content] = field(default_factory=set)
    """What writes since then would have made of it, whose outcome nobody heard."""
    etag: str | None = None
    may_change_late: bool = False
    """A write was given up that may still be under way: it could come after a newer one, which is nobody's fault."""

    def may_be(self, content: Content) -> bool:
        return content == self.acknowledged or content in self.unknown

    def acknowledge(self, content: Content) -> None:
        self.acknowledged = content
        self.unknown.clear()

    @property
    def is_there(self) -> bool:
        return self.acknowledged is not GONE


class Ledger:
    """Of one user."""

    def __init__(self, user_id: int) -> None:
        self.user_id = user_id
        self.entries: dict[str, Entry] = {}

    def entry(self, title: str) -> Entry:
        return self.entries.setdefault(title, Entry(title))

    def findings(self, rows: Sequence[Mapping[str, Any]], *, all_rows: bool) -> list[Finding]:
        """What is wrong with rows that the user was shown; `all_rows` when they should be everything the user has."""
        found = [finding for row in rows if (finding := self._finding(row))]
        titles = Counter(row["title"] for row in rows)
        found += [Finding(DOUBLED, f"{title} is there {count} times") for title, count in titles.items() if count > 1]
        if all_rows:
            missing = [e for e in self.entries.values() if e.title not in titles and not e.may_be(GONE)]
            found += [Finding(NOT_AS_ACKNOWLEDGED, f"{e.title} is gone, was {e.acknowledged!r}") for e in missing]
        return found

    def _finding(self, row: Mapping[str, Any]) -> Finding | None:
        title, content = row["title"], row["description"]
        entry = self.entries.get(title)
        if row["user_id"] != self.user_id or entry is None:
            return Finding(WRONG_OWNER, f"user {self.user_id} was shown {title} of user {row['user_id']}")
        if not entry.may_be(content):
            words = f"{title} is {content!r}, was acknowledged as {entry.acknowledged!r}"
            return Finding(NOT_AS_ACKNOWLEDGED, f"{words} (unknown: {sorted(map(repr, entry.unknown))})")
        if entry.id is not None and row["id"] != entry.id:
            return Finding(DOUBLED, f"{title} has the ids {entry.id} and {row['id']}")
        return None
