"""What the server's protocol writes, and when: over a real socket, with an application that answers when it is told."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from app.core import protocol
from app.core.protocol import LimitedProtocol
from tests.waiting import until

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhelloworld"
REFUSED = b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
TIMEOUT_S = 0.1


class Recorded:
    def __init__(self, transport: Any, written: list[bytes]) -> None:
        self._transport = transport
        self._written = written

    def write(self, data: bytes) -> None:
        self._written.append(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Talk:
    """One connection."""

    def __init__(self) -> None:
        self.may_go_on = asyncio.Event()  # the application
        self.written: list[bytes] = []  # each is one call of the system
        self.headers: list[tuple[bytes, bytes]] = []  # of the last request

    async def app(self, scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        """Of /stream the first half is sent at once, of /slow nothing; /early is answered before its body is here."""
        self.headers = scope["headers"]
        while scope["path"] != "/early" and (await receive()).get("more_body"):
            pass
        if scope["path"] == "/slow":
            await self.may_go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"Content-Length", b"10")]})
        if scope["path"] == "/stream":
            await send({"type": "http.response.body", "body": b"hello", "more_body": True})
            await self.may_go_on.wait()
            await send({"type": "http.response.body", "body": b"world"})
        else:
            await send({"type": "http.response.body", "body": b"helloworld"})

    def connected(self, config: Config) -> LimitedProtocol:
        written = self.written

        class Recording(LimitedProtocol):
            def connection_made(self, transport: Any) -> None:
                super().connection_made(Recorded(transport, written))

        self.protocol = Recording(config, ServerState(), {})
        return self.protocol

    async def open(self, port: int) -> None:
        self.port = port
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)

    async def says(self, answer: bytes) -> None:
        async with asyncio.timeout(10):
            assert await self.reader.readexactly(len(answer)) == answer

    async def goes_on(self, words: bytes) -> None:
        async with asyncio.timeout(10):
            while True:
                self.writer.write(words)
                await self.writer.drain()

    async def ends(self) -> None:
        async with asyncio.timeout(10):
            assert await self.reader.read() == b""


@pytest.fixture
async def talk(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Talk]:
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", TIMEOUT_S)
    talk = Talk()
    config = Config(talk.app, lifespan="off", log_config=None, interface="asgi3")
    config.load()
    server = await asyncio.get_running_loop().create_server(lambda: talk.connected(config), "127.0.0.1", 0)
    await talk.open(server.sockets[0].getsockname()[1])
    yield talk
    talk.writer.close()
    server.close()


def request(path: str, method: str = "GET", *headers: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


async def test_the_head_and_the_body_of_an_answer_are_one_write(talk: Talk) -> None:
    for _ in range(2):
        talk.writer.write(request("/"))
        await talk.says(ANSWER)
    assert talk.written == [ANSWER, ANSWER]


async def test_they_are_where_the_client_waits_to_be_asked_for_its_body(talk: Talk) -> None:
    talk.writer.write(request("/", "POST", "Content-Length: 4", "Expect: 100-continue"))
    asked = b"HTTP/1.1 100 Continue\r\n\r\n"
    await talk.says(asked)
    talk.writer.write(b"body")
    await talk.says(ANSWER)
    assert talk.written == [asked, ANSWER]


async def test_what_has_no_body_is_answered(talk: Talk) -> None:
    talk.writer.write(request("/", "HEAD") + b"?" * 10)  # and what follows it is refused after it
    await talk.says(ANSWER.removesuffix(b"helloworld") + b"HTTP/1.1 400 Bad Request\r\n")


@pytest.mark.parametrize("path", ["/stream", "/slow"])
@pytest.mark.parametrize(
    ("more", "refusal"),
    [
        (b"G", protocol.TOO_SLOW + REFUSED),
        (b"GET / HTTP/1.1\r\n" + b"X-Many: x\r\n" * 100_000, protocol.TOO_LARGE + REFUSED),
        (b"\x00\x01", b"HTTP/1.1 400 Bad Request\r\n"),
    ],
    ids=["slow", "large", "broken"],
)
async def test_a_further_request_is_refused_after_the_answer_that_is_owed(
    talk: Talk, path: str, more: bytes, refusal: bytes
) -> None:
    talk.writer.write(request(path))
    if path == "/stream":
        await talk.says(ANSWER[:-5])
    talk.writer.write(more)
    await asyncio.sleep(3 * TIMEOUT_S)
    talk.may_go_on.set()
    await talk.says((ANSWER[-5:] if path == "/stream" else ANSWER) + refusal)


async def test_a_further_request_may_arrive_in_parts_while_an_answer_is_owed(talk: Talk) -> None:
    talk.writer.write(request("/stream"))
    await talk.says(ANSWER[:-5])
    for part in (b"GET / HT", b"TP/1.1\r\nHost: x\r\n"):
        talk.writer.write(part)
        await asyncio.sleep(2 * TIMEOUT_S)
    talk.may_go_on.set()
    await talk.says(ANSWER[-5:])
    talk.writer.write(b"\r\n")
    await talk.says(ANSWER)


async def test_a_body_is_not_counted_as_the_head_that_follows_it(talk: Talk) -> None:
    post, further = request("/", "POST", "Content-Length: 100000") + b"x" * 100_000, request("/")
    talk.writer.write(further)
    await talk.says(ANSWER)
    talk.protocol.data_received(post + further[:10])  # in one read, which a socket does not promise
    await talk.says(ANSWER)
    talk.protocol.data_received(further[10:])
    await talk.says(ANSWER)


async def test_a_broken_body_is_400_and_ends_an_answer_that_has_begun(talk: Talk) -> None:
    broken = request("/", "POST", "Transfer-Encoding: chunked") + b"4\r\nbody\r\n?\r\n"
    talk.writer.write(request("/stream"))
    await talk.says(ANSWER[:-5])
    talk.writer.write(broken)
    await talk.ends()
    assert len(talk.written) == 1
    talk.writer.close()
    await talk.open(talk.port)
    talk.writer.write(broken)
    await talk.says(b"HTTP/1.1 400 Bad Request\r\n")


CHUNKED = request("/", "POST", "Transfer-Encoding: chunked", "X-Real: head") + b"4\r\nbody\r\n0\r\n"


async def test_trailers_are_no_headers(talk: Talk) -> None:
    talk.writer.write(CHUNKED + b"X-Real: trailer\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n")  # in one read, mostly
    await talk.says(ANSWER)
    assert talk.headers == [(b"host", b"x"), (b"transfer-encoding", b"chunked"), (b"x-real", b"head")]


@pytest.mark.parametrize("endless", [b"X-Many: x\r\n" * 1000, b"x" * 10_000], ids=["many", "long"])
@pytest.mark.parametrize("path", ["/", "/early"])
async def test_trailers_without_an_end_are_cut(talk: Talk, path: str, endless: bytes) -> None:
    talk.writer.write(CHUNKED.replace(b" / ", f" {path} ".encode()) + b"X-Long: ")
    with pytest.raises(ConnectionError):
        await talk.goes_on(endless)


async def test_a_body_that_nobody_waits_for_has_a_time(talk: Talk) -> None:
    talk.writer.write(request("/early", "POST", "Content-Length: 10"))
    await talk.says(ANSWER)
    talk.writer.write(b"x")
    await talk.ends()


async def test_a_connection_is_unused_from_the_end_of_its_request(talk: Talk) -> None:
    for number in range(3):
        talk.writer.write(request("/early", "POST", "Content-Length: 10"))
        await talk.says(ANSWER)
        if number == 2:
            talk.protocol.timeout_keep_alive = 0
        talk.writer.write(b"x" * 5)
        await asyncio.sleep(TIMEOUT_S / 10)
        talk.writer.write(b"x" * 5)
    await talk.ends()


async def test_a_long_body_in_chunks_is_no_trailer(talk: Talk) -> None:
    talk.writer.write(request("/", "POST", "Transfer-Encoding: chunked"))
    await until(lambda: asyncio.sleep(0, talk.headers))
    for _ in range(20):
        talk.protocol.data_received(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")  # a read each
    talk.writer.write(b"0\r\n\r\n")
    await talk.says(ANSWER)


async def test_a_further_request_that_comes_with_the_end_of_the_last_one_has_its_time(talk: Talk) -> None:
    talk.writer.write(request("/early", "POST", "Content-Length: 10"))
    await talk.says(ANSWER)
    talk.protocol.timeout_keep_alive = 0
    talk.writer.write(b"x" * 10 + request("/slow"))
    await asyncio.sleep(3 * TIMEOUT_S)
    talk.may_go_on.set()
    await talk.says(ANSWER)
