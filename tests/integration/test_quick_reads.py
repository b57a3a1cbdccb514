"""The short way of reads: what it gives, raises and leaves behind is what SQLAlchemy's way does."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import Float, bindparam, func, literal, literal_column, select, text, true
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.core import plans
from app.core.database import Base, Database, utcnow
from app.core.database_errors import is_out_of_time
from app.core.engines import make_engine, make_reads
from app.core.jobs.outbox import DONE, OutboxJob
from app.core.plans import AnySelect, Plan, Row
from app.core.quick_sqlite import QuickSQLite
from app.examples.models import ExampleItem
from tests import factories
from tests.factories import Actor
from tests.statements import statements
from tests.waiting import until

SLEEP = {"postgresql": func.pg_sleep, "mysql": func.sleep}


@pytest.fixture
async def short(app: FastAPI) -> AsyncGenerator[Database]:
    """A database of which each process has one connection for reads, and a second for each statement."""
    database = Database(
        app.state.settings.model_copy(update={"db_pool_size": 1, "db_statement_timeout_seconds": 1, "redis_url": ""})
    )
    yield database
    await database.close()


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The reads that took the short way."""
    seen: list[str] = []
    rows = Plan.rows

    def noted(plan: Plan, records: Any) -> Any:
        seen.append(plan.sql)
        return rows(plan, records)

    monkeypatch.setattr(Plan, "rows", noted)
    return seen


async def the(database: Database, statement: AnySelect, **values: object) -> Row:
    row = await database.read.one(statement, **values)
    assert row is not None
    return row


async def jobs_are_done(app: FastAPI) -> None:
    """SQLite in memory has no WAL: while a job writes, a read is left to SQLAlchemy's way."""
    undone = select(OutboxJob).where(OutboxJob.state != DONE)

    async def are_done() -> bool:
        return not await app.state.database.read.all(undone)

    await until(are_done)


async def test_both_ways_give_the_same_rows(
    app: FastAPI, backend: str, short: Database, user: Actor, planned: list[str]
) -> None:
    await factories.item(user, title="ünï🎉", description="x" * 300)
    await user.http.post("/api/v1/items", json={"title": "again"}, headers={"Idempotency-Key": "one"})
    await jobs_are_done(app)  # one writes the token of a mail
    for mapper in Base.registry.mappers - {OutboxJob.__mapper__}:
        with statements(app):  # listened to: SQLAlchemy's way
            long = await app.state.database.read.all(select(mapper.class_))
        for _ in range(3):
            assert await short.read.all(select(mapper.class_)) == long
    items = select(ExampleItem).where(ExampleItem.title == bindparam("title"), ExampleItem.id > 0)
    found = [await short.read.one(items, title=title) for title in ("again", "ünï🎉", "no", "again")]
    assert [row and row.title for row in found] == ["again", "ünï🎉", None, "again"]
    one, two = [row.id for row in await short.read.all(select(ExampleItem).order_by(ExampleItem.id))]
    none_of_them = range(-9997, 0)
    counted = [
        await short.read.count(select(ExampleItem).where(ExampleItem.id.in_(ids)))
        for ids in ([], [one], [one, two, *none_of_them], [one, two])
    ]
    assert counted == [0, 1, 2, 2]
    assert bool(planned) is (backend != "mysql")


async def test_statements_of_one_form_keep_their_own_values(short: Database, user: Actor) -> None:
    """SQLAlchemy compiles two statements that differ in a literal alone once."""
    for title in ("a", "b", "c"):
        await factories.item(user, title=title)
    mine = select(ExampleItem.title).where(ExampleItem.user_id == bindparam("owner")).order_by(ExampleItem.id)
    only_b, only_c = (mine.where(ExampleItem.title == title) for title in "bc")
    two, one = mine.limit(2), mine.limit(1)
    for _ in range(3):
        for statement, titles in ((only_b, "b"), (only_c, "c"), (two, "ab"), (one, "a")):
            rows = await short.read.all(statement, owner=user.id)
            assert "".join(row.title for row in rows) == titles


async def test_a_value_that_is_left_out_or_wrong_is_an_error(short: Database, user: Actor) -> None:
    both = select(ExampleItem.id).where(
        ExampleItem.user_id == bindparam("owner"), ExampleItem.created_at < bindparam("now")
    )
    assert await short.read.all(both, owner=user.id, now=utcnow()) == []
    for values in ({"owner": user.id}, {"now": utcnow()}, {"owner": user.id, "now": utcnow().replace(tzinfo=None)}):
        with pytest.raises(StatementError):
            await short.read.all(both, **values)


