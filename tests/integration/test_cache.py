"""Entities through the cache, in memory and in Redis: what is remembered, for whom, and until when."""

import signal
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import delete, insert, select, text, update

from app.auth.models import User
from app.core.caching.rows import Listed, remember_page
from app.core.database import Reader
from app.core.ownership import visible_to
from app.examples.models import ExampleItem
from app.main import create_app
from deploy.cluster.servers import Redis, running
from tests import factories
from tests.factories import Actor
from tests.statements import statements
from tests.waiting import until

LONG_S = 3600.0
ITEMS = "/api/v1/items"


@pytest.fixture(autouse=True)
def cached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ExampleItem, "cached_for", LONG_S)


@pytest.fixture(params=["memory", "redis"])
async def cached_app(app: FastAPI, request: pytest.FixtureRequest) -> AsyncGenerator[FastAPI]:
    """The application with a cache of that kind."""
    url = request.getfixturevalue("redis").url if request.param == "redis" else ""
    other = another(app, url)
    yield other
    await factories.close(other)


def another(app: FastAPI, redis_url: str, **values: Any) -> FastAPI:
    """Another application on the same database, as another process would be, but without jobs."""
    other = create_app(app.state.settings.model_copy(update={"redis_url": redis_url, **values}))
    other.state.hasher = app.state.hasher
    return other


def at(app: FastAPI, actor: Actor) -> Actor:
    return Actor(app, actor.id, actor.email, actor.token)


async def get(actor: Actor, path: str = ITEMS) -> Any:
    response = await actor.http.get(path)
    assert response.status_code == 200, response.text
    return response.json()


async def is_remembered(actor: Actor, path: str = ITEMS) -> bool:
    with statements(actor.app) as seen:
        await get(actor, path)
        return not any("example_items" in statement for statement in seen)


async def test_a_row_and_a_list_are_read_once(cached_app: FastAPI, user: Actor) -> None:
    mine = at(cached_app, user)
    item = await factories.item(mine)
    for path in (ITEMS, f"{ITEMS}/{item['id']}", f"{ITEMS}?limit=1&count=true&sort=-title"):
        assert not await is_remembered(mine, path)
        assert await is_remembered(mine, path)
    assert not await is_remembered(mine, f"{ITEMS}?limit=2&count=true&sort=-title")


async def test_what_is_remembered_is_answered_alike(cached_app: FastAPI, user: Actor) -> None:
    mine = at(cached_app, user)
    items = [await factories.item(mine, title=title) for title in ("ä\u2028b", "2", "3")]
    for path in (f"{ITEMS}/{items[0]['id']}", f"{ITEMS}?limit=2&count=true", f"{ITEMS}?q=ä&count=true"):
        first, second = await mine.http.get(path), await mine.http.get(path)
        assert first.content == second.content
        for header in ("ETag", "Link", "X-Total-Count"):
            assert first.headers.get(header) == second.headers.get(header)
    row, page = await mine.http.get(f"{ITEMS}/{items[0]['id']}"), await mine.http.get(f"{ITEMS}?limit=2&count=true")
    assert page.headers["X-Total-Count"] == "3"
    assert [item["title"] for item in (await mine.http.get(page.links["next"]["url"])).json()] == ["3"]
    stale = await mine.http.put(f"{ITEMS}/{items[0]['id']}", json={"title": "x"}, headers={"If-Match": '"old"'})
    assert stale.status_code == 412
    fresh = {"If-Match": row.headers["ETag"]}
    assert (await mine.http.put(f"{ITEMS}/{items[0]['id']}", json={"title": "x"}, headers=fresh)).status_code == 200


async def test_ones_own_writes_are_seen_at_once(cached_app: FastAPI, user: Actor) -> None:
    mine = at(cached_app, user)
    assert await get(mine) == []
    item = await factories.item(mine)
    path = f"{ITEMS}/{item['id']}"
    assert await get(mine) == [item] == [await get(mine, path)]
    changed = (await mine.http.put(path, json={"title": "Changed"})).json()
    assert await get(mine) == [changed] == [await get(mine, path)]
    assert (await mine.http.delete(path)).status_code == 204
    assert await get(mine) == []
    assert (await mine.http.get(path)).status_code == 404


