"""Races between fifty clients and two server processes on one database: one wins. Promises 7, 15, 18 and 22."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests import databases, factories, processes
from tests.factories import PASSWORD
from tests.waiting import until_sync

AUTH, ITEMS = "/api/v1/auth", "/api/v1/items"
CLIENTS = 50

Call = Callable[[httpx2.AsyncClient, int], Awaitable[httpx2.Response]]


class Arena:
    """Two servers that share a database, and an account there."""

    def __init__(self, folder: Path, urls: list[str]) -> None:
        self.folder = folder
        self.clients = [httpx2.AsyncClient(base_url=url, timeout=60) for url in urls]
        self.email = factories.email()

    async def race(self, call: Call) -> list[httpx2.Response]:
        """Fifty calls at once, half of them to each server."""
        return await asyncio.gather(*(call(self.clients[n % 2], n) for n in range(CLIENTS)))

    async def sign_up(self) -> None:
        answer = await self.post("register", email=self.email, password=PASSWORD)
        assert answer.status_code == 201
        for client in self.clients:
            client.headers["Authorization"] = f"Bearer {(await self.sign_in())['access_token']}"

    async def sign_in(self) -> dict[str, Any]:
        return (await self.post("login", email=self.email, password=PASSWORD)).json()

    async def post(self, path: str, **body: Any) -> httpx2.Response:
        return await self.clients[0].post(f"{AUTH}/{path}", json=body)

    async def item(self) -> httpx2.Response:
        return await self.clients[0].post(ITEMS, json={"title": "before"})

    def mailed_token(self, subject: str) -> str:
        """The token of the only mail with that subject; the servers keep their mails in their folder."""

        def look() -> str | None:
            texts = [path.read_text() for path in (self.folder / "mails").glob("*.eml")]
            found = [text for text in texts if f"Subject: {subject}" in text]
            return found[0].partition("The token for it: ")[2].split()[0] if found else None

        return until_sync(look)


@pytest.fixture
async def arena(backend: str, tmp_path: Path) -> AsyncGenerator[Arena]:
    async with databases.empty_database(backend, tmp_path) as address:
        env = processes.safe(address, RATE_LIMIT_ENABLED="false", DB_POOL_SIZE="5")
        with processes.server(tmp_path, env) as first, processes.server(tmp_path, env) as second:
            arena = Arena(tmp_path, [first.url, second.url])
            await arena.sign_up()
            yield arena
            for client in arena.clients:
                await client.aclose()


def statuses(answers: list[httpx2.Response]) -> dict[int, int]:
    return dict(Counter(answer.status_code for answer in answers))


async def test_one_address_is_registered_once(arena: Arena) -> None:
    spellings = ["racer@example.com", "RACER@example.com", "Racer@Example.com"]

    async def register(client: httpx2.AsyncClient, number: int) -> httpx2.Response:
        return await client.post(f"{AUTH}/register", json={"email": spellings[number % 3], "password": PASSWORD})

    assert statuses(await arena.race(register)) == {201: 1, 409: CLIENTS - 1}


async def test_one_etag_is_good_for_one_change(arena: Arena) -> None:
    item = await arena.item()
    headers, url = {"If-Match": item.headers["ETag"]}, f"{ITEMS}/{item.json()['id']}"
    answers = await arena.race(lambda client, n: client.put(url, json={"title": f"{n}"}, headers=headers))
    assert statuses(answers) == {200: 1, 412: CLIENTS - 1}


async def test_one_key_makes_one_row(arena: Arena) -> None:
    headers = {"Idempotency-Key": "once"}
    answers = await arena.race(lambda client, _: client.post(ITEMS, json={"title": "once"}, headers=headers))
    assert statuses(answers) == {201: CLIENTS}
    assert len({answer.text for answer in answers}) == 1
    assert len((await arena.clients[0].get(ITEMS)).json()) == 1


async def test_one_refresh_token_is_refreshed_once(arena: Arena) -> None:
    body = {"refresh_token": (await arena.sign_in())["refresh_token"]}
    answers = await arena.race(lambda client, _: client.post(f"{AUTH}/refresh", json=body))
    assert statuses(answers) == {200: 1, 401: CLIENTS - 1}


async def test_one_reset_token_sets_one_password(arena: Arena) -> None:
    assert (await arena.post("forgot-password", email=arena.email)).status_code == 202
    token = arena.mailed_token("Reset your password")

    async def reset(client: httpx2.AsyncClient, number: int) -> httpx2.Response:
        return await client.post(f"{AUTH}/reset-password", json={"token": token, "password": f"password no {number}"})

    answers = await arena.race(reset)
    assert statuses(answers) == {204: 1, 422: CLIENTS - 1}
    winner = next(number for number, answer in enumerate(answers) if answer.status_code == 204)
    assert (await arena.post("login", email=arena.email, password=f"password no {winner}")).status_code == 200


async def test_many_writers_make_all_their_rows(arena: Arena) -> None:
    answers = await arena.race(lambda client, n: client.post(ITEMS, json={"title": f"{n}"}))
    assert statuses(answers) == {201: CLIENTS}
    assert len((await arena.clients[1].get(ITEMS)).json()) == CLIENTS
