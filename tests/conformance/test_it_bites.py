"""For each rule a router that breaks it: the conformance suite has to fail on every one of them."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel
from sqlalchemy import select

from app.auth.dependencies import CurrentUser, Identity, bearer_token, current_user, session_user
from app.auth.models import User
from app.core.database import DbSession, ReadSession, Row
from app.core.errors import NotFound, Unauthorized
from app.core.http.transactions import in_transaction
from app.core.ownership import read_row, require_visible, visible_to
from app.core.pagination import Page
from app.core.policy import public
from app.core.routing import Router
from app.core.schemas import RequestSchema, reference
from app.core.security import read_access_token
from app.examples.dependencies import ItemRow
from app.examples.models import ExampleItem
from app.examples.router import create_item, delete_item, get_item, list_items, update_item
from app.examples.schemas import ExampleItemCreate, ExampleItemQuery, ExampleItemResponse
from app.main import create_app
from tests import factories
from tests.conformance import matrix
from tests.conformance.matrix import World

ENDPOINTS = {
    ("POST", ""): create_item,
    ("GET", ""): list_items,
    ("GET", "/{item_id}"): get_item,
    ("PUT", "/{item_id}"): update_item,
    ("DELETE", "/{item_id}"): delete_item,
}


@pytest.fixture
async def broken(app: FastAPI) -> Callable[..., World]:
    """Builds an application with one more router: the items', with one endpoint exchanged for a broken one."""

    def build(method: str = "", path: str = "", endpoint: Any = None, router: APIRouter | None = None) -> World:
        router = router or Router(prefix="/broken")
        for (verb, tail), good in ENDPOINTS.items():
            is_broken = (verb, tail) == (method, path)
            answer = list[ExampleItemResponse] if (verb, tail) == ("GET", "") else ExampleItemResponse
            router.add_api_route(
                tail,
                endpoint if is_broken else good,
                methods=[verb],
                status_code={"POST": 201, "DELETE": 204}.get(verb, 200),
                response_model=None if verb == "DELETE" else answer,
                name=f"broken_{verb}_{tail}",
            )
        extended = create_app(app.state.settings)
        factories.share(extended, app)
        extended.include_router(router, prefix="/api/v1")
        return World(extended)

    return build


async def bites(world: World, check: Callable[..., Awaitable[None]], method: str, path: str, message: str) -> None:
    await factories.superuser(world.app)
    operation = world.operations[(method, f"/api/v1/broken{path}")]
    with pytest.raises(AssertionError, match=message):
        await check(world, operation)


async def test_the_unbroken_router_passes(broken: Callable[..., World]) -> None:
    world = broken()
    await factories.superuser(world.app)
    matrix.check_declared(world)
    for verb, tail in ENDPOINTS:
        operation = world.operations[(verb, f"/api/v1/broken{tail}")]
        await matrix.check_signed_in(world, operation)
        await matrix.check_own(world, operation)


async def test_a_route_without_a_policy(app: FastAPI) -> None:
    async def endpoint() -> list[Any]:
        return []

    extended = create_app(app.state.settings)
    extended.add_api_route("/open", endpoint)
    extended.mount("/files", FastAPI())
    with pytest.raises(AssertionError, match=r"\['GET /open', '\* /files'\]"):
        matrix.check_declared(World(extended))


def test_the_houses_router_refuses_such_a_route() -> None:
    router = Router(prefix="/open")

    async def endpoint() -> list[Any]:
        return []

    with pytest.raises(RuntimeError, match="/open: endpoint neither takes CurrentUser or Superuser nor says @public"):
        router.get("")(endpoint)


async def test_reading_anothers_row(broken: Callable[..., World]) -> None:
    async def endpoint(item_id: int, _: CurrentUser, read: ReadSession) -> Row | None:
        return await read.one(select(ExampleItem).where(ExampleItem.id == item_id))

    world = broken("GET", "/{item_id}", endpoint)
    await bites(world, matrix.check_others, "GET", "/{item_id}", "answers 200 for another's row")


async def test_writing_anothers_row(broken: Callable[..., World]) -> None:
    async def endpoint(item_id: int, _: CurrentUser, db: DbSession) -> ExampleItem:
        item = await db.get_one(ExampleItem, item_id)
        item.title = "mine now"
        return item

    world = broken("PUT", "/{item_id}", endpoint)
    await bites(world, matrix.check_others, "PUT", "/{item_id}", "answers 200 for another's row")


