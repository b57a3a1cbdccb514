"""With a broker and workers: what a request wants done is done, once for the user's eye, whoever dies. Promise 29.

Every server here is a real one of the test's own, and every kill is a kill -9.
"""

import signal
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.cluster.servers import PostgreSQL, RabbitMQ, Redis, Server, running
from tests import databases, processes
from tests.e2e.stack import API, Caller, end, serving, working
from tests.factories import PASSWORD
from tests.waiting import until_sync

BROKERS = {kind.__name__: kind for kind in (RabbitMQ, Redis) if kind.find()}


def pairs() -> list[tuple[str, str]]:
    """Each broker with a database and each database with a broker, of what is here."""
    kinds, backends = list(BROKERS), databases.BACKENDS
    count = max(len(kinds), len(backends)) if kinds else 0
    return [(kinds[n % len(kinds)], backends[n % len(backends)]) for n in range(count)]


@dataclass
class Stack:
    broker: Server
    folder: Path
    env: dict[str, str]

    @contextmanager
    def caller(self) -> Generator[Caller]:
        """Somebody whose server is up meanwhile."""
        with serving(self.folder, self.env) as server, server.client() as client:
            yield Caller(client)

    def begun(self, title: str) -> bool:
        return (self.folder / f"{title}.begun").exists()


@pytest.fixture(params=pairs(), ids="-".join)
async def stack(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Stack]:
    kind, backend = request.param
    async with databases.empty_database(backend, tmp_path) as address:
        with running(BROKERS[kind]) as broker:
            yield Stack(broker, tmp_path, processes.safe(address, CELERY_BROKER_URL=broker.url))


async def test_a_worker_runs_what_requests_leave(stack: Stack) -> None:
    with stack.caller() as caller, working(stack.folder, stack.env):
        caller.put("add_item", *(f"{number:03}" for number in range(250)))
        caller.wait_for(*(f"{number:03}" for number in range(250)))


async def test_the_command_migrates_and_works(stack: Stack) -> None:
    words = [str(processes.BIN / "app"), "worker", "--concurrency", "1"]
    with working(stack.folder, stack.env, words), processes.server(stack.folder, stack.env) as server:
        with server.client() as client:
            caller = Caller(client)
            body = {"current_password": PASSWORD, "password": "another password"}
            assert caller.client.patch(f"{API}/auth/me", json=body).status_code == 200
            told = "Subject: The password of your account was changed"
            until_sync(lambda: any(told in mail.read_text() for mail in stack.folder.glob("mails/*.eml")))


async def test_a_broker_that_is_away_delays_nobody_and_loses_nothing(stack: Stack) -> None:
    with stack.caller() as caller, working(stack.folder, stack.env):
        caller.put("add_item", "before")
        caller.wait_for("before")
        stack.broker.kill()
        for number in range(5):
            caller.put("add_item", f"meanwhile {number}")
        assert caller.titles() == ["before"]
        stack.broker.start()
        caller.wait_for("before", *(f"meanwhile {number}" for number in range(5)))


async def test_a_worker_that_is_killed_in_a_job_is_noticed_and_another_does_it_once(stack: Stack) -> None:
    with stack.caller() as caller:
        with working(stack.folder, stack.env) as worker:
            caller.put("hold_at_first", "held")
            until_sync(lambda: stack.begun("held"))
            end(worker, signal.SIGKILL)
        assert caller.titles() == []
        with working(stack.folder, stack.env):
            caller.wait_for("held")


async def test_what_a_process_committed_and_did_not_hand_over_is_swept_up(stack: Stack) -> None:
    with serving(stack.folder, stack.env) as server, server.client() as client:
        caller = Caller(client)
        caller.put_and_die("add_item", "orphan")
        server.process.wait(timeout=30)
    with serving(stack.folder, stack.env) as server, working(stack.folder, stack.env):
        with server.client() as client:
            client.headers = caller.client.headers
            caller.client = client
            caller.wait_for("orphan")


async def test_a_worker_that_is_to_end_ends_its_job_first(stack: Stack) -> None:
    with stack.caller() as caller:
        with working(stack.folder, stack.env) as worker:
            caller.put("end_slowly", "slow")
            until_sync(lambda: stack.begun("slow"))
            end(worker, signal.SIGTERM)
        assert caller.titles() == ["slow"]


async def test_a_broker_that_hangs_hangs_no_request(stack: Stack) -> None:
    """It takes connections and answers nothing, as a machine does that swaps."""
    with stack.caller() as caller, working(stack.folder, stack.env):
        caller.put("add_item", "before")
        caller.wait_for("before")
        stack.broker.signal(signal.SIGSTOP)
        for number in range(5):
            caller.put("add_item", f"meanwhile {number}")
        stack.broker.signal(signal.SIGCONT)
        caller.wait_for("before", *(f"meanwhile {number}" for number in range(5)))


@pytest.mark.skipif(not (RabbitMQ.find() and PostgreSQL.find()), reason="RabbitMQ or PostgreSQL is not installed")
def test_what_a_killed_worker_had_not_begun_goes_to_another_at_once(tmp_path: Path) -> None:
    with running(PostgreSQL) as database, running(RabbitMQ) as broker:
        stack = Stack(broker, tmp_path, processes.safe(database.url, CELERY_BROKER_URL=broker.url))
        with stack.caller() as caller:
            caller.put("add_item", "once")
            until_sync(lambda: database.sql("SELECT state FROM outbox WHERE task LIKE '%add_item'") == "sent")
            with socket.create_server(("127.0.0.1", 0)) as deaf:
                deaf.settimeout(60)
                address = f"postgresql://postgres@127.0.0.1:{deaf.getsockname()[1]}/postgres"
                with working(tmp_path, stack.env | {"DATABASE_URL": address}) as worker:
                    waiting = [deaf.accept() for _ in range(2)]  # for the job, and for the first sweep
                    end(worker, signal.SIGKILL)
                for connection, _ in waiting:
                    connection.close()
            with working(tmp_path, stack.env):
                caller.wait_for("once")  # much sooner than in the five minutes of SEND_AGAIN_S
