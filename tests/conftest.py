"""One application and one migrated database for each backend; every test finds them empty."""

import asyncio
import gc
import logging
import os
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

os.environ.setdefault("SECRET_KEY", "for-importing-app-main-0123456789abcdefghijklmnop")
os.environ["ENVIRONMENT"] = "test"

from app.core.database import Base
from app.core.db.migrations import upgrade
from app.main import create_app
from deploy.cluster.servers import Redis, running
from tests import databases, factories
from tests.mail_server import MailServer, mail_server


def pytest_report_header() -> list[str]:
    missing = databases.not_tested()
    if missing and os.environ.get("TEST_EVERYTHING"):
        pytest.exit(f"TEST_EVERYTHING is set, and cannot be tested: {', '.join(missing)}", 1)
    lines = [f"databases: {', '.join(databases.BACKENDS)}"]
    return [*lines, f"not tested: {', '.join(missing)}"] if missing else lines


def pytest_collection_finish() -> None:
    gc.freeze()  # what was imported stays, and each collection would walk through all of it


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if missing := databases.not_tested():
        terminalreporter.write_line(f"not tested: {', '.join(missing)}")


# The client's own line a request, and Alembic's a migration, are not the application's.
for name in ("httpx2", "alembic"):
    logging.getLogger(name).setLevel(logging.WARNING)


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session", params=databases.BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def post_office() -> Generator[MailServer]:
    """Where the application's mails go."""
    with mail_server() as server:
        yield server


@pytest.fixture(scope="session")
async def migrated_app(backend: str, post_office: MailServer) -> AsyncGenerator[FastAPI]:
    async with databases.shared_database(backend) as address:
        settings = factories.settings(
            database_url=address, smtp_url=post_office.url, mail_from="Groundwork <no-reply@example.com>"
        )
        await asyncio.to_thread(upgrade, settings)
        app = create_app(settings)
        async with app.router.lifespan_context(app):
            yield app


@pytest.fixture
async def app(migrated_app: FastAPI) -> AsyncGenerator[FastAPI]:
    yield migrated_app
    await empty_tables(migrated_app)


async def empty_tables(app: FastAPI) -> None:
    async with app.state.database.sessions.begin() as db:
        for table in reversed(Base.metadata.sorted_tables):
            await db.execute(table.delete())


@pytest.fixture
async def client(app: FastAPI) -> AsyncClient:
    return factories.client(app)


@pytest.fixture
async def user(app: FastAPI) -> factories.Actor:
    return await factories.user(app)


@pytest.fixture
async def other(app: FastAPI) -> factories.Actor:
    return await factories.user(app)


@pytest.fixture
async def superuser(app: FastAPI) -> factories.Actor:
    return await factories.superuser(app)


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Without coverage, in this process and in those that it starts, for what sends many thousand requests.

    It would take twice as long, and what it reaches in the application others reach too.
    """
    from coverage import Coverage

    for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
        monkeypatch.delenv(name)
    measuring = Coverage.current()
    if measuring is None:
        yield
    else:
        measuring.stop()
        yield
        measuring.start()


@pytest.fixture(scope="module")
def redis() -> Generator[Redis]:
    if not Redis.find():
        pytest.skip("redis-server is not installed")
    with running(Redis) as server:
        assert isinstance(server, Redis)
        yield server


@pytest.fixture
async def empty_database(backend: str, tmp_path: Path) -> AsyncGenerator[str]:
    async with databases.empty_database(backend, tmp_path) as address:
        yield address
