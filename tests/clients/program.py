"""What a user of the Python client writes; tests/e2e/test_clients.py checks its types and runs it."""

import asyncio
import sys
from collections.abc import Callable
from typing import assert_type

from groundwork_client import Answer, ApiError, AsyncGroundwork, Groundwork, SecondFactorNeeded, every, every_async
from groundwork_client.api import api_keys, auth, items
from groundwork_client.models import (
    ApiKeyCreate,
    Credentials,
    ExampleItemCreate,
    ExampleItemResponse,
    ExampleItemUpdate,
    UserResponse,
)

PASSWORD = "correct horse battery"


def refused(call: Callable[[], object]) -> ApiError:
    try:
        call()
    except ApiError as error:
        return error
    raise AssertionError("it was not refused")


def alone(url: str) -> None:
    with Groundwork(url) as groundwork:
        account = auth.register(groundwork, body=Credentials("python@example.com", PASSWORD))
        assert_type(account, Answer[UserResponse])
        groundwork.sign_in("python@example.com", PASSWORD)
        assert auth.get_me(groundwork).data == account.data

        first = ExampleItemCreate("first", description=None)
        created = items.create_item(groundwork, body=first, idempotency_key="once")
        assert items.create_item(groundwork, body=first, idempotency_key="once").data.id == created.data.id
        item = created.data
        assert_type(item.description, str | None)
        assert item.created_at.tzinfo is not None

        changed = items.update_item(groundwork, item.id, body=ExampleItemUpdate(title="new"), if_match=created.etag)
        assert (changed.data.title, changed.data.description) == ("new", None)
        stale = ExampleItemUpdate(is_completed=True)
        error = refused(lambda: items.update_item(groundwork, item.id, body=stale, if_match=created.etag))
        assert (error.status, error.faults) == (412, [])
        assert "changed since" in error.detail
        error = refused(lambda: items.create_item(groundwork, body=ExampleItemCreate("")))
        assert (error.status, error.faults[0].loc) == (422, ("body", "title"))

        for number in range(4):
            items.create_item(groundwork, body=ExampleItemCreate(f"item {number}", is_completed=number > 1))
        rows: list[ExampleItemResponse] = list(every(items.list_items, groundwork, limit=2, sort="-id"))
        assert [row.title for row in rows] == ["item 3", "item 2", "item 1", "item 0", "new"]
        assert len(list(every(items.list_items, groundwork, limit=1, skip=1))) == 4
        assert len(items.list_items(groundwork, is_completed=True).data) == 2
        assert items.list_items(groundwork, count=True, limit=1).total == 5

        used = groundwork.tokens.refresh_token
        groundwork.tokens.access_token = "expired"
        assert items.get_item(groundwork, item.id).data.title == "new"
        assert groundwork.tokens.refresh_token != used
        items.delete_item(groundwork, item.id)
        ended = groundwork.tokens.access_token
        groundwork.sign_out()
    with Groundwork(url, api_key=ended) as groundwork:
        assert refused(lambda: auth.get_me(groundwork)).status == 401


def guarded(url: str, email: str, code: str) -> None:
    with Groundwork(url) as groundwork:
        try:
            groundwork.sign_in(email, PASSWORD)
        except SecondFactorNeeded:
            groundwork.sign_in(email, PASSWORD, code=lambda: code)
        assert auth.get_me(groundwork).data.email == email
        key = api_keys.create_api_key(groundwork, body=ApiKeyCreate("of a program", scope="read")).data.key
    with Groundwork(url, api_key=key) as groundwork:
        assert items.list_items(groundwork).data == []
        assert refused(lambda: items.create_item(groundwork, body=ExampleItemCreate("no"))).status == 403


async def at_once(url: str) -> None:
    async with AsyncGroundwork(url) as groundwork:
        await groundwork.sign_in("python@example.com", PASSWORD)
        groundwork.tokens.access_token = "expired"
        answers = await asyncio.gather(*(items.list_items_async(groundwork, limit=1) for _ in range(5)))
        assert all(len(answer.data) == 1 for answer in answers)
        titles = [row.title async for row in every_async(items.list_items_async, groundwork, limit=3)]
        assert len(titles) == 4
        await groundwork.sign_out()


if __name__ == "__main__":
    alone(sys.argv[1])
    guarded(*sys.argv[1:4])
    asyncio.run(at_once(sys.argv[1]))
    print("done")
