"""Two servers count together in Redis, and each for itself when it is killed: never nobody. Promise 28."""

import asyncio
import signal
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from redis import Redis as RedisClient

from app.core.db.redis import RedisLink
from app.core.limits.counters import Counters
from deploy.cluster.servers import Redis, running
from deploy.cluster.servers import Server as Service
from tests import factories, processes
from tests.processes import Server
from tests.waiting import until_sync

pytestmark = [
    pytest.mark.skipif(not Redis.find(), reason="redis-server is not installed"),
]

API = "/api/v1"
LIMITS = {
    "RATE_LIMIT_ENABLED": "true",
    "RATE_LIMIT_AUTH": "10000/hour",
    "LOGIN_LIMIT_ACCOUNT": "5/hour",
    "LOGIN_LIMIT_ADDRESS": "10000/hour",
}


@dataclass
class Pair:
    """Two servers, and the Redis that they share."""

    redis: Service
    servers: list[Server]

    def guess(self, email: str, count: int, servers: list[Server] | None = None) -> Counter[int]:
        """How so many wrong passwords are answered, all sent at once, to each server in turn."""
        urls = [server.url for server in servers or self.servers]

        def try_one(number: int) -> int:
            body = {"email": email, "password": "wrong password"}
            return httpx2.post(f"{urls[number % len(urls)]}{API}/auth/login", json=body, timeout=60).status_code

        with ThreadPoolExecutor(count) as crowd:
            return Counter(crowd.map(try_one, range(count)))

    @contextmanager
    def signed_in(self) -> Generator[list[httpx2.Client]]:
        """Somebody, at each of the servers."""
        body = {"email": factories.email(), "password": factories.PASSWORD}
        with ExitStack() as stack:
            clients = [stack.enter_context(server.client()) for server in self.servers]
            assert clients[0].post(f"{API}/auth/register", json=body).status_code == 201
            token = clients[0].post(f"{API}/auth/login", json=body).json()["access_token"]
            for client in clients:
                client.headers["Authorization"] = f"Bearer {token}"
            yield clients

    def counters(self) -> list[bytes]:
        with RedisClient.from_url(self.redis.url) as client:
            return client.keys()

    def counts_in_redis(self, client: httpx2.Client) -> bool:
        """Whether this client's server does."""
        with RedisClient.from_url(self.redis.url) as redis:
            redis.flushdb()
        return client.get(f"{API}/auth/me").is_success and bool(self.counters())


@pytest.fixture
def pair(tmp_path: Path) -> Generator[Pair]:
    with ExitStack() as stack:
        redis = stack.enter_context(running(Redis))
        env = processes.safe(f"sqlite:///{tmp_path / 'app.db'}", REDIS_URL=redis.url, **LIMITS)
        yield Pair(redis, [stack.enter_context(processes.server(tmp_path, env)) for _ in range(2)])


def use(clients: list[httpx2.Client]) -> None:
    """What every signed-in user does, wherever."""
    for client in clients:
        item = client.post(f"{API}/items", json={"title": "x"})
        assert item.status_code == 201
        url = f"{API}/items/{item.json()['id']}"
        assert client.get(url).status_code == 200
        assert client.put(url, json={"title": "y"}).status_code == 200
        assert client.delete(url).status_code == 204


def test_two_servers_count_together(pair: Pair) -> None:
    email = factories.email()
    assert pair.guess(email, 60) == {401: 5, 429: 55}
    assert not [counter for counter in pair.counters() if email.encode() in counter]


def test_redis_is_killed_and_comes_back(pair: Pair) -> None:
    with pair.signed_in() as clients:
        use(clients)
        assert pair.guess("before@example.com", 60) == {401: 5, 429: 55}
        pair.redis.kill()
        for server in pair.servers:
            assert pair.guess("meanwhile@example.com", 50, [server]) == {401: 5, 429: 45}
        use(clients)
        pair.redis.start()
        for client in clients:
            until_sync(lambda client=client: pair.counts_in_redis(client))
        use(clients)
        assert pair.guess("after@example.com", 60) == {401: 5, 429: 55}


def test_a_redis_that_hangs_hangs_nobody(pair: Pair) -> None:
    with pair.signed_in() as clients:
        pair.redis.signal(signal.SIGSTOP)
        for server in pair.servers:
            assert pair.guess("meanwhile@example.com", 50, [server]) == {401: 5, 429: 45}
        use(clients)


def test_a_server_starts_without_redis(tmp_path: Path) -> None:
    with running(Redis) as redis:
        redis.kill()
        env = processes.safe(f"sqlite:///{tmp_path / 'app.db'}", REDIS_URL=redis.url, **LIMITS)
        with processes.server(tmp_path, env) as server:
            pair = Pair(redis, [server])
            with pair.signed_in() as clients:
                use(clients)
            assert pair.guess(factories.email(), 50) == {401: 5, 429: 45}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_whoever_hears_first_that_redis_is_away_is_counted_too(number: int) -> None:
    with running(Redis) as redis:
        link = RedisLink(redis.url)
        counters = Counters(link, "test")
        for value in (1, 2, 3):
            assert (await counters.add("key", 3600)).value == value
        redis.signal(number)
        counts = await asyncio.gather(*(counters.add("key", 3600) for _ in range(60)))
        assert sorted(count.value for count in counts) == list(range(1, 61))
        await link.close()
