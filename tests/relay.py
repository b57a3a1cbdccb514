"""A way to a server that can fall silent, as a network does: connections stay, and nothing comes through any more."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from sqlalchemy import make_url


class Relay:
    def __init__(self, port: int) -> None:
        self.is_silent = False  # to those who come
        self._target = port
        self._ways: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        if self.is_silent:
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers.append(back)
        for source, target in ((reader, back), (there, writer)):
            self._ways.add(asyncio.create_task(_carry(source, target)))

    def fall_silent(self) -> None:
        """To those who are here, for good, and to those who come, while `is_silent`."""
        self.is_silent = True
        for way in self._ways:
            way.cancel()

    def close(self) -> None:
        self.fall_silent()
        for writer in self._writers:
            writer.close()


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
        target.close()


@asynccontextmanager
async def relayed(address: str) -> AsyncGenerator[tuple[Relay, str]]:
    """And the address of the way to what is at the address."""
    url = make_url(address)
    assert url.port is not None
    relay = Relay(url.port)
    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    try:
        yield relay, url.set(port=server.sockets[0].getsockname()[1]).render_as_string(hide_password=False)
    finally:
        relay.close()
        server.close()