async def test_deleting_anothers_row(broken: Callable[..., World]) -> None:
    async def endpoint(item_id: int, _: CurrentUser, db: DbSession) -> None:
        await db.delete(await db.get_one(ExampleItem, item_id))

    world = broken("DELETE", "/{item_id}", endpoint)
    await bites(world, matrix.check_others, "DELETE", "/{item_id}", "answers 204 for another's row")


async def test_hiding_anothers_row_as_missing(broken: Callable[..., World]) -> None:
    async def endpoint(item_id: int, user: CurrentUser, read: ReadSession) -> Row:
        row = await read.one(visible_to(user, ExampleItem).where(ExampleItem.id == item_id))
        if row is None:
            raise NotFound
        return row

    world = broken("GET", "/{item_id}", endpoint)
    await bites(world, matrix.check_others, "GET", "/{item_id}", "answers 404 for another's row")


async def test_locking_superusers_out(broken: Callable[..., World]) -> None:
    async def endpoint(item_id: int, user: CurrentUser, read: ReadSession) -> Row:
        row = await read.one(select(ExampleItem).where(ExampleItem.id == item_id, ExampleItem.user_id == user.id))
        if row is None:
            raise NotFound
        return row

    world = broken("GET", "/{item_id}", endpoint)
    await bites(world, matrix.check_own, "GET", "/{item_id}", "answers 404 to superuser")


async def test_failing_on_a_missing_row(broken: Callable[..., World]) -> None:
    async def endpoint(item_id: int, _: CurrentUser, db: DbSession) -> ExampleItem:
        return await db.get_one(ExampleItem, item_id)

    world = broken("PUT", "/{item_id}", endpoint)
    await bites(world, matrix.check_own, "PUT", "/{item_id}", "answers 500 for a row that is not there")


async def test_listing_everybodys_rows(broken: Callable[..., World]) -> None:
    async def endpoint(
        query: Annotated[ExampleItemQuery, Query()], _: CurrentUser, read: ReadSession, page: Page
    ) -> Sequence[Row]:
        return await page.fetch(read, select(ExampleItem), query)

    await bites(broken("GET", "", endpoint), matrix.check_list, "GET", "", "shows another's rows")


async def test_listing_whoever_is_asked_for(broken: Callable[..., World]) -> None:
    async def endpoint(
        query: Annotated[ExampleItemQuery, Query()], user: CurrentUser, read: ReadSession, page: Page
    ) -> Sequence[Row]:
        statement = select(ExampleItem) if query.user_id else visible_to(user, ExampleItem)
        return await page.fetch(read, statement, query)

    await bites(broken("GET", "", endpoint), matrix.check_list, "GET", "", "user_id=.* shows another's rows")


async def test_taking_the_owner_from_the_body(broken: Callable[..., World]) -> None:
    class Lax(BaseModel):
        title: str

    async def endpoint(body: Lax, user: CurrentUser, db: DbSession) -> ExampleItem:
        return await create_item(ExampleItemCreate(title=body.title), user, db)

    await bites(broken("POST", "", endpoint), matrix.check_unknown_fields, "POST", "", "answers 201 to the unknown")


async def test_ignoring_if_match(broken: Callable[..., World]) -> None:
    async def endpoint(item_id: int, user: CurrentUser, db: DbSession, body: ExampleItemCreate) -> ExampleItem:
        item = await db.get_one(ExampleItem, item_id)
        item.title = body.title
        return item

    await bites(
        broken("PUT", "/{item_id}", endpoint), matrix.check_etag, "PUT", "/{item_id}", "200 to a stale If-Match"
    )


async def test_referring_to_anothers_row(broken: Callable[..., World]) -> None:
    class Referring(RequestSchema):
        item_id: Annotated[int, reference("/items")] | None = None

    async def endpoint(body: Referring, user: CurrentUser, db: DbSession) -> ExampleItem:
        return await create_item(ExampleItemCreate(title=f"About {body.item_id}"), user, db)

    await bites(broken("POST", "", endpoint), matrix.check_references, "POST", "", "answers 201 to item_id of another")


async def test_a_reference_that_is_looked_at_passes(broken: Callable[..., World]) -> None:
    class Referring(RequestSchema):
        item_id: Annotated[int, reference("/items")] | None = None

    async def endpoint(body: Referring, user: CurrentUser, db: DbSession) -> ExampleItem:
        await require_visible(db, user, ExampleItem, item_id=body.item_id)
        return await create_item(ExampleItemCreate(title=f"About {body.item_id}"), user, db)

    world = broken("POST", "", endpoint)
    await matrix.check_references(world, world.operations["POST", "/api/v1/broken"])


