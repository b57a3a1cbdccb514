"""`make cluster`: all of it on real servers, through nginx; and nothing of it is left when it ends."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx2
import pytest

from deploy.cluster.cluster import cluster, missing_packages
from deploy.cluster.servers import NotStarted, scratch
from tests import factories, processes
from tests.waiting import until, until_sync

API = "/api/v1"
NEEDS_SERVERS = pytest.mark.skipif(bool(missing_packages()), reason=f"not installed: {missing_packages()}")
PARTS = ["nginx", "app-1", "app-2", "app-3", "worker", "primary", "replica-1", "replica-2", "redis", "rabbitmq"]


@dataclass
class Printed:
    """What it says of itself."""

    said: str

    @property
    def url(self) -> str:
        return re.findall(r"^Groundwork on (\S+)$", self.said, re.MULTILINE)[0]

    def row(self, name: str) -> tuple[str, int, Path]:
        """The address, the process and the log of a part."""
        address, pid, log = re.findall(rf"^  {name} +(\S*) +(\d+)  (\S+)$", self.said, re.MULTILINE)[0]
        return address, int(pid), Path(log)

    @property
    def folder(self) -> Path:
        return self.row("nginx")[2].parents[1]

    def log(self, name: str) -> str:
        return self.row(name)[2].read_text()


def processes_in(folder: Path) -> list[str]:
    """Whatever works there or was told of it, of whatever user; a daemon of Erlang's leaves the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            told = str(folder).encode() in (process / "environ").read_bytes()
            if told or (process / "cwd").readlink().is_relative_to(folder):
                found.append((process / "cmdline").read_text().replace("\0", " "))
    return found


def command(**variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "deploy.cluster"],
        cwd=processes.ROOT,
        env=processes.environment(**{"DOCKER": "no"} | variables),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


@contextmanager
def printed() -> Generator[Printed]:
    """Up as long as this is entered; then Ctrl-C."""
    process = command()
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Ctrl-C"):
                break
        assert process.poll() is None, process.communicate()
        yield Printed("".join(lines))
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")


@NEEDS_SERVERS
async def test_all_of_it_runs_and_nothing_is_left_behind() -> None:
    with printed() as whole, httpx2.Client(base_url=whole.url, timeout=60) as client:
        assert all(processes_in(whole.folder / name) for name in PARTS)
        items = f"{API}/items"
        body = {"email": factories.email(), "password": factories.PASSWORD}
        assert client.post(f"{API}/auth/register", json=body).status_code == 201
        token = client.post(f"{API}/auth/login", json=body).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        assert client.post(items, json={"title": "everywhere"}).status_code == 201
        until_sync(lambda: [item["title"] for item in client.get(items).json()] == ["everywhere"])

        until_sync(lambda: client.get(items).is_success and all(items in whole.log(f"app-{n}") for n in (1, 2, 3)))
        until_sync(lambda: list((whole.folder / "worker" / "mails").glob("*.eml")))
        for name in ("replica-1", "replica-2"):
            await until_its_there("everywhere", whole.row(name)[0])

        address, pid, _ = whole.row("app-2")
        os.killpg(pid, signal.SIGKILL)
        until_sync(lambda: is_live(address))
    assert processes_in(whole.folder) == []
    assert not whole.folder.exists()


async def until_its_there(title: str, address: str) -> None:
    connection = await asyncpg.connect(address)
    try:
        assert await connection.fetchval("SELECT pg_is_in_recovery()")
        await until(lambda: connection.fetchval("SELECT true FROM example_items WHERE title = $1", title))
    finally:
        await connection.close()


def is_live(address: str) -> bool:
    with suppress(httpx2.HTTPError):
        return httpx2.get(f"{address}/health/live", timeout=5).is_success
    return False


@NEEDS_SERVERS
def test_a_part_that_does_not_start_ends_the_others() -> None:
    with scratch() as folder:
        with pytest.raises(NotStarted, match="app-1 ended at its start: PASSWORD_MIN_LENGTH"):
            with cluster(folder, settings={"PASSWORD_MIN_LENGTH": "1"}):
                raise AssertionError("it started")
        assert (folder / "rabbitmq" / "server.log").exists()
        assert processes_in(folder) == []


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"PATH": "/nowhere"}, "redis-server. Right: sudo apt-get install"),
        ({"APPS": "many"}, "APPS: many is not a number from 1 to 20. Right: make cluster APPS=3"),
    ],
)
def test_what_is_missing_or_wrong_is_said_on_one_line(variables: dict[str, str], said: str) -> None:
    process = command(**variables)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said in errors
    assert errors.count("\n") == 1


def test_where_docker_is_the_compose_file_runs_and_goes(tmp_path: Path) -> None:
    """With a docker that notes what it is told: what compose makes of it is its own."""
    docker, told = tmp_path / "docker", tmp_path / "told"
    docker.write_text(f'#!/bin/sh\necho "$@" "${{SECRET_KEY:+with a secret}}" >> {told}\n')
    docker.chmod(0o755)
    process = command(PATH=f"{tmp_path}:{os.environ['PATH']}", DOCKER="", HTTP_PORT="8123")
    assert process.stdout is not None
    lines = []
    while not lines or not lines[-1].startswith("Ctrl-C"):
        lines.append(process.stdout.readline())
        assert lines[-1], process.communicate()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert lines[0] == "Docker is here: starting the containers of docker-compose.yml ...\n"
    assert "Groundwork on http://127.0.0.1:8123\n" in lines
    compose = "compose --project-name groundwork-cluster -f docker-compose.yml -f deploy/compose/replicas.yml"
    assert [line.strip() for line in told.read_text().splitlines()] == [
        "info",
        "compose version",
        f"{compose} up --build --wait with a secret",
        f"{compose} ps with a secret",
        f"{compose} down --volumes with a secret",
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_start_ends_it(tmp_path: Path, number: signal.Signals) -> None:
    """With a docker whose `up` does not return, in the middle of what the main thread prints."""
    docker, told = tmp_path / "docker", tmp_path / "told"
    docker.write_text(f'#!/bin/sh\necho "$@" >> {told}\ncase "$*" in *" up "*) exec sleep 120;; esac\n')
    docker.chmod(0o755)
    process = command(PATH=f"{tmp_path}:{os.environ['PATH']}", DOCKER="", HTTP_PORT="8123")
    until_sync(lambda: told.exists() and " up " in told.read_text())
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert told.read_text().splitlines()[-1].endswith("down --volumes")
