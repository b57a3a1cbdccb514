"""Lists: pages, order, filters, search, count, and the cursor that costs the same at any depth."""

import base64
import json
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI, Query
from httpx2 import AsyncClient

from app.auth.dependencies import CurrentUser
from app.core.database import ReadSession
from app.core.ownership import visible_to
from app.core.pagination import Page
from app.core.routing import Router
from app.examples.models import ExampleItem
from app.examples.schemas import ExampleItemQuery, ExampleItemResponse
from app.main import create_app
from tests import factories
from tests.factories import Actor

ITEMS = "/api/v1/items"


@pytest.fixture
async def items(user: Actor) -> list[dict[str, Any]]:
    return [await factories.item(user, title=f"Item {n % 3}", is_completed=n % 2 == 0) for n in range(7)]


async def pages(http: AsyncClient, url: str) -> list[list[dict[str, Any]]]:
    """Every page from this one on, by following the Link header."""
    found = []
    while True:
        response = await http.get(url)
        assert response.status_code == 200, response.text
        found.append(response.json())
        if "next" not in response.links:
            return found
        url = response.links["next"]["url"]


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return [row["id"] for row in rows]


async def test_a_list_is_an_array_in_the_order_of_creation(user: Actor, items: list[dict[str, Any]]) -> None:
    response = await user.http.get(ITEMS)
    assert response.json() == items
    assert "Link" not in response.headers
    assert "X-Total-Count" not in response.headers


async def test_skip_and_limit(user: Actor, items: list[dict[str, Any]]) -> None:
    assert (await user.http.get(f"{ITEMS}?skip=2&limit=3")).json() == items[2:5]
    assert (await user.http.get(f"{ITEMS}?skip=100")).json() == []
    counted = await user.http.get(f"{ITEMS}?skip=2&limit=3&count=true")
    assert counted.headers["X-Total-Count"] == "7"


async def test_a_list_is_bounded(user: Actor) -> None:
    for n in range(101):
        await factories.item(user, title=str(n))
    assert [len(page) for page in await pages(user.http, ITEMS)] == [100, 1]
    assert (await user.http.get(f"{ITEMS}?limit=101")).status_code == 422


@pytest.mark.parametrize(
    "sort", ["", "id", "-id", "title", "-title", "title,-id", "-is_completed,title", "-created_at"]
)
async def test_following_the_links_gives_every_row_once_in_order(
    user: Actor, items: list[dict[str, Any]], sort: str
) -> None:
    query = f"&sort={sort}" if sort else ""
    expected = (await user.http.get(f"{ITEMS}?limit=100{query}")).json()
    assert sorted(ids(expected)) == ids(items)
    for term in reversed((sort or "id").split(",")):
        key = term.removeprefix("-")
        assert expected == sorted(expected, key=lambda row: row[key], reverse=term.startswith("-")) or "," in sort
    for limit in (1, 2, 3):
        found = await pages(user.http, f"{ITEMS}?limit={limit}{query}")
        assert [row for page in found for row in page] == expected
        assert all(len(page) == limit for page in found[:-1])


async def test_the_next_page_begins_after_what_was_skipped(user: Actor, items: list[dict[str, Any]]) -> None:
    assert [row for page in await pages(user.http, f"{ITEMS}?skip=3&limit=2") for row in page] == items[3:]


async def test_a_page_is_stable_when_rows_are_added_before_it(user: Actor, items: list[dict[str, Any]]) -> None:
    first = await user.http.get(f"{ITEMS}?sort=-id&limit=3")
    await factories.item(user)
    second = await user.http.get(first.links["next"]["url"])
    assert ids(first.json() + second.json()) == ids(items[::-1][:6])


async def test_the_link_keeps_what_was_asked_for(user: Actor, items: list[dict[str, Any]]) -> None:
    response = await user.http.get(f"{ITEMS}?is_completed=true&sort=-title&q=item&limit=1&skip=1&count=true")
    query = parse_qs(urlsplit(response.links["next"]["url"]).query)
    cursor = query.pop("cursor")
    assert len(cursor) == 1
    assert query == {"is_completed": ["true"], "sort": ["-title"], "q": ["item"], "limit": ["1"], "count": ["true"]}


