"""Every entity through the cache, as if each said `cached_for`: nobody sees another's, and everybody what was written.

Two applications share a Redis; a third one reads what stands in the database.
"""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import Response

from app.core.database import Base
from app.core.ownership import Guarded
from app.main import create_app
from deploy.cluster.servers import Redis
from tests import factories
from tests.conformance.matrix import World
from tests.factories import Actor
from tests.rows import Operation, operations

LISTED = {(operation.method, operation.path): operation for operation in operations(create_app(factories.settings()))}
COLLECTIONS = [
    operation
    for (method, path), operation in LISTED.items()
    if method == "POST" and ("GET", path) in LISTED and any(other.startswith(f"{path}/{{") for _, other in LISTED)
]


@pytest.fixture
async def apps(app: FastAPI, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[list[FastAPI]]:
    """Two with the cache, and one without."""
    for mapper in Base.registry.mappers:
        if issubclass(mapper.class_, Guarded):
            monkeypatch.setattr(mapper.class_, "cached_for", 3600.0)
    monkeypatch.setattr(app.state.cache, "_store", None)
    monkeypatch.setattr(app.state.identities, "_seconds", 0)  # else who is deleted may be known for a second
    await factories.superuser(app)  # so that no other is the last
    settings = app.state.settings.model_copy(update={"redis_url": redis.url, "identity_cache_seconds": 0})
    cached = [create_app(settings), create_app(settings)]
    for one in cached:
        one.state.hasher = app.state.hasher
    yield [*cached, app]
    for one in cached:
        await factories.close(one)


class Tried:
    """A collection, read by its owner, another user and a superuser, in each of the applications."""

    def __init__(self, apps: list[FastAPI], operation: Operation, actors: list[Actor]) -> None:
        self.apps, self.operation, self.actors = apps, operation, actors

    async def all_agree(self, *urls: str) -> list[Response]:
        """What the cache answers, asked first and asked again, is what the database says; the owner's answers."""
        seen: list[Response] = []
        for url in urls:
            for actor in self.actors:
                said = [await Actor(app, actor.id, actor.email, actor.token).http.get(url) for app in self.apps * 2]
                truth = said[-1]
                for answer in said:
                    told = f"{url}, for {actor.email}: {answer.text}, and in the database {truth.text}"
                    assert (answer.status_code, answer.content) == (truth.status_code, truth.content), told
                    for name in ("ETag", "Link", "X-Total-Count"):
                        assert answer.headers.get(name) == truth.headers.get(name), f"{name} of {told}"
                if actor is self.actors[0]:
                    seen.append(truth)
        return seen


@pytest.mark.parametrize("operation", COLLECTIONS, ids=str)
async def test_what_is_remembered_is_ones_own_and_new(apps: list[FastAPI], operation: Operation) -> None:
    world = World(apps[0])
    there = World(apps[1], beside=world)
    actors = [await make(apps[0]) for make in (factories.user, factories.user, factories.superuser)]
    owner, admin = actors[0], actors[2]
    tried = Tried(apps, operation, actors)
    url = await world.url(operation.path, owner)
    lists = [url, f"{url}?count=true&limit=1"]
    (before, _) = await tried.all_agree(*lists)
    row = await world.row(operation.path, owner, url)
    row_url = f"{url}/{row['id']}"
    after, _, read = await tried.all_agree(*lists, row_url)
    if before.status_code == 200:
        assert len(after.json()) == len(before.json()) + 1
        assert read.json()["id"] == row["id"]
    item_path = next(path for verb, path in LISTED if verb == "GET" and _is_row_of(path, operation.path))
    elsewhere = Actor(apps[1], admin.id, admin.email, admin.token)
    if ("PUT", item_path) in LISTED:
        changed = await there.call(elsewhere.http, LISTED["PUT", item_path], row_url, owner)
        assert changed.status_code == 200, changed.text
        await tried.all_agree(*lists, row_url)
    if ("DELETE", item_path) in LISTED:
        who = owner if LISTED["DELETE", item_path].needs_a_session else elsewhere
        assert (await who.http.delete(row_url)).status_code == 204
        await tried.all_agree(*lists, row_url)


def _is_row_of(path: str, collection: str) -> bool:
    return path.startswith(f"{collection}/{{") and path.endswith("}") and "/" not in path[len(collection) + 1 :]


@pytest.mark.parametrize("operation", COLLECTIONS, ids=str)
async def test_what_is_deleted_with_another_row_is_not_remembered(apps: list[FastAPI], operation: Operation) -> None:
    """The database does it by itself: below a parent, and where a row refers to it."""
    world = World(apps[0])
    actors = [await make(apps[0]) for make in (factories.user, factories.user, factories.superuser)]
    owner, _, admin = actors
    elsewhere: Any = Actor(apps[1], admin.id, admin.email, admin.token).http
    tried = Tried(apps, operation, actors)
    url = await world.url(operation.path, owner)
    row = await world.row(operation.path, owner, url)
    urls = (url, f"{url}/{row['id']}")
    await tried.all_agree(*urls)
    gone = [f"{path}/{row[name]}" for name, path in world.references(operation).items() if "{" not in path]
    parent = url.rpartition("/")[0]
    if parent.rpartition("/")[2].isdigit():
        gone.append(parent)
    for other in gone:
        await elsewhere.delete(other)
        await tried.all_agree(*urls)
    await elsewhere.delete(f"/api/v1/users/{owner.id}")
    await tried.all_agree(*urls)
