"""Slow, greedy and ambiguous clients, by the servers themselves: `app serve`, and uvicorn with h11 where it holds too.

A head has 64 KB and 10 s, a body 1 MiB and 30 s. uvicorn with h11 has no time limit for a head.
"""

import json
import resource
import socket
import time
from collections.abc import Generator
from pathlib import Path

import httpx2
import pytest

from tests import factories, processes
from tests.processes import Server

SERVERS = [("app", "serve"), ("uvicorn", "app.main:app", "--http", "h11")]
POST = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
SETTINGS_FRAME = b"\0\0\0\4\0\0\0\0\0"  # empty (RFC 9113, 6.5)
GET = b"GET /health/live HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with processes.server(folder, processes.safe(f"sqlite:///{folder}/app.db")) as running:
        yield running


@pytest.fixture(scope="module", params=SERVERS, ids=lambda words: words[0])
def either(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    folder = tmp_path_factory.mktemp("either")
    with processes.server(folder, processes.safe(f"sqlite:///{folder}/app.db"), *request.param) as running:
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


def answers_within(connection: socket.socket, seconds: float) -> bytes:
    """All that comes in this time, whether or not the server closes the connection."""
    said = b""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        connection.settimeout(left)
        try:
            if not (part := connection.recv(65536)):
                break
        except TimeoutError:
            break
        said += part
    return said


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
        assert drip(connection, b"X-Slow: 1\r\n") == b""


def test_a_connection_that_says_nothing_is_cut(server: Server) -> None:
    with connect(server) as connection:
        assert answer(connection) == b""


def test_a_second_request_has_no_more_time(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(GET + b"\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(GET)
        assert drip(connection, b"X-Slow: 1\r\n") == b""


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 4096, reason="too few open files are allowed")
def test_silent_connections_do_not_keep_others_out(server: Server) -> None:
    silent = [connect(server) for _ in range(1500)]
    assert httpx2.get(f"{server.url}/health/live", timeout=5).status_code == 200  # before those are cut
    for connection in silent:
        connection.close()


def test_http2_without_tls_is_spoken_where_it_is_enabled(tmp_path: Path) -> None:
    env = processes.safe(f"sqlite:///{tmp_path}/app.db", HTTP2_ENABLED="true")
    with processes.server(tmp_path, env) as server, connect(server) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SETTINGS_FRAME)
        assert connection.recv(65536)[3:4] == SETTINGS_FRAME[3:4]
        with server.client() as client:
            assert client.get("/health/live").status_code == 200  # HTTP/1.1 too


LARGE_HEADS = [b"X-Many: x\r\n" * 200_000, b"X-Long: " + b"x" * 2_000_000]


@pytest.mark.parametrize("head", LARGE_HEADS, ids=["many", "long"])
def test_a_large_head_is_refused(either: Server, head: bytes) -> None:
    with connect(either) as connection:
        said = b""
        try:
            connection.sendall(GET + head)
            said = answer(connection)
        except OSError:
            pass  # it closed while we were still sending
        assert said == b"" or said[:13] in (b"HTTP/1.1 431 ", b"HTTP/1.1 400 ")
    with either.client() as client:
        assert client.get("/health/live").status_code == 200


def test_the_status_of_a_large_head_is_431(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(GET + b"X-Long: " + b"x" * 70_000)
        assert answer(connection).startswith(b"HTTP/1.1 431 ")


def test_a_large_body_with_a_small_head_is_none_of_it(either: Server) -> None:
    body = b'{"email": "a@example.com", "password": "' + b"x" * 500_000 + b'"}'
    with either.client() as client:
        answered = client.post("/api/v1/auth/login", content=body, headers={"Content-Type": "application/json"})
        assert answered.status_code == 422


def test_a_body_that_does_not_arrive_is_cut(either: Server) -> None:
    with connect(either) as connection:
        connection.sendall(POST + b"Content-Length: 1000\r\n\r\n")
        said = drip(connection, b" ")
        assert said.startswith(b"HTTP/1.1 408 ")
        assert said.endswith(b'{"detail":"The body did not arrive in time"}')


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"


def test_trailers_without_an_end_are_cut(either: Server) -> None:
    with connect(either) as connection:
        connection.sendall(POST + CHUNKED)
        with pytest.raises(ConnectionError):
            connection.sendall(b"X-Many: x\r\n" * 10_000_000)


def test_trailers_are_no_headers(either: Server) -> None:
    with connect(either) as connection:
        connection.sendall(POST + CHUNKED + b"X-Request-ID: of-a-trailer\r\n\r\n")
        said = answers_within(connection, 3)
    assert said.startswith(b"HTTP/1.1 422 ")
    assert b"of-a-trailer" not in said


def test_a_body_that_nobody_waits_for_has_a_time(either: Server) -> None:
    with connect(either) as connection:
        connection.sendall(b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
        assert answer(connection).startswith(b"HTTP/1.1 404 ")


def test_an_upgrade_that_is_not_taken_is_one_request(either: Server) -> None:
    """Promise 36: what follows its head is its body, and no request that a proxy has not seen."""
    with connect(either) as connection:
        connection.sendall(
            b"POST /api/v1/auth/logout HTTP/1.1\r\nHost: x\r\n"
            b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 35\r\n\r\n"
        )
        time.sleep(0.3)  # in a read of its own
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: y\r\n\r\n")
        said = answers_within(connection, 3)
    assert said.startswith(b"HTTP/1.1 401 ")
    assert said.count(b"HTTP/1.1 ") == 1


def test_a_post_that_offers_http2_is_carried_out(either: Server) -> None:
    """As `curl --http2` sends it."""
    body = json.dumps({"email": factories.email(), "password": factories.PASSWORD}).encode()
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
    with connect(either) as connection:
        connection.sendall(
            POST.replace(b"login", b"register") + offer + b"Content-Length: %d\r\n\r\n" % len(body) + body
        )
        said = answers_within(connection, 3)
    assert said.startswith(b"HTTP/1.1 201 ")
    assert said.count(b"HTTP/1.1 ") == 1


def test_two_lengths_are_one_request(server: Server) -> None:
    """The chunks count, the connection is closed, and what follows is not read (RFC 9112, 6.1)."""
    with connect(server) as connection:
        lengths = b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        connection.sendall(POST + lengths + GET + b"\r\n")
        said = answer(connection)
    assert said.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 422 "))
    assert said.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: +5\r\n\r\nabcde",
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_where_a_request_ends_is_never_in_doubt(either: Server, head: bytes) -> None:
    """Request smuggling: what two servers could read in two ways is refused, and nothing after it is answered."""
    with connect(either) as connection:
        connection.sendall(POST + head + GET + b"\r\n")
        connection.settimeout(20)
        said = answer(connection)
    assert said.startswith(b"HTTP/1.1 400 ")
    assert said.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "TRACK", "PROPFIND"])
def test_an_odd_method_is_refused(either: Server, method: str) -> None:
    with connect(either) as connection:
        connection.sendall(f"{method} /api/v1/items HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        said = answer(connection)
    assert said[:13] in (b"HTTP/1.1 400 ", b"HTTP/1.1 405 ")
    assert b"Host: x" not in said
