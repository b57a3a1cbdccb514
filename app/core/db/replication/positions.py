"""How far a database is: what its primary has written, and what of that a replica shows.

PostgreSQL counts the bytes of its log; MariaDB and MySQL number the transactions of each domain or server. A position
is the number of each; a replica has reached another's when it is as far in all of them.
"""

from collections.abc import Mapping

Position = Mapping[str, int]

# What the primary has made durable: no answer says less, and an idle replica gets as far (the insert position can lie
# behind a page's header, where nothing is to be replayed yet).
WRITTEN = {
    "postgresql": "SELECT pg_current_wal_flush_lsn()::text",
    "mysql": "SELECT /*M! @@gtid_binlog_pos *//*!80000 @@gtid_executed */",
}
# What a commit that has just returned lies before; with synchronous_commit=off it need not be durable yet.
COMMITTED = WRITTEN | {"postgresql": "SELECT pg_current_wal_insert_lsn()::text"}
# Whether it is a replica, and what it shows. One that was promoted writes for itself.
SHOWN = {
    "postgresql": "SELECT pg_is_in_recovery()::int, pg_last_wal_replay_lsn()::text",
    "mysql": "SELECT @@read_only, /*M! @@gtid_slave_pos *//*!80000 @@gtid_executed */",
}


def parse(text: str) -> Position:
    """`16/B374D848`; `0-1-270,1-2-5` (domain, server, number); `uuid:1-77,uuid:1-5:7-9`.

    Raises:
        ValueError: there is none: a primary that keeps no binary log, say. No replica may seem to have reached it.
    """
    if not text:
        raise ValueError("the server names no position")
    if "/" in text:
        high, low = text.split("/")
        return {"": (int(high, 16) << 32) + int(low, 16)}
    numbers = {}
    for part in text.replace("\n", "").split(","):
        if ":" in part:  # MySQL's sets: how far, not what is missing below
            source, _, ranges = part.strip().partition(":")
            numbers[source] = int(ranges.rpartition(":")[2].rpartition("-")[2])
        else:
            domain, _, number = part.strip().split("-")
            numbers[domain] = int(number)
    return numbers


def reached(shown: Position, wanted: Position) -> bool:
    return all(shown.get(source, -1) >= number for source, number in wanted.items())