async def test_filters(user: Actor, items: list[dict[str, Any]]) -> None:
    for value in (True, False):
        found = (await user.http.get(f"{ITEMS}?is_completed={str(value).lower()}&count=true")).json()
        assert found == [item for item in items if item["is_completed"] is value]


async def test_search_finds_text_whatever_its_case_and_takes_no_wildcards(user: Actor) -> None:
    milk = await factories.item(user, title="Buy MILK")
    percent = await factories.item(user, title="100%", description="under_score")
    for query, expected in {
        "milk": [milk],
        "UNDER_": [percent],
        "%": [percent],
        "_": [percent],
        "under.score": [],
        "\\": [],
        "'": [],
    }.items():
        found = await user.http.get(ITEMS, params={"q": query})
        assert found.json() == expected, query


async def test_superusers_see_everybodys_and_may_narrow(user: Actor, other: Actor, superuser: Actor) -> None:
    mine, theirs = await factories.item(user), await factories.item(other)
    assert ids((await superuser.http.get(ITEMS)).json()) == [mine["id"], theirs["id"]]
    assert ids((await superuser.http.get(f"{ITEMS}?user_id={other.id}")).json()) == [theirs["id"]]
    assert (await user.http.get(f"{ITEMS}?user_id={other.id}&count=true")).headers["X-Total-Count"] == "0"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("skip=-1", "skip"),
        (f"skip={2**63}", "skip"),
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        ("sort=password", "sort"),
        ("sort=-", "sort"),
        ("sort=user_id", "sort"),
        ("sort=id,id", "sort"),
        ("sort=id,-id", "sort"),
        ("cursor=x", "cursor"),
        ("cursor=W10", "cursor"),
        ("cursor=bnVsbA", "cursor"),
        ("is_completed=perhaps", "is_completed"),
        ("count=many", "count"),
        ("q=", "q"),
        (f"user_id={2**31}", "user_id"),
        ("is_complete=true", "is_complete"),
    ],
)
async def test_a_bad_query_is_422_and_names_the_parameter(user: Actor, query: str, field: str) -> None:
    response = await user.http.get(f"{ITEMS}?{query}")
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == ["query", field]


async def test_a_cursor_holds_the_longest_text(user: Actor) -> None:
    items = [await factories.item(user, title="🐎" * 199 + letter) for letter in "abc"]
    assert [row for page in await pages(user.http, f"{ITEMS}?limit=1&sort=title") for row in page] == items


async def test_a_cursor_is_good_for_its_own_order_only(user: Actor, items: list[dict[str, Any]]) -> None:
    url = (await user.http.get(f"{ITEMS}?limit=1&sort=title")).links["next"]["url"]
    for changed in (url.replace("sort=title", "sort=-title"), url.replace("sort=title", "sort=id"), f"{url}&skip=1"):
        assert (await user.http.get(changed)).status_code == 422


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-02", 1, None])
async def test_a_forged_cursor_is_422(user: Actor, moment: object) -> None:
    text = json.dumps(["created_at,id", moment, 1])
    cursor = base64.urlsafe_b64encode(text.encode()).decode()
    response = await user.http.get(f"{ITEMS}?sort=created_at&cursor={cursor}")
    assert response.status_code == (422 if moment != 1 else 200)


async def test_a_list_without_text_says_so(user: Actor) -> None:
    response = await user.http.get("/api/v1/auth/sessions?q=phone")
    assert response.json()["detail"][0]["msg"] == "This list has no text to search"


async def test_an_endpoint_may_narrow_a_list(app: FastAPI, user: Actor, items: list[dict[str, Any]]) -> None:
    router = Router(prefix="/narrowed")

    @router.get("/last", response_model=list[ExampleItemResponse])
    async def last(
        query: Annotated[ExampleItemQuery, Query()], user: CurrentUser, read: ReadSession, page: Page
    ) -> Any:
        return await page.fetch(read, visible_to(user, ExampleItem).where(ExampleItem.id >= items[-2]["id"]), query)

    other = create_app(app.state.settings)
    other.include_router(router)
    client = factories.client(other, user.token)
    try:
        assert (await client.get("/api/v1/items")).json() == items  # what is built for it is for it alone
        for _ in range(3):
            assert (await client.get("/narrowed/last")).json() == items[-2:]
            assert (await client.get("/narrowed/last?limit=1")).json() == items[-2:-1]
    finally:
        await factories.close(other)
