"""A server that ends every connection as it begins, as one does that is being stopped or has too many."""

import asyncio
import socket
import struct
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import suppress
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from app.core.db.redis import RedisAway, RedisLink
from app.core.security import create_access_token
from app.main import create_app
from tests import factories

NO_LINGERING = struct.pack("ii", 1, 0)  # the connection is reset


@pytest.fixture
def port() -> Generator[int]:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        thread = threading.Thread(target=_reset_all, args=(listener,))
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _reset_all(listener: socket.socket) -> None:
    with suppress(OSError):  # when the test is over
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGERING)
            connection.close()


async def test_a_redis_that_ends_every_connection_is_away_and_nothing_else(port: int) -> None:
    """Also where uvloop has closed the socket before the library writes to it."""
    for _ in range(10):
        links = [RedisLink(f"redis://127.0.0.1:{port}") for _ in range(20)]
        asked = [link.ask(link.client.ping) for link in links]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(answer) for answer in answers} == {RedisAway}
        for link in links:
            await link.close()


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
async def test_whenever_a_connection_is_lost_the_client_hears_to_come_again(kind: str, port: int) -> None:
    app = create_app(factories.settings(database_url=f"{kind}://nobody@127.0.0.1:{port}/none", db_pool_size=20))
    answers: Counter[int] = Counter()
    token = create_access_token("1", uuid4(), datetime.now(UTC), app.state.settings)
    async with factories.client(app, token) as client:
        for _ in range(10):  # which step it is lost in is chance
            asked = [client.get("/api/v1/items") for _ in range(20)]
            answers.update(answer.status_code for answer in await asyncio.gather(*asked))
    await factories.close(app)
    assert answers == {503: 200}
