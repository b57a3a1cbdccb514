"""The migrations go up and down on every database, and nothing in the models is missing from them."""

import asyncio

import pytest
from alembic import command
from sqlalchemy import inspect, text
from sqlalchemy.ext.asyncio import create_async_engine

from app.core.database import Base, Database
from app.core.db.migrations import StartupError, alembic_config, current, heads, is_behind, prepare
from app.core.settings.database_url import async_url
from tests import factories


async def tables(address: str) -> set[str]:
    engine = create_async_engine(async_url(address))
    try:
        async with engine.connect() as connection:
            return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))
    finally:
        await engine.dispose()


async def test_up_down_and_up_again_without_drift(empty_database: str) -> None:
    config = alembic_config(factories.settings(database_url=empty_database))
    for _ in range(2):
        await asyncio.to_thread(command.upgrade, config, "head")
        assert await tables(empty_database) == {*Base.metadata.tables, "alembic_version"}
        await asyncio.to_thread(command.check, config)
        await asyncio.to_thread(command.downgrade, config, "base")
        assert await tables(empty_database) == {"alembic_version"}


async def test_every_table_is_binary_utf8_on_mysql(backend: str, empty_database: str) -> None:
    if backend != "mysql":
        return
    await asyncio.to_thread(command.upgrade, alembic_config(factories.settings(database_url=empty_database)), "head")
    engine = create_async_engine(async_url(empty_database))
    async with engine.connect() as connection:
        rows = await connection.exec_driver_sql(
            "SELECT DISTINCT table_collation, engine FROM information_schema.tables"
            " WHERE table_schema = DATABASE() AND table_name <> 'alembic_version'"
        )
        assert rows.all() == [("utf8mb4_bin", "InnoDB")]
    await engine.dispose()


async def test_a_newer_database_is_left_alone(empty_database: str) -> None:
    """As it is found after a rollback of the code."""
    settings = factories.settings(database_url=empty_database)
    database = Database(settings)
    try:
        assert await is_behind(database)
        await prepare(settings, database)
        assert await current(database) == heads()
        async with database.sessions.begin() as db:
            await db.execute(text("UPDATE alembic_version SET version_num = 'fromthefuture'"))
        await prepare(settings, database)
        assert await current(database) == {"fromthefuture"}
    finally:
        await database.close()


async def test_a_migration_that_fails_is_told_as_that_and_not_as_the_address(empty_database: str) -> None:
    settings = factories.settings(database_url=empty_database)
    database = Database(settings)
    try:
        async with database.engine.begin() as connection:
            await connection.execute(text("CREATE TABLE users (id INTEGER)"))
        with pytest.raises(StartupError, match=r"^alembic/versions: a migration fails: .+\. Right: [^\n]+$") as caught:
            await prepare(settings, database)
        assert "CREATE TABLE users" in str(caught.value)
    finally:
        await database.close()