async def test_others_neither_see_it_nor_lose_theirs(
    cached_app: FastAPI, user: Actor, other: Actor, superuser: Actor
) -> None:
    mine, theirs, admin = at(cached_app, user), at(cached_app, other), at(cached_app, superuser)
    item = await factories.item(mine)
    path = f"{ITEMS}/{item['id']}"
    for actor in (mine, theirs, admin):
        await actor.http.get(ITEMS)
        await actor.http.get(path)
    assert (await theirs.http.get(path)).status_code == 403
    assert await get(theirs) == []
    assert await get(admin) == [item]
    assert not await is_remembered(admin)
    await factories.item(mine)
    assert await is_remembered(theirs)
    assert not await is_remembered(mine)


async def test_a_superusers_write_is_seen_by_the_owner(cached_app: FastAPI, user: Actor, superuser: Actor) -> None:
    mine, admin = at(cached_app, user), at(cached_app, superuser)
    path = f"{ITEMS}/{(await factories.item(mine))['id']}"
    await get(mine, path)
    assert (await admin.http.put(path, json={"title": "By an admin"})).status_code == 200
    assert (await get(mine, path))["title"] == "By an admin"


async def test_every_way_of_writing_is_noticed(cached_app: FastAPI, user: Actor, other: Actor) -> None:
    mine, database = at(cached_app, user), cached_app.state.database
    item = await factories.item(mine)
    for statement in (
        update(ExampleItem).values(title="Updated"),
        insert(ExampleItem).values(user_id=user.id, title="Inserted"),
        delete(ExampleItem).where(ExampleItem.title == "Inserted"),
        text("UPDATE example_items SET title = 'In words'"),
        update(ExampleItem.__table__).values(title="Of the core"),  # ty: ignore[invalid-argument-type]
    ):
        before = await get(mine)
        assert await is_remembered(mine)
        async with database.sessions.begin() as db:
            await db.execute(statement)
        assert await get(mine) != before, str(statement)
    async with database.sessions.begin() as db:
        (await db.get_one(ExampleItem, item["id"])).user_id = other.id
    assert await get(mine) == []
    assert len(await get(at(cached_app, other))) == 1


async def test_what_goes_with_its_user_is_not_remembered(cached_app: FastAPI, user: Actor) -> None:
    await factories.item(at(cached_app, user))
    mine, read = visible_to(user_as_caller(user), ExampleItem), cached_app.state.database.read

    async def load(read: Reader) -> Listed:
        return Listed(await read.all(mine), has_more=False, total=None)

    for _ in range(2):
        assert len((await remember_page(read, mine, count=False, load=load)).rows) == 1
    async with cached_app.state.database.sessions.begin() as db:
        await db.delete(await db.get_one(User, user.id))
    assert (await remember_page(read, mine, count=False, load=load)).rows == []


async def test_a_change_that_is_rolled_back_forgets_nothing(cached_app: FastAPI, user: Actor) -> None:
    mine = at(cached_app, user)
    await get(mine)
    async with cached_app.state.database.sessions() as db:
        db.add(ExampleItem(user_id=user.id, title="Never"))
        await db.flush()
        await db.rollback()
    assert await is_remembered(mine)


async def test_what_other_tables_have_a_part_in_is_not_remembered(cached_app: FastAPI, user: Actor) -> None:
    read, caller = cached_app.state.database.read, user_as_caller(user)
    loads = 0

    async def load(_: Reader) -> Listed:
        nonlocal loads
        loads += 1
        return Listed([], has_more=False, total=None)

    mine = visible_to(caller, ExampleItem)
    others = select(User.id).where(User.is_active)
    for statement in (mine.where(ExampleItem.user_id.in_(others)), mine.join(User), select(ExampleItem)):
        for _ in range(2):
            loads = 0
            await remember_page(read, statement, count=False, load=load)
            assert loads == 1


