"""The API's document says what the API does: people and generators of clients take it at its word."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient
from typer.testing import CliRunner

from app.cli.commands import cli
from app.core.observability.setup import configure_logging
from app.core.schemas import MAX_PASSWORD_LENGTH
from app.main import create_app
from tests import factories, processes

ITEMS = "/api/v1/items"
UNREACHABLE = processes.safe("postgresql://nobody:secret@127.0.0.1:1/nothing")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(factories.settings()).openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def schema_of(answer: dict[str, Any]) -> dict[str, Any]:
    return answer["content"]["application/json"]["schema"]


def test_every_operation_has_a_name_that_a_method_can_have(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert all(name.isidentifier() and name == name.lower() for name in names)
    assert {"create_item", "list_items", "get_item", "update_item", "delete_item", "login", "get_me"} <= set(names)


def test_every_password_that_is_sent_has_an_end(document: dict[str, Any]) -> None:
    """Unicode's normal form of a long one holds up the whole process: its cost grows with the square of the length."""
    found = {}
    for _, _, operation in operations(document):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            schema = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
            found |= {
                (schema["title"], name): part for name, part in schema["properties"].items() if "password" in name
            }
    assert {("Credentials", "password"), ("PasswordForm", "password")} <= found.keys()
    assert {place: part.get("maxLength") for place, part in found.items()} == dict.fromkeys(found, MAX_PASSWORD_LENGTH)


def test_every_error_has_the_one_shape_or_the_other(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        for status, answer in operation["responses"].items():
            if status >= "400" and path != "/health/ready":
                shape = "HTTPValidationError" if status == "422" else "HTTPError"
                assert schema_of(answer) == {"$ref": f"#/components/schemas/{shape}"}, (method, path, status)


def test_every_name_that_is_used_is_there(document: dict[str, Any]) -> None:
    used = {part.partition('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}
    assert used == set(document["components"]["schemas"])


async def test_a_422_is_as_the_document_has_it(client: AsyncClient, document: dict[str, Any]) -> None:
    shape = document["components"]["schemas"]["ValidationError"]
    answer = await client.post("/api/v1/auth/register", json={"email": "no", "password": 1, "more": True})
    for fault in answer.json()["detail"]:
        assert set(fault) == set(shape["properties"]) == set(shape["required"])


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("post", "/api/v1/auth/login", {"200", "401", "422", "429"}),
        ("post", "/api/v1/auth/token", {"200", "401", "403", "422", "429"}),
        ("post", "/api/v1/auth/refresh", {"200", "401", "422", "429"}),
        ("post", "/api/v1/auth/login/second-factor", {"200", "401", "422", "429"}),
        ("post", "/api/v1/auth/logout", {"204", "401", "403", "422"}),
        ("put", ITEMS + "/{item_id}", {"200", "401", "403", "404", "412", "422"}),
        ("post", "/api/v1/jobs/{job_id}/retry", {"200", "401", "403", "404", "409", "422"}),
    ],
)
def test_what_a_route_answers(document: dict[str, Any], method: str, path: str, statuses: set[str]) -> None:
    assert statuses <= set(document["paths"][path][method]["responses"])


async def test_the_headers_of_answers_are_named(user: factories.Actor, document: dict[str, Any]) -> None:
    def named(method: str, path: str, status: str) -> set[str]:
        return set(document["paths"][path][method]["responses"][status].get("headers", {}))

    for _ in range(2):
        created = await user.http.post(ITEMS, json={"title": "An item"})
    assert named("post", ITEMS, "201") == named("put", ITEMS + "/{item_id}", "200") == {"ETag"}
    assert "ETag" in created.headers
    page = await user.http.get(ITEMS, params={"limit": 1, "count": True})
    assert named("get", ITEMS, "200") == {"Link", "X-Total-Count"}
    assert "Link" in page.headers
    assert "X-Total-Count" in page.headers
    assert named("delete", ITEMS + "/{item_id}", "204") == set()
    assert named("post", "/api/v1/api-keys", "201") == set()  # it shows a secret, and no later GET does
    assert named("get", ITEMS, "429") == named("get", ITEMS, "503") == {"Retry-After"}


def test_every_success_has_a_type(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        for status, answer in operation["responses"].items():
            if status < "300" and status != "204":
                assert {"$ref", "type", "anyOf"} & set(schema_of(answer)), (method, path, status)
    forgotten = document["paths"]["/api/v1/auth/forgot-password"]["post"]
    assert schema_of(forgotten["responses"]["202"]) == {"type": "null"}


def test_where_an_api_key_is_taken_is_said(document: dict[str, Any]) -> None:
    session, key = {"OAuth2PasswordBearer": []}, {"ApiKey": []}
    assert document["paths"][ITEMS]["get"]["security"] == [session, key]
    assert document["paths"]["/api/v1/auth/logout"]["post"]["security"] == [session]
    assert "security" not in document["paths"]["/api/v1/auth/login"]["post"]


def test_a_field_is_required_nullable_or_neither(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["ExampleItemCreate"]["required"] == ["title"]
    assert "required" not in schemas["ExampleItemUpdate"]
    update = schemas["ExampleItemUpdate"]["properties"]
    assert {"type": "null"} in update["description"]["anyOf"]
    assert update["title"]["type"] == "string"
    for name in ("ChallengeResponse", "ExampleItemResponse", "Live", "TokenResponse", "UserResponse"):
        assert set(schemas[name]["required"]) == set(schemas[name]["properties"]), name


def test_a_route_that_comes_later_is_completed_too() -> None:
    app = create_app(factories.settings())
    app.openapi()

    @app.get("/late/{name}")
    async def late(name: str) -> str:
        return name

    assert "404" in app.openapi()["paths"]["/late/{name}"]["get"]["responses"]
    assert app.openapi()["paths"][ITEMS]["get"]["security"] == [{"OAuth2PasswordBearer": []}, {"ApiKey": []}]


@pytest.fixture
def logs() -> Iterator[None]:
    """The application that the command makes sends every line to the command's standard error, which is closed."""
    yield
    configure_logging(factories.settings())


def test_the_command_writes_it(tmp_path: Path, document: dict[str, Any], logs: None) -> None:
    said = CliRunner().invoke(cli, ["openapi"], env=UNREACHABLE)
    assert json.loads(said.stdout)["paths"].keys() == document["paths"].keys()
    file = tmp_path / "openapi.json"
    written = CliRunner().invoke(cli, ["openapi", "--output", str(file), "--json"], env=UNREACHABLE)
    assert json.loads(written.stdout) == {"ok": True, "path": str(file), "next": []}
    assert json.loads(file.read_text()) == json.loads(said.stdout)
    fault = CliRunner().invoke(cli, ["openapi", "--output", str(tmp_path / "no" / "where")], env=UNREACHABLE)
    assert str(fault.exception).endswith("No such file or directory")
