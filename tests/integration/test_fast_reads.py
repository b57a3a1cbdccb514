"""Fast reads return, raise and leave behind what reads through SQLAlchemy do, on every database."""

import asyncio
from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import JSON, Float, Integer, Numeric, bindparam, cast, func, literal, literal_column, select, text
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.core.columns import ExactDecimal
from app.core.database import Base, Database, Reader, utcnow
from app.core.db.engines import make_engine
from app.core.db.errors import is_out_of_time
from app.core.db.fast_reads import FastReads
from app.core.db.reads import AnySelect, Row
from app.core.jobs.outbox import OutboxJob
from app.examples.models import ExampleItem
from tests import factories
from tests.factories import Actor
from tests.waiting import until

ALWAYS = literal(1) == bindparam("one", type_=Integer)  # reads with values are fast
SLEEP = {"postgresql": func.pg_sleep, "mysql": func.sleep}


@pytest.fixture
async def short(app: FastAPI) -> AsyncGenerator[Database]:
    """A database of which each process has one connection for reads, and a second for each statement."""
    database = Database(
        app.state.settings.model_copy(update={"db_pool_size": 1, "db_statement_timeout_seconds": 1, "redis_url": ""})
    )
    yield database
    await database.close()


async def the(database: Database, statement: AnySelect, **values: object) -> Row:
    row = await database.read.one(statement, **values)
    assert row is not None
    return row


async def test_both_ways_give_the_same_rows(app: FastAPI, backend: str, short: Database, user: Actor) -> None:
    await factories.item(user, title="ünï🎉", description="x" * 300)
    await user.http.post("/api/v1/items", json={"title": "again"}, headers={"Idempotency-Key": "one"})
    for mapper in Base.registry.mappers - {OutboxJob.__mapper__}:
        everything = select(mapper.class_).where(ALWAYS)
        through_sqlalchemy = await Reader(short.read_engine).all(everything, one=1)
        for _ in range(3):
            assert await short.read.all(everything, one=1) == through_sqlalchemy
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
    among = select(ExampleItem.id).where(ExampleItem.id.in_(bindparam("ids", expanding=True)))
    assert [len(await short.read.all(among, ids=ids)) for ids in ([], [one], [one, two])] == [0, 1, 2]


async def test_values_of_every_type_come_back_alike(short: Database) -> None:
    values = {"json": ({"one": [2]}, JSON()), "exact": (Decimal("1.50"), ExactDecimal(10, 2)), "double": (0.5, Float())}
    columns: list[Any] = [bindparam(name, type_=kind).label(name) for name, (_, kind) in values.items()]
    columns.append(cast(bindparam("half", type_=Float), Numeric(10, 2, asdecimal=False)).label("half"))
    sent = {name: value for name, (value, _) in values.items()} | {"half": 0.5}
    (through_sqlalchemy,) = await Reader(short.read_engine).all(select(*columns), **sent)
    assert vars(through_sqlalchemy) == sent
    assert repr(await the(short, select(*columns), **sent)) == repr(through_sqlalchemy)


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


async def test_a_read_that_fails_raises_what_sqlalchemy_would(short: Database, backend: str) -> None:
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


async def test_a_read_waits_for_a_connection_in_bounded_time(app: FastAPI, backend: str) -> None:
    if backend != "postgresql":
        return
    engine = make_engine(app.state.settings, read_only=True)
    _, options = engine.dialect.create_connect_args(engine.url)
    reads = FastReads(engine.dialect, dict(options), size=1, timeout_s=0.05)
    sleep = select(func.pg_sleep(bindparam("seconds", 0, Float)).label("slept"))
    await reads.rows(sleep, {"seconds": 0.01})
    assert reads.in_use == (0, 1)
    holder = asyncio.create_task(reads.rows(sleep, {"seconds": 0.5}))
    await asyncio.sleep(0)  # it takes the connection before it waits for anything
    with pytest.raises(PoolTimeoutError):
        await reads.rows(sleep, {"seconds": 0})
    await holder
    assert len(await reads.rows(sleep, {"seconds": 0}) or []) == 1
    await reads.close()


async def test_one_setting_turns_them_off(app: FastAPI, backend: str) -> None:
    for is_on in (True, False):
        database = Database(app.state.settings.model_copy(update={"fast_reads": is_on}))
        assert (database.read.fast is not None) is (is_on and backend == "postgresql")
        await database.close()


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


async def test_a_connection_that_was_killed_is_replaced(app: FastAPI, short: Database, backend: str) -> None:
    if backend != "postgresql":
        return
    pid = select(func.pg_backend_pid().label("pid")).where(ALWAYS)
    for _ in range(20):  # some find it when the server has said that it ends the connection, and not yet
        first = await the(short, pid, one=1)
        async with app.state.database.engine.connect() as killer:
            await killer.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": first.pid})
        second = await the(short, pid, one=1)
        assert second.pid != first.pid


async def test_a_read_whose_connection_is_killed_is_asked_again(app: FastAPI, short: Database, backend: str) -> None:
    if backend != "postgresql":
        return
    sleep = select(func.pg_sleep(bindparam("seconds", 0, Float)).label("slept"), literal(7).label("seven"))
    here = "datname = current_database() AND pid <> pg_backend_pid()"
    running = f"FROM pg_stat_activity WHERE {here} AND state = 'active' AND query LIKE '%pg_sleep%'"
    reading = asyncio.create_task(the(short, sleep, seconds=0.5))
    async with app.state.database.engine.connect() as connection:
        killer = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await until(lambda: killer.scalar(text(f"SELECT pg_terminate_backend(pid) {running}")))
    assert (await reading).seven == 7


async def test_a_fast_read_cannot_write(short: Database, backend: str) -> None:
    if backend != "postgresql":
        return
    writing = select(literal_column("nextval('example_items_id_seq')").label("next")).where(ALWAYS)
    with pytest.raises(DBAPIError, match="read-only transaction"):
        await short.read.one(writing, one=1)
