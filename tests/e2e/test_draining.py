"""SIGTERM: requests in flight finish, and for DRAIN_SECONDS new ones are served. Promise 30, with `app serve`."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx2
import pytest

from deploy.cluster.ports import free_port
from deploy.cluster.processes import descendants
from tests import factories, processes
from tests.processes import Server
from tests.waiting import until_sync

ITEMS = "/api/v1/items"


@contextmanager
def serving(folder: Path, *, expected: str = "nothing else", **settings: str) -> Generator[Server]:
    env = processes.safe(f"sqlite:///{folder}/app.db", **settings)
    with processes.server(folder, env, expected=expected) as server:
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
    try:
        socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=60).close()
    except ConnectionRefusedError:
        return True
    return False


def titles(folder: Path) -> set[str]:
    with closing(sqlite3.connect(folder / "app.db")) as database:
        return {title for (title,) in database.execute("SELECT title FROM example_items")}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_for_drain_seconds_it_serves_and_is_not_ready(tmp_path: Path, workers: str) -> None:
    with serving(tmp_path, WEB_CONCURRENCY=workers, DRAIN_SECONDS="8") as server, ExitStack() as ends:
        bearer = token(server)
        in_flight, idle, looking = (ends.enter_context(closing(connect(server))) for _ in range(3))
        rest = begin_post(in_flight, bearer, "in flight")
        started = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert until_sync(lambda: unready(looking)) == (503, {"status": "draining", "checks": {}}, "close")
        server.process.send_signal(signal.SIGTERM)  # changes nothing
        with server.client() as other:
            answered = other.get("/health/live")
            assert (answered.status_code, answered.headers["Connection"]) == (200, "close")
        assert post(idle, bearer, "on a kept connection") == (201, "on a kept connection", "close")
        until_sync(lambda: refuses(server))
        assert time.monotonic() - started > 7
        in_flight.send(rest)
        status, row, _ = told(in_flight)
        assert (status, row["title"]) == (201, "in flight")
        assert server.process.wait(timeout=60) == 0
    assert titles(tmp_path) == {"in flight", "on a kept connection"}


def test_a_signal_to_the_whole_group_drains_likewise(tmp_path: Path) -> None:
    with serving(tmp_path, DRAIN_SECONDS="3") as server, closing(connect(server)) as looking:
        os.killpg(server.process.pid, signal.SIGTERM)
        assert until_sync(lambda: unready(looking)) == (503, {"status": "draining", "checks": {}}, "close")
        assert server.process.wait(timeout=60) == 0


def test_without_drain_seconds_what_is_in_flight_is_answered(tmp_path: Path) -> None:
    with serving(tmp_path) as server, ExitStack() as ends:
        bearer = token(server)
        in_flight, idle = (ends.enter_context(closing(connect(server))) for _ in range(2))
        rest = begin_post(in_flight, bearer, "in flight")
        time.sleep(0.5)  # until the server has its head
        server.process.send_signal(signal.SIGTERM)
        assert idle.sock.recv(1) == b""
        until_sync(lambda: refuses(server))
        in_flight.send(rest)
        status, row, _ = told(in_flight)
        assert (status, row["title"]) == (201, "in flight")
        assert server.process.wait(timeout=60) == 0


def test_an_unused_connection_is_kept_for_as_long_as_it_is_told(tmp_path: Path) -> None:
    with serving(tmp_path, KEEP_ALIVE_SECONDS="14") as server, closing(connect(server)) as idle:
        started = time.monotonic()
        assert idle.sock.recv(1) == b""
        assert 12 < time.monotonic() - started < 30  # 10 is the default


def test_ctrl_c_waits_for_nobody(tmp_path: Path) -> None:
    """A terminal sends it to the whole group."""
    with serving(tmp_path, DRAIN_SECONDS="300") as server, closing(connect(server)):
        os.killpg(server.process.pid, signal.SIGINT)
        assert server.process.wait(timeout=20) == 0


def test_one_that_is_still_starting_ends_on_sigterm(tmp_path: Path) -> None:
    env = processes.safe(f"sqlite:///{tmp_path}/app.db", PORT=str(free_port()))
    words = [str(processes.BIN / "app"), "serve"]
    with (tmp_path / "log").open("w+") as log, subprocess.Popen(words, cwd=tmp_path, env=env, stderr=log) as process:
        until_sync(lambda: "Spawning worker" in (tmp_path / "log").read_text())
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0


def test_of_several_workers_one_is_replaced_and_all_are_counted(tmp_path: Path) -> None:
    with serving(tmp_path, WEB_CONCURRENCY="2", expected="Unexpected exit from worker") as server:
        killed = min(until_sync(lambda: serving_workers(server, 2)))
        os.kill(killed, signal.SIGKILL)
        second = set(until_sync(lambda: replaced(server, {killed})))
        server.process.send_signal(signal.SIGHUP)
        until_sync(lambda: replaced(server, second))
        before = counted(server)
        for _ in range(40):  # each on a connection of its own, and so with either
            httpx2.get(f"{server.url}/health/live", timeout=60).raise_for_status()
        assert [counted(server) for _ in range(10)] == [before + 40] * 10


def serving_workers(server: Server, count: int) -> list[int]:
    """The processes below the main one whose event loop runs, when they are so many."""
    found = [pid for pid in descendants(server.process.pid) if polls(pid)]
    return found if len(found) == count else []


def polls(pid: int) -> bool:
    """Whether it polls."""
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
    return sum(int(count) for count in re.findall(pattern, text, re.MULTILINE))