async def test_without_the_line_nothing_is_remembered(
    cached_app: FastAPI, user: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ExampleItem, "cached_for", None)
    mine = at(cached_app, user)
    await get(mine)
    assert not await is_remembered(mine)
    with pytest.raises(ValueError, match="cached_for = 30"):
        await cached_app.state.cache.get_or_load(user_as_caller(user), ExampleItem, "k", 1, nothing)


async def test_what_everybody_may_see_is_forgotten_for_everybody(
    cached_app: FastAPI, user: Actor, other: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ExampleItem, "public_read", True)
    mine, theirs = at(cached_app, user), at(cached_app, other)
    assert await get(theirs) == []
    assert await is_remembered(theirs)
    item = await factories.item(mine)
    assert await get(theirs) == [item]
    assert await get(theirs, f"{ITEMS}/{item['id']}") == item


async def test_a_write_is_seen_in_every_process(app: FastAPI, redis: Redis, user: Actor) -> None:
    one, two = another(app, redis.url), another(app, redis.url)
    here, there = at(one, user), at(two, user)
    item: dict[str, Any] | None = None
    for number in range(10):
        assert await get(here) == await get(there) == ([item] if item else [])
        if item is None:
            item = await factories.item(here)
        else:
            writer = here if number % 2 else there
            item = (await writer.http.put(f"{ITEMS}/{item['id']}", json={"title": str(number)})).json()
    assert await is_remembered(there) is False
    assert await is_remembered(here), "what the other has loaded is shared"
    for one_of_them in (one, two):
        await factories.close(one_of_them)


async def test_several_processes_without_redis_remember_nothing(app: FastAPI, user: Actor) -> None:
    for values in ({"web_concurrency": 2}, {"celery_broker_url": "amqp://nobody@127.0.0.1:1"}):
        crowd = another(app, "", **values)
        await get(at(crowd, user))
        assert not await is_remembered(at(crowd, user))
        await factories.close(crowd)


@pytest.mark.slow
async def test_crud_goes_on_while_redis_is_away_and_nothing_is_old_when_it_is_back(app: FastAPI, user: Actor) -> None:
    """Promise 28: the change that could not be told is told as soon as Redis answers, to others too."""
    with running(Redis) as redis:
        one, two = another(app, redis.url), another(app, redis.url)
        here, there = at(one, user), at(two, user)
        item = await factories.item(here)
        path = f"{ITEMS}/{item['id']}"
        assert await get(there, path) == item
        redis.signal(signal.SIGSTOP)  # it keeps what it has
        changed = (await here.http.put(path, json={"title": "Changed"})).json()
        assert await get(here, path) == changed
        redis.signal(signal.SIGCONT)
        await until(lambda: _is(there, path, changed))
        redis.kill()
        changed = (await here.http.put(path, json={"title": "Again"})).json()
        assert await get(here, path) == await get(there, path) == changed
        redis.start()
        await until(lambda: is_remembered(here, path))
        assert await get(here, path) == await get(there, path) == changed
        for one_of_them in (one, two):
            await factories.close(one_of_them)


async def test_a_change_that_redis_did_not_hear_of_is_told_when_it_answers(
    app: FastAPI, redis: Redis, user: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis is there all the time, and one of two processes cannot reach it."""
    for name in ("app.core.db.redis.AWAY_S", "app.core.caching.service.AWAY_S"):
        monkeypatch.setattr(name, 0.5)
    one, two = another(app, redis.url), another(app, redis.url)
    here, there = at(one, user), at(two, user)
    item = await factories.item(here)
    path = f"{ITEMS}/{item['id']}"
    assert await get(there, path) == item
    link = one.state.redis
    with monkeypatch.context() as patch:
        patch.setattr(link, "_may_ask", lambda: False)
        changed = (await here.http.put(path, json={"title": "Changed"})).json()
        assert await get(here, path) == changed
        assert await get(there, path) == item, "it could not know"
    await until(lambda: _is(there, path, changed))  # nobody asks the other for anything
    for one_of_them in (one, two):
        await factories.close(one_of_them)


async def _is(actor: Actor, path: str, expected: Any) -> bool:
    return await get(actor, path) == expected


def user_as_caller(user: Actor) -> Any:
    return SimpleNamespace(id=user.id, is_superuser=False)


async def nothing() -> None:
    pass
