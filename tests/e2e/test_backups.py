"""The commands of docs/DEPLOYMENT.md that back up and restore, on databases that take writes meanwhile."""

import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import databases, processes
from tests.e2e.pages import blocks
from tests.factories import PASSWORD

DUMP, RESTORE, COPY, BACK = blocks("docs/DEPLOYMENT.md", "bash")[1:]


class Person:
    """Somebody who signed in once; what they have outlives the server."""

    def __init__(self) -> None:
        self.token = ""

    @contextmanager
    def on(self, folder: Path, address: str) -> Generator["Person"]:
        with processes.server(folder, processes.safe(address)) as self.server, self.server.client() as self.client:
            if not self.token:
                body = {"email": "ada@example.com", "password": PASSWORD}
                assert self.client.post("/api/v1/auth/register", json=body).status_code == 201
                self.token = self.client.post("/api/v1/auth/login", json=body).json()["access_token"]
            self.client.headers["Authorization"] = f"Bearer {self.token}"
            yield self

    def put(self, *titles: str) -> None:
        for title in titles:
            assert self.client.post("/api/v1/items", json={"title": title}).status_code == 201

    def titles(self) -> list[str]:
        return [item["title"] for item in self.client.get("/api/v1/items?sort=id").json()]


def run(script: str, folder: Path, address: str = "") -> int:
    env = {"PATH": os.environ["PATH"], "DATABASE_URL": address}
    return subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=env).returncode


@pytest.mark.skipif("postgresql" not in databases.BACKENDS, reason="there is no PostgreSQL")
@pytest.mark.skipif(not shutil.which("pg_restore"), reason="PostgreSQL's client is not installed")
async def test_what_is_dumped_of_postgresql_comes_back(tmp_path: Path) -> None:
    ada = Person()
    async with databases.empty_database("postgresql", tmp_path) as first:
        with ada.on(tmp_path, first):
            ada.put("before")
            assert run(DUMP, tmp_path, first) == 0
            ada.put("after")
        assert run('psql --command "CREATE TABLE of_a_later_version ()" "$DATABASE_URL"', tmp_path, first) == 0
        assert run(RESTORE, tmp_path, first) == 0  # in the place of what is in it
        assert run('psql --command "CREATE TABLE of_a_later_version ()" "$DATABASE_URL"', tmp_path, first) == 0
        with ada.on(tmp_path, first):
            assert ada.titles() == ["before"]
    async with databases.empty_database("postgresql", tmp_path) as second:
        assert run(RESTORE, tmp_path, second) == 0
        with ada.on(tmp_path, second):
            assert ada.titles() == ["before"]
            ada.put("later")  # its id is a new one


def test_what_is_copied_of_sqlite_comes_back(tmp_path: Path) -> None:
    ada = Person()
    with ada.on(tmp_path, "sqlite:///app.db"):
        ada.put("before")
        assert run(COPY, tmp_path) == 0
        assert run(COPY, tmp_path) != 0  # not over a backup that is there
        ada.put("after")
        ada.server.kill()
    assert (tmp_path / "app.db-wal").stat().st_size  # what it has left, and what is not to come back
    assert run(BACK, tmp_path) == 0
    with ada.on(tmp_path, "sqlite:///app.db"):
        assert ada.titles() == ["before"]
        ada.put("later")


def test_what_is_not_there_is_not_backed_up(tmp_path: Path) -> None:
    assert run(COPY, tmp_path) != 0
    assert list(tmp_path.iterdir()) == []
