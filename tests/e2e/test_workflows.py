"""A user's whole way through a real server: register, login, create, update, delete."""

import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from app.auth.hashing import NICE
from deploy.cluster.processes import descendants
from tests import processes
from tests.factories import PASSWORD
from tests.waiting import until_sync

API = "/api/v1"


def sign_in(server: processes.Server, email: str) -> str:
    credentials = {"email": email, "password": PASSWORD}
    with server.client() as client:
        client.post(f"{API}/auth/register", json=credentials)
        return client.post(f"{API}/auth/login", json=credentials).json()["access_token"]


async def test_register_login_create_update_delete(empty_database: str, tmp_path: Path) -> None:
    with processes.server(tmp_path, processes.safe(empty_database)) as server:
        alice, bob = (sign_in(server, f"{name}@example.com") for name in ("alice", "bob"))
        with server.client(alice) as client, server.client(bob) as other:
            created = client.post(f"{API}/items", json={"title": "My item", "description": "Test"})
            assert created.status_code == 201
            url = f"{API}/items/{created.json()['id']}"
            assert client.get(f"{API}/items").json() == [created.json()]
            assert other.get(f"{API}/items").json() == []
            assert other.get(url).status_code == 403
            updated = client.put(url, json={"is_completed": True}, headers={"If-Match": created.headers["ETag"]})
            assert updated.json()["is_completed"] is True
            assert client.put(url, json={}, headers={"If-Match": created.headers["ETag"]}).status_code == 412
            assert client.delete(url).status_code == 204
            assert client.get(url).status_code == 404
            assert client.post(f"{API}/auth/logout").status_code == 204
            assert client.get(f"{API}/auth/me").status_code == 401


@pytest.mark.slow
async def test_servers_on_one_database_share_rows_and_sessions(empty_database: str, tmp_path: Path) -> None:
    """After ten processes migrated it, empty, at the same moment (promise 26)."""
    env = processes.safe(empty_database)
    assert processes.at_once(10, "migrate", folder=tmp_path, env=env) == [0] * 10
    with processes.server(tmp_path, env) as here, processes.server(tmp_path, env) as there:
        token = sign_in(here, "alice@example.com")
        with here.client(token) as client, there.client(token) as elsewhere:
            created = client.post(f"{API}/items", json={"title": "My item"})
            url = f"{API}/items/{created.json()['id']}"
            assert elsewhere.get(f"{API}/items").json() == [created.json()]
            updated = elsewhere.put(url, json={"is_completed": True}, headers={"If-Match": created.headers["ETag"]})
            assert updated.json()["is_completed"] is True
            assert client.put(url, json={}, headers={"If-Match": created.headers["ETag"]}).status_code == 412
            assert client.delete(url).status_code == 204
            assert elsewhere.get(url).status_code == 404
            assert client.post(f"{API}/auth/logout").status_code == 204
            assert client.get(f"{API}/auth/me").status_code == 401
            until_sync(lambda: elsewhere.get(f"{API}/auth/me").status_code == 401)  # IDENTITY_CACHE_SECONDS at most


def test_plain_uvicorn_migrates_and_serves_with_nothing_set(tmp_path: Path) -> None:
    env = processes.environment()
    with processes.server(tmp_path, env, "uvicorn", "app.main:app") as server, server.client() as client:
        assert client.get("/health/ready").json()["status"] == "ok"
        assert "text/html" in client.get("/docs").headers["Content-Type"]
    assert (tmp_path / ".env").read_text().startswith("SECRET_KEY=")


@pytest.mark.slow
async def test_hashing_keeps_nobody_waiting(empty_database: str, tmp_path: Path) -> None:
    """While sign-ins hash, other requests are answered between them (promise 10); and a server that is told to stop
    while it hashes answers first (promise 30)."""
    with processes.server(tmp_path, processes.safe(empty_database) | {"BCRYPT_ROUNDS": "11"}) as server:
        token = sign_in(server, "alice@example.com")
        wrong = {"email": "alice@example.com", "password": "a wrong password"}
        with ThreadPoolExecutor(6) as pool, server.client(token) as client:
            logins = [pool.submit(_post, server, f"{API}/auth/login", wrong) for _ in range(6)]
            answered = 0
            while not all(login.done() for login in logins):
                assert client.get(f"{API}/items").status_code == 200
                answered += 1
            assert {login.result() for login in logins} == {401}
            assert answered > len(logins), "every hash held the others up"

            last = pool.submit(_post, server, f"{API}/auth/login", wrong)
            while not _is_hashing(server.process):
                assert not last.done()
            server.process.send_signal(signal.SIGTERM)
            assert last.result() == 401
            assert server.process.wait(timeout=30) in (0, -signal.SIGTERM)


def _post(server: processes.Server, url: str, body: dict[str, str]) -> int:
    with server.client() as client:
        return client.post(url, json=body).status_code


def _is_hashing(process: subprocess.Popen[str]) -> bool:
    """Whether a thread of the hasher's runs: the kernel tells its state and priority (proc_pid_stat(5), 3 and 19)."""
    for task in (path for pid in descendants(process.pid) for path in Path(f"/proc/{pid}/task").glob("*/stat")):
        with suppress(OSError):  # the thread has ended
            fields = task.read_text().rpartition(")")[2].split()
            if (fields[0], fields[16]) == ("R", str(NICE)):
                return True
    return False
