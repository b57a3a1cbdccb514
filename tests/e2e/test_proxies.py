"""The client's address is what trusted proxies say, and nothing that a client says. Promise 12, with real servers.

Everybody here has an address of their own: all of 127.0.0.0/8 is this machine.
"""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx2
import pytest

from deploy.cluster.servers import Nginx, running
from tests import factories, processes
from tests.processes import Server
from tests.proxy import Proxy

pytestmark = [
    pytest.mark.skipif(not Nginx.find(), reason="nginx is not installed"),
]

AUTH = "/api/v1/auth"
CLIENT, OTHER_CLIENT = "127.0.0.8", "127.0.0.9"
OUTER, INNER = "127.0.0.2", "127.0.0.3"
ENTRANCES = ["direct", "one proxy", "two proxies"]
FORGED = [
    [],
    ["203.0.113.7"],
    ["203.0.113.7, 198.51.100.1"],
    ["203.0.113.7", "198.51.100.1"],
    [INNER],
    [f"203.0.113.7, {OUTER}, {INNER}"],
    ["unknown"],
    ["[::1]:80"],
    [""],
]


@pytest.fixture
def server(tmp_path: Path) -> Generator[Server]:
    env = processes.safe(
        f"sqlite:///{tmp_path / 'app.db'}",
        FORWARDED_ALLOW_IPS=f"{OUTER}, {INNER}/32",
        RATE_LIMIT_ENABLED="true",
        RATE_LIMIT_AUTH="10000/hour",
        LOGIN_LIMIT_ACCOUNT="10000/hour",
        LOGIN_LIMIT_ADDRESS="3/hour",
    )
    with processes.server(tmp_path, env) as running_server:
        yield running_server


@contextmanager
def entered(server: Server, entrance: str) -> Generator[str]:
    """Where a client calls."""
    if entrance == "direct":
        yield server.url
        return
    with running(partial(Proxy, upstream=server.url, address=INNER)) as inner:
        if entrance == "one proxy":
            yield inner.url
            return
        with running(partial(Proxy, upstream=inner.url, address=OUTER)) as outer:
            yield outer.url


def client(url: str, address: str = CLIENT) -> httpx2.Client:
    return httpx2.Client(base_url=url, transport=httpx2.HTTPTransport(local_address=address), timeout=60)


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_a_session_has_its_clients_address_whatever_that_says(server: Server, entrance: str) -> None:
    body = {"email": factories.email(), "password": factories.PASSWORD}
    with entered(server, entrance) as url, client(url) as http:
        assert http.post(f"{AUTH}/register", json=body).status_code == 201
        for forged in FORGED:
            headers = [("X-Forwarded-For", value) for value in forged]
            token = http.post(f"{AUTH}/login", json=body, headers=headers).json()["access_token"]
        sessions = http.get(f"{AUTH}/sessions", headers={"Authorization": f"Bearer {token}"}).json()
    assert [session["ip_address"] for session in sessions] == [CLIENT] * len(FORGED)


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_nobody_guesses_on_under_another_address(server: Server, entrance: str) -> None:
    with entered(server, entrance) as url, client(url) as http, client(url, OTHER_CLIENT) as other:
        statuses = Counter(
            http.post(
                f"{AUTH}/login",
                json={"email": factories.email(), "password": "wrong password"},
                headers={"X-Forwarded-For": f"203.0.113.{number}"},
            ).status_code
            for number in range(20)
        )
        assert statuses == {401: 3, 429: 17}
        body = {"email": factories.email(), "password": "wrong password"}
        assert other.post(f"{AUTH}/login", json=body).status_code == 401


def test_a_production_that_believes_everybody_does_not_start(tmp_path: Path) -> None:
    env = processes.safe(
        f"sqlite:///{tmp_path / 'app.db'}", ENVIRONMENT="production", BCRYPT_ROUNDS="12", FORWARDED_ALLOW_IPS="*"
    )
    for words in (["app", "serve"], ["uvicorn", "app.main:app"]):
        run = processes.command(*words, folder=tmp_path, env=env)
        assert run.returncode != 0
        assert run.stderr.splitlines()[-1].startswith("FORWARDED_ALLOW_IPS: * believes whatever address a client makes")
        assert "Traceback" not in run.stderr
