"""Slow and greedy clients are cut, by the server itself: a head has 64 KB and 10 s, a body 1 MiB and 30 s."""

import socket
from collections.abc import Generator

import pytest

from tests import processes
from tests.processes import Server

POST = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
GET = b"GET /health/live HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with processes.server(folder, processes.safe(f"sqlite:///{folder}/app.db")) as running:
        yield running


def connect(server: Server) -> socket.socket:
    host, _, port = server.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=60)


def answer(connection: socket.socket) -> bytes:
    """All that comes until the server closes the connection."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def drip(connection: socket.socket, part: bytes) -> bytes:
    """Send a little every now and then, until the server has had enough."""
    while True:
        try:
            connection.sendall(part)
        except OSError:
            return b""
        connection.settimeout(0.5)
        try:
            return answer(connection)
        except TimeoutError:
            pass


def test_a_head_that_does_not_end_is_cut(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(GET)
        assert drip(connection, b"X-Slow: 1\r\n").startswith(b"HTTP/1.1 408 ")


def test_a_connection_that_says_nothing_is_cut(server: Server) -> None:
    with connect(server) as connection:
        assert answer(connection).startswith(b"HTTP/1.1 408 ")


def test_a_second_request_has_no_more_time(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(GET + b"\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(GET)
        assert drip(connection, b"X-Slow: 1\r\n").startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("head", [b"X-Many: x\r\n" * 100_000, b"X-Long: " + b"x" * 1_000_000])
def test_a_head_without_end_is_cut_before_it_fills_the_memory(server: Server, head: bytes) -> None:
    with connect(server) as connection:
        said = b""
        try:
            connection.sendall(GET + head)
            said = answer(connection)
        except OSError:
            pass  # it closed while we were still sending
        assert said == b"" or said.startswith(b"HTTP/1.1 431 ")
    with server.client() as client:
        assert client.get("/health/live").status_code == 200


def test_a_large_body_with_a_small_head_is_none_of_it(server: Server) -> None:
    body = b'{"email": "a@example.com", "password": "' + b"x" * 500_000 + b'"}'
    with server.client() as client:
        answered = client.post("/api/v1/auth/login", content=body, headers={"Content-Type": "application/json"})
        assert answered.status_code == 422


def test_a_body_that_does_not_arrive_is_cut(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(POST + b"Content-Length: 1000\r\n\r\n")
        said = drip(connection, b" ")
        assert said.startswith(b"HTTP/1.1 408 ")
        assert said.endswith(b'{"detail":"The body did not arrive in time"}')


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: +5\r\n\r\nabcde",
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_where_a_request_ends_is_never_in_doubt(server: Server, head: bytes) -> None:
    """Request smuggling: what two servers could read in two ways is refused, and nothing after it is answered."""
    with connect(server) as connection:
        connection.sendall(POST + head + GET + b"\r\n")
        connection.settimeout(20)
        said = answer(connection)
    assert said.startswith(b"HTTP/1.1 400 ")
    assert said.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "TRACK", "PROPFIND"])
def test_an_odd_method_is_refused(server: Server, method: str) -> None:
    with connect(server) as connection:
        connection.sendall(f"{method} /api/v1/items HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        said = answer(connection)
    assert said[:13] in (b"HTTP/1.1 400 ", b"HTTP/1.1 405 ")
    assert b"Host: x" not in said
