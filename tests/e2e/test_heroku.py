"""The lines of the Procfile as a dyno runs them: through .profile, with addresses as Heroku's add-ons hand them out."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
import yaml

from deploy.cluster.servers import Redis, running
from tests import databases, processes
from tests.e2e.deployed import KNOWN
from tests.e2e.stack import Caller, working
from tests.processes import BIN, ROOT
from tests.waiting import until_sync

PROCFILE: dict[str, str] = yaml.safe_load((ROOT / "Procfile").read_text())
CONFIG = json.loads((ROOT / "app.json").read_text())


class RedisOfHeroku(Redis):
    """With a password, and TLS with a certificate that it has signed itself."""

    @property
    def url(self) -> str:
        return f"rediss://:secret@127.0.0.1:{self.port}"

    def prepare(self) -> None:
        words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key", "-out", "cert"]
        subprocess.run([*words, "-subj", "/CN=heroku"], cwd=self.folder, check=True, capture_output=True)

    def words(self) -> list[str]:
        tls = [
            "--tls-cert-file",
            "cert",
            "--tls-key-file",
            "key",
            "--tls-auth-clients",
            "no",
            "--requirepass",
            "secret",
        ]
        return [*super().words(), "--port", "0", "--tls-port", str(self.port), *tls]


@pytest.fixture(scope="module")
def redis_of_heroku() -> Generator[Redis]:
    if not (Redis.find() and shutil.which("openssl")):
        pytest.skip("redis-server or openssl is not installed")
    with running(RedisOfHeroku) as server:
        yield server


@pytest.fixture
async def dyno(redis_of_heroku: Redis, tmp_path: Path) -> AsyncGenerator[dict[str, str]]:
    kind = "postgresql" if "postgresql" in databases.BACKENDS else "sqlite"
    async with databases.empty_database(kind, tmp_path) as address:
        values = {name: variable["value"] for name, variable in CONFIG["env"].items() if "value" in variable}
        urls = {"DATABASE_URL": address.replace("postgresql://", "postgres://"), "REDIS_URL": redis_of_heroku.url}
        env = processes.environment(**values, **urls, SECRET_KEY=os.urandom(32).hex(), DYNO="web.1")
        yield env | {"PATH": f"{BIN}:{os.environ['PATH']}"}


def words(line: str) -> list[str]:
    return ["/bin/bash", "-c", f"source {ROOT / '.profile'}; exec {PROCFILE[line]}"]


def test_the_config_is_the_applications() -> None:
    assert set(CONFIG["env"]) <= KNOWN
    assert "value" not in CONFIG["env"]["SECRET_KEY"]
    # The router passes /metrics on as everything else.
    assert CONFIG["env"]["METRICS_ENABLED"]["value"] == "false"
    assert "METRICS_ENABLED=false" in (ROOT / "docs" / "deployment" / "heroku.md").read_text()
    assert set(PROCFILE) == {"release", "web", "worker"}


async def test_every_line_of_the_procfile_runs(dyno: dict[str, str], tmp_path: Path) -> None:
    release = processes.command(*words("release"), folder=tmp_path, env=dyno)
    assert release.returncode == 0, release.stderr
    env = dyno | {"CELERY_BROKER_URL": dyno["REDIS_URL"]}
    with processes.server(tmp_path, env, *words("web")) as server, working(tmp_path, env, words("worker")):
        with server.client() as client:
            until_sync(lambda: client.get("/health/ready").json()["status"] == "ok")
            Caller(client)  # whoever signs up is to be sent a mail, by the worker
        until_sync(lambda: "SMTP_URL is not set" in (tmp_path / "worker.log").read_text())
        assert "Redis is away" not in server.log.read_text() + (tmp_path / "worker.log").read_text()


def test_elsewhere_the_profile_changes_nothing() -> None:
    script = f"source {ROOT / '.profile'}; echo $REDIS_URL"
    for env, said in [({}, "rediss://h"), ({"DYNO": "web.1"}, "rediss://h?ssl_cert_reqs=none")]:
        run = subprocess.run(
            ["/bin/bash", "-c", script], env=env | {"REDIS_URL": "rediss://h"}, text=True, capture_output=True
        )
        assert run.stdout == f"{said}\n"


def test_what_the_build_adds_is_what_the_addresses_need(tmp_path: Path) -> None:
    """With a Python that notes what it is told: pip's own part is its."""
    python, told = tmp_path / "python", tmp_path / "told"
    python.write_text(f'#!/bin/sh\necho "$@" >> {told}\n')
    python.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert subprocess.run([ROOT / "bin" / "post_compile"], cwd=ROOT, env=env).returncode == 0
    assert told.read_text() == "-m pip install --quiet --requirement deploy/heroku/requirements.txt\n"
    added = pinned(ROOT / "deploy" / "heroku" / "requirements.txt")
    assert pinned(ROOT / "requirements.txt") <= added
    assert {"asyncpg", "redis", "celery", "sentry-sdk", "opentelemetry-sdk"} <= {name for name, _ in added}


def pinned(file: Path) -> set[tuple[str, str]]:
    return set(re.findall(r"^([\w.-]+)==(\S+)", file.read_text(), re.MULTILINE))


def test_the_buildpack_finds_one_lock_file() -> None:
    """It refuses more (its lib/package_manager.sh). Each word of .slugignore is a pattern, in a comment, too."""
    removed = (ROOT / ".slugignore").read_text().split()
    assert removed == ["uv.lock", "/generator"]
    found = [name for name in ("Pipfile.lock", "poetry.lock", "requirements.txt", "uv.lock") if (ROOT / name).exists()]
    assert [name for name in found if name not in removed] == ["requirements.txt"]