async def test_finding_a_row_below_any_parent(broken: Callable[..., World]) -> None:
    router = Router(prefix="/broken")

    @router.post("/{item_id}/below", status_code=201, response_model=ExampleItemResponse)
    async def create_below(_: ItemRow, body: ExampleItemCreate, user: CurrentUser, db: DbSession) -> ExampleItem:
        return await create_item(body, user, db)

    @router.get("/{item_id}/below/{below_id}", response_model=ExampleItemResponse)
    async def get_below(_: ItemRow, below_id: int, user: CurrentUser, read: ReadSession) -> Row:
        return await read_row(read, ExampleItem, below_id, user)

    world = broken(router=router)
    await bites(world, matrix.check_own, "GET", "/{item_id}/below/{below_id}", "for a row below another parent")


async def test_adding_below_anothers_row(broken: Callable[..., World]) -> None:
    router = Router(prefix="/broken")

    @router.post("/{item_id}/below", status_code=201, response_model=ExampleItemResponse)
    async def create_below(item_id: int, body: ExampleItemCreate, user: CurrentUser, db: DbSession) -> ExampleItem:
        return await create_item(body, user, db)

    await bites(broken(router=router), matrix.check_others, "POST", "/{item_id}/below", "201 for another's row")


async def test_showing_nothing_to_everybody(broken: Callable[..., World]) -> None:
    @public
    async def endpoint(query: Annotated[ExampleItemQuery, Query()], read: ReadSession, page: Page) -> Sequence[Row]:
        return await page.fetch(read, visible_to(None, ExampleItem), query)

    await bites(broken("GET", "", endpoint), matrix.check_open, "GET", "", "shows nothing")


class WithTransactions(APIRoute):
    """FastAPI's own route, with the transaction that each write needs, and with nothing else of the house's."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        return partial(in_transaction, super().get_route_handler())


@pytest.mark.parametrize(
    ("check", "method", "path", "message"),
    [
        (matrix.check_etag, "PUT", "/{item_id}", "has no ETag"),
        (matrix.check_idempotency_key, "POST", "", "was repeated|ETag"),
        (matrix.check_strict_json, "POST", "", "does not refuse duplicate fields"),
    ],
)
async def test_a_router_that_is_not_the_houses(
    broken: Callable[..., World], check: Any, method: str, path: str, message: str
) -> None:
    world = broken(router=APIRouter(prefix="/broken", route_class=WithTransactions))
    with pytest.raises((AssertionError, KeyError), match=message):
        await check(world, world.operations[(method, f"/api/v1/broken{path}")])


async def lax_user(
    request: Request, token: Annotated[str | None, Depends(bearer_token)], read: ReadSession
) -> Identity:
    """Believes the token: neither the session nor the account is looked at."""
    if token is None:
        raise Unauthorized
    claims = read_access_token(token, request.app.state.settings)
    row = await read.one(select(User).where(User.email == claims.subject))
    assert row is not None
    return Identity(row.id, row.email, row.is_active, row.is_superuser, row.created_at, None, claims.session_id)


async def test_believing_a_dead_sessions_token(broken: Callable[..., World]) -> None:
    world = broken()
    world.app.dependency_overrides[current_user] = lax_user
    await bites(world, matrix.check_signed_in, "GET", "", "answers 200 to a deactivated user")


async def test_letting_a_key_write_that_may_only_read(broken: Callable[..., World]) -> None:
    world = broken()

    async def unscoped(request: Request) -> Identity:
        return await current_user(Request({**request.scope, "method": "GET"}, request.receive))

    world.app.dependency_overrides[current_user] = unscoped
    await bites(world, matrix.check_api_keys, "POST", "", "answers 201 to a key that may read")


async def test_letting_a_key_manage_keys(broken: Callable[..., World]) -> None:
    world = broken()

    async def anybody(user: CurrentUser) -> Identity:
        return user

    world.app.dependency_overrides[session_user] = anybody
    operation = world.operations[("GET", "/api/v1/api-keys")]
    with pytest.raises(AssertionError, match="answers 200 to a key that may read"):
        await matrix.check_api_keys(world, operation)


async def test_letting_users_administer(broken: Callable[..., World]) -> None:
    world = broken()

    async def anybody(user: CurrentUser) -> Identity:
        return user

    from app.auth.dependencies import superuser

    world.app.dependency_overrides[superuser] = anybody
    operation = world.operations[("GET", "/api/v1/users")]
    with pytest.raises(AssertionError, match="answers 200 to a user"):
        await matrix.check_superusers_only(world, operation)