async def test_many_other_reads_do_not_displace_one_that_is_asked_often(
    app: FastAPI, short: Database, backend: str, planned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend == "mysql":
        return
    await jobs_are_done(app)
    monkeypatch.setattr(plans, "MAX_PLANS", 20)
    often = select(literal("often").label("word"))
    await short.read.one(often)
    for number in range(60):
        await short.read.one(often)
        await short.read.one(select(literal(number).label(f"n{number}")))
    assert len([sql for sql in planned if "word" in sql]) == 60
    assert len(short.read._reads._plans._plans) <= 20  # ty: ignore[missing-attribute]


async def test_a_read_that_fails_raises_what_sqlalchemy_would(
    short: Database, backend: str, planned: list[str]
) -> None:
    if backend == "sqlite":
        return  # what fails there is left to SQLAlchemy
    sleep = select(SLEEP[backend](bindparam("seconds", 0, Float)).label("slept"))
    for _ in range(2):
        await short.read.one(sleep, seconds=0)
    with pytest.raises(DBAPIError) as caught:
        await short.read.one(sleep, seconds=3)
    assert is_out_of_time(caught.value) or backend == "mysql"  # MariaDB's SLEEP says only that it was woken
    assert "seconds" not in str(caught.value)
    assert (await the(short, select(literal(7).label("seven")))).seven == 7  # the connection is a good one


async def test_a_read_that_is_given_up_leaves_no_answer_to_the_next(short: Database, backend: str) -> None:
    if backend != "postgresql":
        return
    sleep = select(func.pg_sleep(bindparam("seconds", 0, Float)).label("slept"), literal("sleep").label("who"))
    number = select(literal(1).label("first"), bindparam("n", type_=ExampleItem.id.type).label("number"))
    await short.read.one(sleep, seconds=0)
    await short.read.one(number, n=0)
    for n in range(1, 6):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await short.read.one(sleep, seconds=0.5)
        assert (await the(short, number, n=n)).number == n


async def test_who_finds_no_connection_free_is_told_in_time(app: FastAPI, short: Database, backend: str) -> None:
    if backend != "postgresql":
        return
    reads: Any = make_reads(short.read_engine, app.state.settings.model_copy(update={"db_pool_size": 1}))
    reads._places.timeout_s = 0.05
    sleep = select(func.pg_sleep(bindparam("seconds", 0, Float)).label("slept"))
    await reads.rows(sleep, {"seconds": 0.01})
    holder = asyncio.create_task(reads.rows(sleep, {"seconds": 0.5}))
    await asyncio.sleep(0)  # it takes the place before it waits for anything
    with pytest.raises(PoolTimeoutError):
        await reads.rows(sleep, {"seconds": 0})
    await holder
    holder = asyncio.create_task(reads.rows(select(func.pg_sleep(0.5)), {}))  # not known yet: SQLAlchemy's way
    await asyncio.sleep(0)  # it takes the place before it waits for anything
    with pytest.raises(PoolTimeoutError):
        await reads.rows(sleep, {"seconds": 0})
    await holder
    assert len(await reads.rows(sleep, {"seconds": 0})) == 1


async def test_a_read_that_is_given_up_ends_in_the_server(app: FastAPI, short: Database, backend: str) -> None:
    """Else more would run there than the pool has connections."""
    if backend != "postgresql":
        return
    sleep = select(func.pg_sleep(bindparam("seconds", 0, Float)).label("slept"))
    await short.read.one(sleep, seconds=0)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await short.read.one(sleep, seconds=0.9)
    async with app.state.database.engine.connect() as other:
        here = "datname = current_database() AND pid <> pg_backend_pid()"
        running = f"SELECT query FROM pg_stat_activity WHERE {here} AND state = 'active' AND query LIKE '%pg_sleep%'"
        assert (await other.execute(text(running))).all() == []


async def test_with_a_lost_connection_go_all_that_are_as_old(app: FastAPI, backend: str, planned: list[str]) -> None:
    """As in SQLAlchemy's way: the server that they are of is not there any more."""
    if backend != "postgresql":
        return
    settings = app.state.settings.model_copy(update={"db_pool_size": 2, "redis_url": ""})
    database = Database(settings)
    reads: Any = database.read._reads
    asleep = select(func.pg_sleep(bindparam("seconds", 0, Float)).label("slept"), func.pg_backend_pid().label("pid"))
    await reads.rows(asleep, {"seconds": 0})
    both = await asyncio.gather(*(reads.rows(asleep, {"seconds": 0.2}) for _ in range(2)))
    pids = {row.pid for (row,) in both}
    assert len(pids) == len([sql for sql in planned if "pg_sleep" in sql]) == 2
    read = asyncio.create_task(reads.rows(asleep, {"seconds": 30}))
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'active' AND pid = ANY(:pids)"

    async def is_killed() -> bool:
        async with app.state.database.engine.connect() as killer:
            return bool((await killer.execute(text(kill), {"pids": list(pids)})).all())

    await until(is_killed)
    with pytest.raises(DBAPIError) as caught:
        await read
    assert caught.value.connection_invalidated
    assert (await the(database, asleep, seconds=0)).pid not in pids
    await database.close()


async def test_after_the_engine_is_disposed_of_its_new_pool_is_asked(short: Database, backend: str) -> None:
    if backend != "postgresql":
        return
    for _ in range(2):
        await short.read.one(select(literal(1).label("one")))
    await short.read_engine.dispose()
    await short.read.one(select(literal(1).label("one")))
    pool: Any = short.read_engine.sync_engine.pool
    assert pool.checkedin() == 1


async def test_an_error_that_has_no_translation_is_not_its_own_cause(
    short: Database, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend != "postgresql":
        return
    import asyncpg

    async def fail(*_: object) -> None:
        raise ArithmeticError

    seven = select(literal(7).label("seven"))
    await short.read.one(seven)
    monkeypatch.setattr(asyncpg.Connection, "fetch", fail)
    with pytest.raises(ArithmeticError) as caught:
        await short.read.one(seven)
    assert caught.value.__cause__ is None


async def test_a_connection_that_was_killed_is_replaced(app: FastAPI, short: Database, backend: str) -> None:
    if backend != "postgresql":
        return
    pid = select(func.pg_backend_pid().label("pid"))
    for _ in range(3):
        first = await the(short, pid)
        async with app.state.database.engine.connect() as killer:
            await killer.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": first.pid})
        second = await the(short, pid)
        assert second.pid != first.pid


async def test_a_long_read_of_sqlite_does_not_keep_the_event_loop(
    app: FastAPI, short: Database, backend: str, user: Actor, planned: list[str]
) -> None:
    if backend != "sqlite":
        return
    for _ in range(5):
        await factories.item(user)
    await jobs_are_done(app)
    a, b, c = (select(ExampleItem.id).subquery() for _ in range(3))
    few = select(func.count().label("rows")).select_from(a)
    many = select(func.count().label("rows")).select_from(select(a.c.id).join(b, true()).join(c, true()).subquery())
    deep = select(func.count().label("rows")).select_from(
        text("(WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 300000) SELECT x FROM n)")
    )
    for statement, rows in ((few, 5), (many, 125), (deep, 300_000)):
        for _ in range(3):
            assert (await the(short, statement)).rows == rows
    assert len([sql for sql in planned if "count" in sql]) == 4  # the long one never took the short way


async def test_a_reader_of_sqlite_writes_nothing(short: Database, backend: str) -> None:
    if backend != "sqlite":
        return
    await short.read.one(select(literal(1).label("one")))
    await short.read.one(select(literal(1).label("one")))
    reads: Any = short.read._reads
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reads._connection.execute("DELETE FROM users")


async def test_a_reader_of_sqlite_sees_in_time_that_its_file_is_another(
    app: FastAPI, backend: str, tmp_path: Path
) -> None:
    """One that was restored, or comes with a new release: the pool's connections are renewed as well."""
    if backend != "sqlite":
        return

    def write(name: str, number: int) -> None:
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            connection.execute("CREATE TABLE numbers AS SELECT ? AS n", [number])
            connection.commit()

    write("app.db", 1)
    write("other.db", 2)
    settings = app.state.settings.model_copy(update={"database_url": f"sqlite:///{tmp_path}/app.db"})
    reads = QuickSQLite(make_engine(settings, read_only=True), recycle_s=0)
    numbers = select(literal_column("n")).select_from(text("numbers"))
    for _ in range(3):
        assert [row.n for row in await reads.rows(numbers, {})] == [1]
    for rest in ("app.db-wal", "app.db-shm"):
        (tmp_path / rest).unlink()
    (tmp_path / "other.db").rename(tmp_path / "app.db")
    assert [row.n for row in await reads.rows(numbers, {})] == [2]
    await reads.close()
    assert [row.n for row in await reads.rows(numbers, {})] == [2]  # it connects at the next use, as an engine does
    await reads.close()
