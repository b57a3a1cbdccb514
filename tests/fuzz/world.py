"""What is fuzzed: a real server on a real database, and the people and rows that its operations need."""

import re
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal

from app.main import create_app
from tests import databases, factories, processes
from tests.rows import Operation, Rows

WHO = ("user", "superuser")

# The jobs that rows.py makes: no process has their task, and says so.
EXPECTED_IN_THE_LOG = "tests.no_such_task"


class World:
    """The server, and an application of this process on the same database: it makes the people and the rows.

    The operations themselves go to the server only.
    """

    def __init__(self, server: processes.Server, rows: Rows, portal: BlockingPortal) -> None:
        self.server = server
        # Without the ways to sign in: a turn sends its person's token, whatever would be drawn for it.
        components = {name: part for name, part in rows.document["components"].items() if name != "securitySchemes"}
        self.document = rows.document | {"components": components}
        self.by_label = {str(operation): operation for operation in rows.operations.values()}
        self._rows = rows
        self._portal = portal

    def person(self, who: str) -> factories.Actor:
        """A new account: the one before may have deleted, demoted or locked itself out."""
        return self._portal.call(getattr(factories, who), self._rows.app)

    def places(self, operation: Operation, person: factories.Actor) -> dict[str, str]:
        """The parameters of the path, for rows that are the person's."""
        url = self._portal.call(self._rows.url, operation.path, person)
        pattern = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", operation.path)
        match = re.fullmatch(pattern, url)
        assert match, f"{url} is not at {operation.path}"
        return match.groupdict()

    def body(self, operation: Operation, person: factories.Actor) -> dict[str, Any]:
        """A valid body, or an empty one where there is none."""
        return self._portal.call(self._rows.body, operation.method, operation.path, person) or {}


@contextmanager
def running(backend: str, folder: Path) -> Generator[World]:
    with start_blocking_portal(backend_options={"use_uvloop": True}) as portal:
        with portal.wrap_async_context_manager(_application(backend, folder)) as (address, rows):
            env = processes.safe(
                address, RATE_LIMIT_ENABLED="false", LOG_LEVEL="WARNING", LOG_FORMAT="json", MAIL_FOLDER="mails"
            )
            with processes.server(folder, env, expected=EXPECTED_IN_THE_LOG) as server:
                yield World(server, rows, portal)


@asynccontextmanager
async def _application(backend: str, folder: Path) -> AsyncGenerator[tuple[str, Rows]]:
    async with databases.empty_database(backend, folder) as address:
        settings = factories.settings(
            database_url=address, mail_folder=folder / "mails", log_level="ERROR", rate_limit_enabled=False
        )
        app = create_app(settings)
        async with app.router.lifespan_context(app):
            yield address, Rows(app)
