"""Every route of the application against the authorization matrix and the contract; promises 3, 13, 16, 20 and 22."""

import pytest
from fastapi import FastAPI

from app.main import create_app
from tests import factories
from tests.conformance import matrix
from tests.conformance.matrix import World
from tests.rows import Operation, operations

# Routes that cannot be tried as every other: they take a file or a code, or need somebody else's API. Each has tests of
# its own, for each line of the matrix: "POST /api/v1/items/{item_id}/files".
TRIED_ELSEWHERE: set[str] = {
    "DELETE /api/v1/auth/second-factor",
    "POST /api/v1/auth/second-factor/confirm",
    "POST /api/v1/auth/second-factor/recovery-codes",
}

ALL = [route for route in operations(create_app(factories.settings())) if str(route) not in TRIED_ELSEWHERE]
LISTED = {(operation.method, operation.path) for operation in ALL}
SIGNED_IN = [operation for operation in ALL if operation.policy != "public"]
USERS = [operation for operation in ALL if operation.is_for_users]
ROWS = [operation for operation in ALL if operation.is_on_a_row]


def each(selected: list[Operation]) -> pytest.MarkDecorator:
    assert selected
    return pytest.mark.parametrize("operation", selected, ids=str)


@pytest.fixture
async def world(app: FastAPI) -> World:
    await factories.superuser(app)  # so that no other is the last
    return World(app)


async def test_every_route_authenticates_or_says_that_it_is_public(world: World) -> None:
    matrix.check_declared(world)


async def test_operation_ids_are_unique(world: World) -> None:
    ids = [operation["operationId"] for path in world.document["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids))


@each(ALL)
async def test_the_document_tells_what_to_expect(world: World, operation: Operation) -> None:
    responses = world.operation(operation.method, operation.path)["responses"]
    assert "401" in responses or operation.policy == "public"  # signing in is public, and 401 when it fails
    assert ("404" in responses) is ("{" in operation.path)
    assert "503" in responses
    headers = world.operation(operation.method, operation.path).get("parameters", [])
    takes_key = "Idempotency-Key" in [header["name"] for header in headers]
    assert takes_key is (operation.method == "POST" and operation.policy != "public" and operation.may_be_stored)
    assert ("412" in responses) is (operation.method in ("PUT", "PATCH", "DELETE"))


@each(SIGNED_IN)
async def test_only_the_signed_in(world: World, operation: Operation) -> None:
    await matrix.check_signed_in(world, operation)


@each(SIGNED_IN)
async def test_api_keys(world: World, operation: Operation) -> None:
    await matrix.check_api_keys(world, operation)


@each([operation for operation in ALL if operation.policy == "superuser"])
async def test_only_superusers(world: World, operation: Operation) -> None:
    await matrix.check_superusers_only(world, operation)


@each(USERS)
async def test_owners_and_superusers(world: World, operation: Operation) -> None:
    await matrix.check_own(world, operation)


@each([operation for operation in ALL if operation.method == "GET"])
async def test_who_may_read_without_signing_in(world: World, operation: Operation) -> None:
    await matrix.check_open(world, operation)


@each([operation for operation in ALL if operation.policy == "owner"])
async def test_others(world: World, operation: Operation) -> None:
    await matrix.check_others(world, operation)


@each([operation for operation in USERS if operation.method == "GET" and f"{operation.path}/{{" in str(LISTED)])
async def test_lists(world: World, operation: Operation) -> None:
    await matrix.check_list(world, operation)


@each([operation for operation in ALL if operation.method == "GET" and f"{operation.path}/{{" in str(LISTED)])
async def test_cursors(world: World, operation: Operation) -> None:
    if world.takes(operation, "cursor"):
        await matrix.check_cursors(world, operation)


@each([operation for operation in USERS if operation.method in ("POST", "PUT", "PATCH")])
async def test_references(world: World, operation: Operation) -> None:
    await matrix.check_references(world, operation)
    if operation.method == "POST":
        await matrix.check_deleting_what_is_referred_to(world, operation)


@each(ALL)
async def test_unknown_fields(world: World, operation: Operation) -> None:
    await matrix.check_unknown_fields(world, operation)


@each([operation for operation in ROWS if operation.method != "GET" and ("GET", operation.path) in LISTED])
async def test_etags(world: World, operation: Operation) -> None:
    await matrix.check_etag(world, operation)


@each([operation for operation in USERS if operation.method == "POST" and ("GET", operation.path) in LISTED])
async def test_idempotency_keys(world: World, operation: Operation) -> None:
    check = matrix.check_idempotency_key if operation.may_be_stored else matrix.check_nothing_is_stored
    await check(world, operation)


@each([operation for operation in ALL if operation.method in ("POST", "PUT", "PATCH") and operation.route.body_field])
async def test_strict_json(world: World, operation: Operation) -> None:
    if world.body_schema(operation.method, operation.path):
        await matrix.check_strict_json(world, operation)
