"""SIGTERM: what is connected is answered, and what is not goes elsewhere. Promise 30, with `app serve` itself."""

import json
import os
import re
import signal
import socket
import sqlite3
import time
from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx2

from deploy.cluster.processes import descendants
from tests import factories, processes
from tests.processes import Server
from tests.waiting import until_sync

ITEMS = "/api/v1/items"


@contextmanager
def serving(folder: Path, *words: str, **settings: str) -> Generator[Server]:
    with processes.server(folder, processes.safe(f"sqlite:///{folder}/app.db", **settings), *words) as server:
        yield server


def connect(server: Server) -> HTTPConnection:
    """A kept connection, which has been used once."""
    connection = HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]), timeout=60)
    assert ask(connection, "GET", "/health/live") == (200, {"status": "ok"}, None)
    return connection


def ask(connection: HTTPConnection, method: str, path: str, **options: Any) -> tuple[int, Any, str | None]:
    connection.request(method, path, **options)
    return told(connection)


def told(connection: HTTPConnection) -> tuple[int, Any, str | None]:
    """The status, the body, and what it says of the connection."""
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read()), answer.getheader("Connection")


def unready(connection: HTTPConnection) -> tuple[int, Any, str | None] | None:
    answer = ask(connection, "GET", "/health/ready")
    return answer if answer[0] == 503 else None


def token(server: Server) -> str:
    body = {"email": factories.email(), "password": factories.PASSWORD}
    with server.client() as client:
        assert client.post("/api/v1/auth/register", json=body).status_code == 201
        return client.post("/api/v1/auth/login", json=body).json()["access_token"]


def headers(bearer: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}


def begin_post(connection: HTTPConnection, bearer: str, title: str) -> bytes:
    """All of a POST but the end of its body, which is answered."""
    body = json.dumps({"title": title}).encode()
    connection.putrequest("POST", ITEMS)
    for name, value in (headers(bearer) | {"Content-Length": str(len(body))}).items():
        connection.putheader(name, value)
    connection.endheaders(body[:5])
    return body[5:]


def post(connection: HTTPConnection, bearer: str, title: str) -> tuple[int, str, str | None]:
    status, row, said = ask(connection, "POST", ITEMS, body=json.dumps({"title": title}), headers=headers(bearer))
    return status, row["title"], said


def refuses(server: Server) -> bool:
    with suppress(TimeoutError):  # at the end nobody hears who begins a connection
        try:
            socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=0.5).close()
        except ConnectionRefusedError:
            return True
    return False


def titles(folder: Path) -> set[str]:
    with closing(sqlite3.connect(folder / "app.db")) as database:
        return {title for (title,) in database.execute("SELECT title FROM example_items")}


def test_what_is_connected_is_answered_and_what_is_not_goes_elsewhere(tmp_path: Path) -> None:
    with serving(tmp_path, "python", "-c", PATIENT, KEEP_ALIVE_SECONDS="60") as server, ExitStack() as ends:
        bearer = token(server)
        in_flight, looking, idle = (ends.enter_context(closing(connect(server))) for _ in range(3))
        rest = begin_post(in_flight, bearer, "in flight")
        server.process.send_signal(signal.SIGTERM)
        assert until_sync(lambda: unready(looking)) == (503, {"status": "draining", "checks": {}}, "close")
        until_sync(lambda: refuses(server))
        assert post(idle, bearer, "on an idle connection") == (201, "on an idle connection", "close")
        in_flight.send(rest)
        status, row, connection = told(in_flight)
        assert (status, row["title"], connection) == (201, "in flight", "close")
        assert server.process.wait(timeout=60) in (0, -signal.SIGTERM)
    assert titles(tmp_path) == {"in flight", "on an idle connection"}


# It keeps what is idle for a minute: a busy machine may take some of that between two lines of a test.
PATIENT = """
from app.core import protocol
protocol.IDLE_GRACE_S = 60
from app.cli import main
import sys
sys.argv = ["app", "serve"]
main()
"""


