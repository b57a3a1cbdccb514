"""The image: its build replayed in an empty folder, and its server, which may write to the temporary folder only."""

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.cluster.servers import scratch
from tests import databases, processes
from tests.e2e import dockerfile
from tests.factories import PASSWORD
from tests.processes import ROOT

# Where the tests run as root, the server is root without a single capability, as after `cap_drop: ALL`: a folder that
# is read only is that for it, too. Another user could not enter root's home, where this Python may be.
UNPRIVILEGED = ["/usr/bin/setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else ["/usr/bin/env"]


@pytest.fixture
async def address() -> AsyncGenerator[str]:
    """Of a server, where there is one, so that the app has several processes."""
    kind = "postgresql" if "postgresql" in databases.BACKENDS else "sqlite"
    with scratch() as folder:
        async with databases.empty_database(kind, folder) as url:
            yield url


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@contextmanager
def read_only(folder: Path) -> Generator[None]:
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink())]
    for path in folders:
        path.chmod(0o555)
    yield
    for path in folders:
        path.chmod(0o755)


def serve_unprivileged(srv: Path, temporary: Path, address: str, *words: str) -> None:
    """Sign up and make an item; nothing is written but below TMPDIR."""
    settings = {"ENVIRONMENT": "production", "HOST": "127.0.0.1", "SECRET_KEY": os.urandom(32).hex()}
    settings |= {"DATABASE_URL": address, "WEB_CONCURRENCY": "1" if address.startswith("sqlite") else "2"}
    env = processes.environment(**settings) | {"PYTHONPATH": str(srv), "PYTHONDONTWRITEBYTECODE": "1"}
    env |= {"HOME": str(srv), "TMPDIR": str(temporary)}
    before = files(srv)
    no_mail = "SMTP_URL is not set"
    with (
        read_only(srv),
        processes.server(temporary, env, *UNPRIVILEGED, *words, run_in=srv, expected=no_mail) as server,
    ):
        with server.client() as client:
            body = {"email": "nobody@example.com", "password": PASSWORD}
            assert client.post("/api/v1/auth/register", json=body).status_code == 201
            token = client.post("/api/v1/auth/login", json=body).json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            assert client.post("/api/v1/items", json={"title": "written"}).status_code == 201
            ask = [sys.executable, str(ROOT / "deploy" / "healthcheck.py"), "ready"]
            assert subprocess.run(ask, env={"PORT": server.url.rpartition(":")[2]}).returncode == 0
    assert files(srv) == before


async def test_the_server_writes_nothing_outside_of_its_temporary_folder(address: str) -> None:
    with scratch() as folder:
        srv, temporary = folder / "clone", folder / "tmp"  # where coverage looks for the project's own files
        srv.mkdir()
        temporary.mkdir()
        for name in ("app", "alembic"):
            shutil.copytree(ROOT / name, srv / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "alembic.ini", srv)
        serve_unprivileged(srv, temporary, address, sys.executable, "-m", "app.cli", "serve")


def test_cli_works_without_the_generator(tmp_path: Path) -> None:
    clone = tmp_path / "clone"  # whose coverage counts as the project's own
    shutil.copytree(ROOT / "app", clone / "app", ignore=shutil.ignore_patterns("__pycache__"))
    env = processes.environment(PYTHONPATH=str(clone))
    there = processes.command("app", "--help", folder=clone, env=env)
    assert there.returncode == 0, there.stderr
    assert "migrate" in there.stdout
    assert "drop-field" not in there.stdout
    gone = processes.command("app", "add", "Todo", "title:text", folder=clone, env=env)
    assert (gone.returncode, gone.stderr.startswith("No such command 'add'")) == (2, True)


@pytest.mark.skipif(not dockerfile.uv(), reason="uv is not installed")
async def test_the_dockerfiles_steps_build_what_serves(address: str) -> None:
    with scratch() as folder:
        srv, temporary = folder / "clone", folder / "tmp"
        for path in (srv, temporary):
            path.mkdir()
        dockerfile.replay(srv)
        assert not list((srv / ".venv").rglob("*.c"))
        assert not (srv / "generator").exists()
        serve_unprivileged(srv, temporary, address, str(srv / ".venv" / "bin" / "app"), "serve")
