"""Without a broker the server runs its jobs itself: what it was doing when it died is done when it is up again."""

import json
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.cluster.servers import PostgreSQL, running
from tests import databases, processes
from tests.e2e.stack import Caller, serving
from tests.processes import Server
from tests.waiting import until_sync


@pytest.fixture
async def env(backend: str, tmp_path: Path) -> AsyncGenerator[dict[str, str]]:
    async with databases.empty_database(backend, tmp_path) as address:
        yield processes.safe(address)


@contextmanager
def again(folder: Path, env: dict[str, str], caller: Caller) -> Generator[Server]:
    """The server is up once more, and the caller calls it."""
    with serving(folder, env) as server, server.client() as client:
        client.headers = caller.client.headers
        caller.client = client
        yield server


async def test_what_a_process_committed_before_it_died_is_done(env: dict[str, str], tmp_path: Path) -> None:
    with serving(tmp_path, env) as server, server.client() as client:
        caller = Caller(client)
        caller.put_and_die("add_item", "orphan 1", "orphan 2")
        server.process.wait(timeout=30)
    with again(tmp_path, env, caller):
        caller.wait_for("orphan 1", "orphan 2")


async def test_a_process_that_is_killed_in_a_job_does_it_once(env: dict[str, str], tmp_path: Path) -> None:
    with serving(tmp_path, env) as server, server.client() as client:
        caller = Caller(client)
        caller.put("hold_at_first", "held")
        until_sync((tmp_path / "held.begun").exists)
        server.kill()
    with again(tmp_path, env, caller):
        caller.wait_for("held")


async def test_a_process_that_is_to_end_ends_its_jobs_first(env: dict[str, str], tmp_path: Path) -> None:
    with serving(tmp_path, env) as server, server.client() as client:
        caller = Caller(client)
        caller.put("end_slowly", "slow")
        until_sync((tmp_path / "slow.begun").exists)
    with again(tmp_path, env, caller):
        assert caller.titles() == ["slow"]


async def test_several_servers_share_the_jobs(env: dict[str, str], tmp_path: Path) -> None:
    titles = [f"{number:03}" for number in range(200)]
    with serving(tmp_path, env) as first, serving(tmp_path, env), first.client() as client:
        caller = Caller(client)
        caller.put("add_item", *titles)
        caller.wait_for(*titles)


@pytest.mark.skipif(not PostgreSQL.find(), reason="PostgreSQL is not installed")
def test_a_database_that_was_away_is_looked_at_again(tmp_path: Path) -> None:
    with running(PostgreSQL) as postgresql:
        env = processes.safe(postgresql.url)
        # A job of the start may be running when the database goes, and tells why it failed.
        with serving(tmp_path, env, expected="cannot be served now|Traceback") as server, server.client() as client:
            caller = Caller(client)
            caller.put("add_item", "before")
            caller.wait_for("before")
            # None is cut off in the middle, which would be an error of its own in the log.
            until_sync(lambda: postgresql.sql("SELECT count(*) FROM outbox WHERE state <> 'done'") == "0")
            postgresql.kill()
            until_sync(lambda: "cannot look for jobs now" in server.log.read_text())
            postgresql.start()
            until_sync(lambda: caller.try_to_put("add_item", "after"))
            caller.wait_for("before", "after")


def app(folder: Path, env: dict[str, str], *words: str, code: int = 0) -> dict[str, Any]:
    run = processes.command("app", *words, "--json", folder=folder, env=env)
    assert run.returncode == code, run.stdout + run.stderr
    return json.loads(run.stdout)


def test_what_failed_for_good_is_seen_and_tried_again_from_the_command_line(tmp_path: Path) -> None:
    env = processes.safe(f"sqlite:///{tmp_path}/app.db", LOG_LEVEL="ERROR")
    with serving(tmp_path, env, expected="failed for good") as server, server.client() as client:
        Caller(client).put("always_fail", "it")
        until_sync(lambda: app(tmp_path, env, "jobs", "list")["jobs"])
    (job,) = app(tmp_path, env, "jobs", "list")["jobs"]
    assert (job["task"], job["attempts"]) == ("tests.jobs_app.always_fail", 3)
    assert job["error"] == "LookupError: it is nowhere"
    said = processes.command("app", "jobs", "list", folder=tmp_path, env=env).stdout
    assert said.startswith(f"{job['id']}  tests.jobs_app.always_fail  attempts=3  ")
    assert said.endswith(f"LookupError: it is nowhere\nNext: app jobs retry {job['id']}\n")
    assert app(tmp_path, env, "jobs", "retry", str(job["id"]))["retried"] == 1
    assert app(tmp_path, env, "jobs", "list")["jobs"] == []
    (job,) = app(tmp_path, env, "jobs", "list", "--state", "waiting")["jobs"]
    assert job["attempts"] == 0
    assert app(tmp_path, env, "jobs", "retry", "--all")["retried"] == 0


@pytest.mark.parametrize(
    ("words", "code", "error", "message"),
    [
        (["retry"], 2, "usage", "name the ids of dead jobs, or --all"),
        (["retry", "1", "--all"], 2, "usage", "name the ids of dead jobs, or --all"),
        (["retry", "7"], 1, "unknown_job", "there is no dead job of that id"),
        (["retry", "0"], 2, "usage", "is no job's id"),
        (["retry", "99999999999999999999"], 2, "usage", "is no job's id"),
        (["retry", "seven"], 2, "usage", "is not a valid int"),
        (["list", "--state", "gone"], 2, "usage", "must be one of waiting, sent, running, done, dead"),
        (["list", "--limit", "0"], 2, "usage", "not in the range 1<=x<=1000"),
    ],
)
def test_a_wrong_word_is_one_line(tmp_path: Path, words: list[str], code: int, error: str, message: str) -> None:
    env = processes.safe(f"sqlite:///{tmp_path}/app.db")
    answer = app(tmp_path, env, "jobs", *words, code=code)
    assert answer["error"]["code"] == error
    assert message in answer["error"]["message"]
