"""A small HTTP client: the load shares the processors with what it loads, and may take no more of them than it must."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httptools

TIMEOUT_S = 20  # longer than the apps take to give up


class NoAnswer(Exception):
    """`str` of it is the class of the failure: refused, reset or timeout."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None

    def encode(self, host: str) -> bytes:
        body = b"" if self.body is None else json.dumps(self.body).encode()
        kind = {"Content-Type": "application/json"} if body else {}
        headers = {"Host": host, **self.headers, **kind, "Content-Length": str(len(body))}
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + body


class Connection(asyncio.Protocol):
    """One request at a time; the names that begin with `on_` are httptools'."""

    def __init__(self) -> None:
        self.is_open = True
        self._answer: asyncio.Future[Answer] | None = None
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - its name is asyncio's
        self.is_open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(NoAnswer("reset"))

    async def ask(self, request: bytes) -> Answer:
        self._answer = asyncio.get_running_loop().create_future()
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        self.is_open = False
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        if not self._parser.should_keep_alive():
            self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(self._parser.get_status_code(), self._headers, b"".join(self._body)))


class Client:
    """Keeps its connections, as the app of a phone or a browser does."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = str(parts.hostname), parts.port or 80
        self._idle: list[Connection] = []

    async def send(self, request: Request) -> Answer:
        """Raises NoAnswer."""
        connection = None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                connection = await self._connection()
                answer = await connection.ask(request.encode(f"{self._host}:{self._port}"))
        except TimeoutError:
            if connection is not None:
                connection.close()
            raise NoAnswer("timeout") from None
        except ConnectionRefusedError:
            raise NoAnswer("refused") from None
        except OSError:
            raise NoAnswer("reset") from None
        if connection.is_open:
            self._idle.append(connection)
        return answer

    async def _connection(self) -> Connection:
        while self._idle:
            if (connection := self._idle.pop()).is_open:
                return connection
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(Connection, self._host, self._port))[1]

    def close(self) -> None:
        for connection in self._idle:
            with suppress(OSError):
                connection.close()
