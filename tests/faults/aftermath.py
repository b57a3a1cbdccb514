"""After the faults: whether all that was acknowledged is there, read from the primary itself."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

from deploy.cluster.cluster import Cluster
from tests.faults.ledger import WRONG_OWNER, Finding
from tests.faults.person import Person

ROWS = "SELECT coalesce(json_agg(row), '[]') FROM (SELECT id, user_id, title, description FROM example_items) row"
OPEN_JOBS = "SELECT arguments->>'key_id' FROM outbox WHERE state NOT IN ('done', 'dead') AND task LIKE '%send_key_made'"


def wrong_rows(people: Sequence[Person], rows: Iterable[dict[str, Any]]) -> list[Finding]:
    """What is wrong with all the rows that there are."""
    by_owner: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_owner[row["user_id"]].append(row)
    found = [
        f for person in people for f in person.ledger.findings(by_owner.pop(person.ledger.user_id, []), all_rows=True)
    ]
    return found + [Finding(WRONG_OWNER, f"{len(some)} rows of user {user}") for user, some in by_owner.items()]


async def rows_of(cluster: Cluster) -> list[dict[str, Any]]:
    return json.loads(await asyncio.to_thread(cluster.primary.sql, ROWS))


async def jobs(cluster: Cluster, people: Sequence[Person], timeout_s: float) -> tuple[list[str], int]:
    """The acknowledged API keys about which no mail was sent and none will be; and how many are still to be sent.

    It waits until there are none of the latter, or time is up.
    """
    owed = await _open_jobs(cluster)
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            while owed:
                await asyncio.sleep(0.2)
                owed = await _open_jobs(cluster)
    sent = await asyncio.to_thread(_mails, cluster.worker.folder / "mails")
    keys = [pair for person in people for pair in person.keys.items()]
    return [prefix for key_id, prefix in keys if prefix not in sent and key_id not in owed], len(owed)


async def _open_jobs(cluster: Cluster) -> set[int]:
    """The ids of their keys."""
    return set(map(int, (await asyncio.to_thread(cluster.primary.sql, OPEN_JOBS)).split()))


def _mails(folder: Path) -> str:
    mails = (message_from_bytes(file.read_bytes(), policy=default) for file in folder.glob("*.eml"))
    return "".join(part.get_content() for mail in mails if (part := mail.get_body(("plain",))))
