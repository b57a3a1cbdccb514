"""Items over HTTP: what a client creates, reads, changes and deletes."""

from datetime import UTC, datetime, timedelta

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select

from app.examples.models import ExampleItem
from tests import factories
from tests.factories import Actor

ITEMS = "/api/v1/items"


async def test_an_item_is_created_with_its_defaults(user: Actor) -> None:
    response = await user.http.post(ITEMS, json={"title": "My item"})
    assert response.status_code == 201
    item = response.json()
    fields = ["id", "user_id", "title", "description", "is_completed", "created_at", "updated_at"]
    assert [name for name in item if name in fields] == fields
    assert item["user_id"] == user.id
    assert (item["title"], item["description"], item["is_completed"]) == ("My item", None, False)
    assert item["created_at"] == item["updated_at"]
    assert datetime.fromisoformat(item["created_at"]).utcoffset() == timedelta(0)
    assert (await user.http.get(f"{ITEMS}/{item['id']}")).json() == item


async def test_every_text_comes_back_as_it_was(user: Actor) -> None:
    description = "line\r\n\ttab 🐎 é \u202e'\";--<script>%_\\" + "x" * 70_000  # past MySQL's TEXT
    item = await factories.item(user, title="🐎" * 200, description=description)
    read = (await user.http.get(f"{ITEMS}/{item['id']}")).json()
    assert (read["title"], read["description"]) == ("🐎" * 200, description)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"title": ""},
        {"title": "x" * 201},
        {"title": None},
        {"title": 5},
        {"title": "x", "is_completed": None},
        {"title": "x", "is_completed": "true"},
        {"title": "x", "is_completed": 0.0},
        {"title": "x", "is_completed": 1},
        {"title": "x", "description": 5},
        {"title": "x", "id": 1},
        {"title": "x", "user_id": 1},
        {"title": "x", "created_at": "2026-01-01T00:00:00Z"},
        [],
        None,
        "x",
    ],
    ids=str,
)
async def test_a_bad_item_is_422(user: Actor, body: object) -> None:
    assert (await user.http.post(ITEMS, json=body)).status_code == 422


async def test_put_changes_what_is_sent_and_only_that(user: Actor) -> None:
    item = await factories.item(user, description="Text")
    url = f"{ITEMS}/{item['id']}"
    done = (await user.http.put(url, json={"is_completed": True})).json()
    assert done == item | {"is_completed": True, "updated_at": done["updated_at"]}
    assert done["updated_at"] > item["updated_at"]
    bare = (await user.http.put(url, json={"description": None})).json()
    assert (bare["description"], bare["is_completed"]) == (None, True)
    assert (await user.http.put(url, json={})).json() == bare
    assert (await user.http.get(url)).json() == bare
    for body in ({"title": None}, {"is_completed": None}, {"id": 7}, {"user_id": 7}):
        assert (await user.http.put(url, json=body)).status_code == 422


async def test_a_deleted_item_is_gone_and_its_id_is_not_given_again(user: Actor) -> None:
    item = await factories.item(user)
    url = f"{ITEMS}/{item['id']}"
    response = await user.http.delete(url)
    assert (response.status_code, response.content) == (204, b"")
    missing = await user.http.get(url)
    assert (missing.status_code, missing.json()) == (404, {"detail": "Example item not found"})
    assert (await user.http.delete(url)).status_code == 404
    assert (await factories.item(user))["id"] > item["id"]


async def test_anothers_item_is_403_in_words(user: Actor, other: Actor) -> None:
    item = await factories.item(user)
    response = await other.http.get(f"{ITEMS}/{item['id']}")
    assert (response.status_code, response.json()) == (403, {"detail": "Not authorized to access this resource"})


@pytest.mark.parametrize("row_id", ["0", "-1", str(-(2**31) - 1), str(2**31), str(2**63), str(10**30)])
async def test_an_id_that_no_row_can_have_is_404(user: Actor, superuser: Actor, row_id: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        body = {"title": "x"} if method == "PUT" else None
        assert (await user.http.request(method, f"{ITEMS}/{row_id}", json=body)).status_code == 404
    assert (await superuser.http.get(f"/api/v1/users/{row_id}")).status_code == 404


async def test_times_are_utc_to_the_microsecond(app: FastAPI, user: Actor) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    async with app.state.database.sessions.begin() as db:
        db.add(ExampleItem(user_id=user.id, title="x", created_at=moment.astimezone(), updated_at=moment))
    (item,) = (await user.http.get(ITEMS)).json()
    assert item["created_at"] == item["updated_at"] == "2026-01-02T03:04:05.678901Z"


async def test_items_go_with_their_user_in_the_database_itself(app: FastAPI, user: Actor, superuser: Actor) -> None:
    await factories.item(user)
    kept = await factories.item(superuser)
    async with app.state.database.engine.begin() as connection:
        await connection.exec_driver_sql(f"DELETE FROM users WHERE id = {user.id}")
    async with app.state.database.sessions() as db:
        assert list(await db.scalars(select(ExampleItem.id))) == [kept["id"]]
        assert await db.scalar(select(func.count()).select_from(ExampleItem)) == 1
