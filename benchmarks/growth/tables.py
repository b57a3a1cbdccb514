"""Sizes and times of `example_items`, as the migrations make it and as the endpoints read it, whole and partitioned."""

import asyncio
import os
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from app.core.config import Settings
from app.core.db.migrations import upgrade
from app.core.settings.database_url import async_url
from deploy.cluster.processes import descendants
from tests import factories, processes

PARTITIONS = 16
ITEMS_PER_USER = 1000
TRIES = 300
REQUESTS = 1000

# A title of 24 and a description of 120 characters.
FILL = """
    INSERT INTO {table} (id, user_id, title, description, is_completed, created_at, updated_at)
    SELECT n, 1 + (n - 1) / :each, 'Item number ' || lpad(n::text, 12, '0'), repeat('words ', 20), n % 3 = 0,
           now(), now()
    FROM generate_series(1, :rows) AS n
"""
USERS = """
    INSERT INTO users (id, email, hashed_password, is_active, is_superuser, created_at)
    SELECT n, 'row' || n || '@example.com', repeat('x', 60), true, false, now() FROM generate_series(1, :users) AS n
"""
PARTITIONED = """
    CREATE TABLE items_by_user (LIKE example_items INCLUDING DEFAULTS) PARTITION BY HASH (user_id);
    ALTER TABLE items_by_user ADD PRIMARY KEY (user_id, id);
    CREATE INDEX items_by_user_id ON items_by_user (id);
"""
QUERIES = {
    "one row by its id": "SELECT * FROM {table} WHERE id = :id",
    "one row by its id and owner": "SELECT * FROM {table} WHERE id = :id AND user_id = :user",
    "20 of a user's rows": "SELECT * FROM {table} WHERE user_id = :user AND id > :id - 20 ORDER BY id LIMIT 20",
}


class Measured(NamedTuple):
    rows: int
    bytes_per_row: float  # the table's own
    bytes_per_entry: dict[str, float]  # of each index
    query_us: dict[str, dict[str, float]]  # table -> query -> median


async def measure(address: str, rows: int) -> Measured:
    await asyncio.to_thread(upgrade, Settings(database_url=address, secret_key=factories.SECRET, environment="test"))
    engine = create_async_engine(async_url(address), isolation_level="AUTOCOMMIT")
    async with engine.connect() as db:
        await db.execute(text(USERS), {"users": rows // ITEMS_PER_USER + 1})
        await db.execute(text(FILL.format(table="example_items")), {"rows": rows, "each": ITEMS_PER_USER})
        await _partition(db, rows)
        for table in ("users", "example_items"):
            await db.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"))
        await db.execute(text("VACUUM ANALYZE"))
        sizes = await _sizes(db, "example_items")
        times = {table: await _times(db, table, rows) for table in ("example_items", "items_by_user")}
    await engine.dispose()
    own = sizes.pop("example_items")
    return Measured(rows, own / rows, {name: size / rows for name, size in sizes.items()}, times)


async def _partition(db: AsyncConnection, rows: int) -> None:
    for statement in filter(None, map(str.strip, PARTITIONED.split(";"))):
        await db.execute(text(statement))
    for number in range(PARTITIONS):
        await db.execute(
            text(
                f"CREATE TABLE items_by_user_{number} PARTITION OF items_by_user "
                f"FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {number})"
            )
        )
    await db.execute(text(FILL.format(table="items_by_user")), {"rows": rows, "each": ITEMS_PER_USER})


async def _sizes(db: AsyncConnection, table: str) -> dict[str, int]:
    found = await db.execute(
        text("SELECT relname, pg_relation_size(c.oid) FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid "
             "WHERE c.oid = CAST(:table AS regclass) OR i.indrelid = CAST(:table AS regclass)"),
        {"table": table},
    )  # fmt: skip
    return dict(found.tuples().all())


async def _times(db: AsyncConnection, table: str, rows: int) -> dict[str, float]:
    return {name: await _median_us(db, query.format(table=table), rows) for name, query in QUERIES.items()}


async def _median_us(db: AsyncConnection, query: str, rows: int) -> float:
    seen = []
    for number in range(TRIES):
        row_id = 1 + number * 7919 % rows
        values: dict[str, Any] = {"id": row_id, "user": 1 + (row_id - 1) // ITEMS_PER_USER}
        used = {name: value for name, value in values.items() if f":{name}" in query}
        started = time.perf_counter()
        (await db.execute(text(query), used)).all()
        seen.append((time.perf_counter() - started) * 1e6)
    return statistics.median(seen)


def cpu_of_requests(address: str, folder: Path) -> dict[str, float]:
    """The application's own CPU a request, in microseconds, over HTTP and with nobody else."""
    env = processes.safe(address, LOG_LEVEL="WARNING")
    body = {"email": factories.email(), "password": factories.PASSWORD}
    with processes.server(folder, env) as server, server.client() as client:
        api = "/api/v1"
        client.post(f"{api}/auth/register", json=body).raise_for_status()
        token = client.post(f"{api}/auth/login", json=body).raise_for_status().json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        ids = [client.post(f"{api}/items", json={"title": "An item"}).json()["id"] for _ in range(20)]
        calls = {
            "GET one": lambda: client.get(f"{api}/items/{ids[0]}"),
            "LIST 20": lambda: client.get(f"{api}/items?limit=20"),
            "POST": lambda: client.post(f"{api}/items", json={"title": "An item"}),
        }
        return {name: _cpu_us(server.process.pid, call) for name, call in calls.items()}


def _cpu_us(pid: int, call: Any) -> float:
    for _ in range(100):
        call().raise_for_status()
    before = _cpu_s(pid)
    for _ in range(REQUESTS):
        call().raise_for_status()
    return (_cpu_s(pid) - before) / REQUESTS * 1e6


def _cpu_s(pid: int) -> float:
    """Of a process and its descendants, since they were started."""
    stats = [Path(f"/proc/{each}/stat").read_text() for each in (pid, *descendants(pid))]
    fields = [stat.rpartition(")")[2].split() for stat in stats]
    return sum(int(of[11]) + int(of[12]) for of in fields) / os.sysconf("SC_CLK_TCK")


def show(measured: Measured, cpu_us: dict[str, float]) -> None:
    print(f"\nexample_items with {measured.rows:,} rows")
    print(f"  {measured.bytes_per_row:.0f} bytes a row of the table")
    for name, size in measured.bytes_per_entry.items():
        print(f"  {size:.1f} bytes a row in {name}")
    for table, times in measured.query_us.items():
        for name, microseconds in times.items():
            print(f"  {table:14} {name:30} {microseconds:6.0f} us")
    for name, microseconds in cpu_us.items():
        print(f"  the application's CPU for {name:8} {microseconds:6.0f} us")
