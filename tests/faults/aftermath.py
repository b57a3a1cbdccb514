"""After the faults: whether all that was acknowledged is there, read from the primary itself."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from deploy.cluster.cluster import Cluster
from tests.faults.ledger import WRONG_OWNER, Finding
from tests.faults.person import Person

ROWS = "SELECT coalesce(json_agg(row), '[]') FROM (SELECT id, user_id, title, description FROM example_items) row"
OPEN_JOBS = "SELECT count(*) FROM outbox WHERE state NOT IN ('done', 'dead') AND task LIKE '%send_key_made'"
JOBS_TIMEOUT_S = 360  # a job that the broker lost is sent again after five minutes


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


async def lost_jobs(cluster: Cluster, people: Sequence[Person], timeout_s: float = JOBS_TIMEOUT_S) -> list[str]:
    """The acknowledged API keys about which no mail was sent, when every job has been done or time is up."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            while await asyncio.to_thread(cluster.primary.sql, OPEN_JOBS) != "0":  # noqa: ASYNC110 - of other processes
                await asyncio.sleep(0.2)
    mails = await asyncio.to_thread(_mails, cluster.worker.folder / "mails")
    return [key for person in people for key in person.keys if key not in mails]


def _mails(folder: Path) -> str:
    return "".join(mail.read_text() for mail in folder.glob("*.eml"))