def test_several_workers_end_like_one(tmp_path: Path) -> None:
    with serving(tmp_path, WEB_CONCURRENCY="2") as server, ExitStack() as ends:
        bearer = token(server)
        in_flight, idle = (ends.enter_context(closing(connect(server))) for _ in range(2))
        rest = begin_post(in_flight, bearer, "in flight")
        server.process.send_signal(signal.SIGTERM)
        until_sync(lambda: refuses(server))  # with the process above them, which has the listener too
        in_flight.send(rest)
        status, row, connection = told(in_flight)
        assert (status, row["title"], connection) == (201, "in flight", "close")
        assert idle.sock.recv(1) == b""  # in the end
        assert server.process.wait(timeout=60) in (0, -signal.SIGTERM)


def test_an_unused_connection_is_kept_for_as_long_as_it_is_told(tmp_path: Path) -> None:
    with serving(tmp_path, KEEP_ALIVE_SECONDS="3") as server, closing(connect(server)) as idle:
        started = time.monotonic()
        assert idle.sock.recv(1) == b""
        assert 2 < time.monotonic() - started < 5  # the default


def test_who_only_looks_at_readiness_has_time_to_see_it(tmp_path: Path) -> None:
    with serving(tmp_path, DRAIN_SECONDS="300") as server, server.client() as client:
        server.process.send_signal(signal.SIGTERM)
        until_sync(lambda: client.get("/health/ready").json()["status"] == "draining")
        with server.client() as other:
            assert other.get("/health/ready").status_code == 503
            assert other.get("/health/live").status_code == 200
        server.process.send_signal(signal.SIGTERM)  # a supervisor's, to the whole group: nothing changes
        with server.client() as other:
            assert other.get("/health/live").headers["Connection"] == "close"
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(timeout=60) in (0, -signal.SIGINT, -signal.SIGTERM)


def test_ctrl_c_waits_for_nobody(tmp_path: Path) -> None:
    with serving(tmp_path, DRAIN_SECONDS="300") as server:
        with closing(connect(server)):
            server.process.send_signal(signal.SIGINT)
            assert server.process.wait(timeout=60) in (0, -signal.SIGINT)


def test_of_several_workers_one_is_replaced_and_all_are_counted(tmp_path: Path) -> None:
    with serving(tmp_path, WEB_CONCURRENCY="2") as server:
        first = set(until_sync(lambda: serving_workers(server, 2)))
        server.process.send_signal(signal.SIGHUP)
        second = set(until_sync(lambda: replaced(server, first)))
        killed = min(second)
        os.kill(killed, signal.SIGKILL)
        until_sync(lambda: replaced(server, {killed}))
        before = counted(server)
        for _ in range(40):  # each on a connection of its own, and so with either
            httpx2.get(f"{server.url}/health/live", timeout=60).raise_for_status()
        assert [counted(server) for _ in range(10)] == [before + 40] * 10


def serving_workers(server: Server, count: int) -> list[int]:
    """The processes that hold the listener, but for the one above them, when they are so many."""
    found = [pid for pid in descendants(server.process.pid) if listens(pid)]
    return found if len(found) == count else []


def listens(pid: int) -> bool:
    """Whether it polls: a worker does when its application has started."""
    with suppress(OSError):
        kinds = [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()]
        return any("eventpoll" in kind for kind in kinds)
    return False


def replaced(server: Server, gone: set[int]) -> list[int]:
    found = serving_workers(server, 2)
    return found if found and not gone & set(found) else []


def counted(server: Server) -> int:
    text = httpx2.get(f"{server.url}/metrics", timeout=60).text
    pattern = r'^http_request_duration_seconds_count\{.*route="/health/live".*\} (\d+)'
    return int(float(re.findall(pattern, text, re.MULTILINE)[0]))
