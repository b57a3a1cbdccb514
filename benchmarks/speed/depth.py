"""What a read costs as the table grows: GET of any item, the first page of a list and its last by cursor."""

import asyncio
import random
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from app.core.settings.database_url import async_url
from benchmarks.speed import load, report, servers
from deploy.cluster.servers import PostgreSQL

KINDS = {"get": "GET one", "list": "LIST 20", "page": "the last page"}
ITEMS_ASKED_FOR = 2000  # of all users together
GROW = """
    INSERT INTO example_items (user_id, title, is_completed, created_at, updated_at)
    SELECT n % :owners + 1, 'Item ' || n, false, now(), now() FROM generate_series(1, :items) AS n
"""


def owners(items: int) -> int:
    """Of how many users they are: a page of the smallest table is as long as one of the largest."""
    return min(servers.USERS, items // servers.ITEMS_EACH)


def measure(postgresql: PostgreSQL, folder: Path, most: int, seconds: int, rounds: int) -> dict[str, object]:
    sizes = sorted({1000, min(100_000, most), most})
    results: report.Results = {kind: {str(size): [] for size in sizes} for kind in KINDS}
    with ExitStack() as stack:
        each = {}
        for size in sizes:
            address = servers.database(postgresql, f"depth_{size}")
            lines = asyncio.run(_fill(address, size))
            served = stack.enter_context(servers.serving(address, folder, ["groundwork"]))["groundwork"]
            tokens = folder / f"tokens-{size}"
            tokens.write_text("".join(_lines(served.url, lines, size)))
            each[str(size)] = (served.url, tokens)
        for _ in range(rounds):
            for kind in KINDS:
                for name in random.sample(list(each), len(each)):
                    url, tokens = each[name]
                    measured = load.measure(url, kind, tokens, seconds)
                    results[kind][name].append(measured)
    return report.plain(results)


async def _fill(address: str, size: int) -> list[str]:
    settings = await asyncio.to_thread(servers.migrate, address)
    lines = await servers.fill(settings, items=0)
    engine = create_async_engine(async_url(address), isolation_level="AUTOCOMMIT")
    async with engine.connect() as db:
        await db.execute(text(GROW), {"items": size, "owners": owners(size)})
        await db.execute(text("VACUUM ANALYZE"))
    await engine.dispose()
    return [line.split()[0] for line in lines[: owners(size)]]


def _lines(url: str, tokens: list[str], size: int) -> list[str]:
    """A token, any item of its user's, and the address of the last page of its user's list."""
    users = len(tokens)
    pages = [_last_page(url, token, size // users) for token in tokens]
    lines = []
    for n in range(ITEMS_ASKED_FOR):
        user = n % users  # n % users + 1 is whose the nth item is
        nth = random.randrange(size // users) * users + user
        lines.append(f"{tokens[user]} {nth or users} {pages[user]}\n")
    return lines


def _last_page(url: str, token: str, items: int) -> str:
    """As its cursor gives it: 20 items; the page before it is found by `skip`, once."""
    with httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        before = client.get("/api/v1/items", params={"limit": 20, "skip": items - 40})
        address = urlsplit(before.links["next"]["url"])
        last = client.get(f"{address.path}?{address.query}")
        if last.status_code != 200 or len(last.json()) != 20:
            raise RuntimeError(f"the last page: {last.status_code} {last.text[:200]}")
    return f"{address.path}?{address.query}"
