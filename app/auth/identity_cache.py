"""Who is signed in, remembered by the process for IDENTITY_CACHE_SECONDS and no longer.

What this process commits about an account, a session or a key is forgotten before it is answered. Another's change is
seen when the seconds are over: they are counted from before the question, and no message is waited for.
"""

import time
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

from app.core.cache import make_room
from app.core.db.changes import Change, Kind

MAX_REMEMBERED = 10_000  # about 10 MB; then the oldest go
TABLES = {"users", "auth_sessions", "api_keys", None}


class _Entry(NamedTuple):
    identity: Any
    until: float  # seconds of the monotonic clock
    expires_at: datetime | None  # of the token, the session or the key, whichever is first


class IdentityCache:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._entries: dict[bytes, _Entry] = {}
        self._generation = 0

    def find(self, token: str, now: datetime) -> Any | None:
        """Whoever the token was found to be of, a moment ago."""
        entry = self._entries.get(sha256(token.encode()).digest())  # a dump of the memory shows no token
        if entry is None or time.monotonic() >= entry.until:
            return None
        return None if entry.expires_at is not None and now >= entry.expires_at else entry.identity

    def begin(self) -> "Lookup":
        """To be called before the database is asked: what it says may be old by the time that it is heard."""
        return Lookup(self, self._generation, time.monotonic() + self._seconds)

    def keep(self, token: str, lookup: "Lookup", identity: Any, expires_at: datetime | None) -> None:
        if lookup.generation != self._generation or not self._seconds:
            return  # something was changed meanwhile
        key = sha256(token.encode()).digest()
        self._entries.pop(key, None)
        make_room(self._entries, MAX_REMEMBERED)
        self._entries[key] = _Entry(identity, lookup.until, expires_at)

    @staticmethod
    def concerns(kind: Kind, table: str | None) -> bool:
        return table in TABLES and kind != "insert"

    async def on_change(self, changes: set[Change]) -> None:
        """Invalidate the identities of the changed accounts. A new session invalidates none: else a flood of sign-ins
        would send every request to the database."""
        owners = {change.owner for change in changes}
        self._generation += 1
        if None in owners:
            self._entries.clear()
        else:
            kept = {key: entry for key, entry in self._entries.items() if entry.identity.id not in owners}
            self._entries = kept

    def __len__(self) -> int:
        return len(self._entries)


class Lookup(NamedTuple):
    cache: IdentityCache
    generation: int
    until: float

    def keep(self, token: str, identity: Any, expires_at: datetime | None) -> None:
        self.cache.keep(token, self, identity, expires_at)
