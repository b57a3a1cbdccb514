"""Logs: structured, with the request's id, and without a secret; promise 32."""

import json
import logging
import sqlite3
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError, ProgrammingError

from app.auth.models import User
from app.core.database import DbSession
from app.core.db.errors import describe
from app.core.observability.setup import configure_logging
from app.core.policy import public
from app.core.routing import Router
from tests import factories
from tests.factories import PASSWORD

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def quiet_again() -> Iterator[None]:
    yield
    configure_logging(factories.settings())
    for name in ("sqlalchemy.engine.Engine", "sqlalchemy.pool"):
        logging.getLogger(name).setLevel(logging.NOTSET)


router = Router()


@router.get("/query/{secret}")
@public
async def query(secret: str, db: DbSession) -> None:
    await db.execute(text("SELECT nonsense FROM nowhere WHERE x = :secret"), {"secret": secret})


@router.get("/answer/{secret}", response_model=int)
@public
async def answer(secret: str) -> Any:
    return secret


@router.get("/chain/{secret}")
@public
async def chain(secret: str, db: DbSession) -> None:
    try:
        await query(secret, db)
    except Exception as error:
        raise LookupError("looking up") from error


@pytest.fixture
async def broken(app: FastAPI) -> AsyncGenerator[Callable[..., FastAPI]]:
    """Builds the application with other settings, and with endpoints that fail on values that no log may hold."""
    async with factories.building(app, router) as build:
        yield build


async def test_a_request_is_one_json_line_with_its_id_and_user(broken: Callable[..., FastAPI], capsys: Output) -> None:
    other = broken(log_format="json", log_level="INFO")
    user = await factories.user(other)
    await user.http.get("/api/v1/items?q=secret-query", headers={"X-Request-ID": "my-id"})
    line = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert line.pop("duration_ms") > 0
    assert line.pop("timestamp").endswith("+00:00")
    assert line == {
        "level": "INFO",
        "logger": "app.access",
        "message": "GET /api/v1/items",
        "status": 200,
        "user_id": user.id,
        "request_id": "my-id",
    }


@pytest.mark.parametrize("log_format", ["json", "console"])
async def test_no_line_of_any_level_holds_a_secret(
    broken: Callable[..., FastAPI], capsys: Output, log_format: str
) -> None:
    other = broken(log_format=log_format, log_level="DEBUG", debug=True)
    user = await factories.user(other)
    async with other.state.database.sessions.begin() as db:
        db.add(User(email="secret-owner@example.com", hashed_password="hunter2-hash"))
    for path in ("query", "answer", "chain"):
        answer = await factories.client(other).get(f"/{path}/hunter2-hunter2")
        assert (answer.status_code, answer.json()) == (500, {"detail": "Internal Server Error"})
    await user.http.patch("/api/v1/auth/me", json={"password": "another password", "current_password": PASSWORD})
    await user.http.post("/api/v1/auth/login", json={"email": user.email, "password": "a wrong one", "x": 1})
    logged = capsys.readouterr().err.replace("/hunter2-hunter2", "")  # a path is no place for a secret
    assert "unhandled error" in logged
    assert "Traceback" in logged
    assert "LookupError: looking up" in logged
    assert "INSERT INTO users" in logged
    for secret in (
        "hunter2",
        "secret-owner",
        PASSWORD,
        "another password",
        "a wrong one",
        user.token,
        "$bcrypt",
        "eyJ",
    ):
        assert secret not in logged


async def test_a_line_break_in_a_path_makes_no_second_line(broken: Callable[..., FastAPI], capsys: Output) -> None:
    other = broken(log_format="console", log_level="INFO")
    await factories.client(other).get("/a%0Ab%0D%1b[31m")
    logged = capsys.readouterr().err
    assert logged.count("\n") == 1
    assert "GET /a%0Ab%0D%1b[31m" in logged


class Original(Exception):
    """A driver's error."""

    def __init__(self, *args: object, sqlstate: str | None = None) -> None:
        super().__init__(*args)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("kind", "original"),
    [
        (IntegrityError, Original("UNIQUE constraint failed: secret")),
        (ProgrammingError, Original("Error binding parameter 1: secret")),
        (DataError, Original('invalid input for query argument $1: "secret"', sqlstate="22P02")),
        (IntegrityError, Original("null value ...\nDETAIL:  Failing row contains (1, secret)", sqlstate="23502")),
        (OperationalError, Original(1366, "Incorrect string value: 'secret' for column 'title'")),
        (ProgrammingError, Original(1064, "You have an error in your SQL syntax near 'secret'", sqlstate="42000")),
    ],
)
def test_an_error_is_told_without_its_values(kind: type[DBAPIError], original: Original) -> None:
    told = describe(kind("INSERT INTO x VALUES (?)", ("secret",), original))
    assert "secret" not in told
    assert "INSERT INTO x VALUES (?)" in told


@pytest.mark.parametrize(
    "original",
    [
        Original("no such table: nowhere"),
        Original('database "nowhere" does not exist', sqlstate="3D000"),
        Original(1049, "Unknown database 'nowhere'", sqlstate="42000"),
        Original(2003, "Can't connect to MySQL server on 'nowhere'"),
    ],
)
def test_an_error_about_a_name_is_told_in_its_words(original: Original) -> None:
    assert "nowhere" in describe(OperationalError(None, None, original))


def test_another_librarys_error_is_told_by_its_class() -> None:
    assert describe(sqlite3.Error("secret")) == "Error"
    assert describe(ValueError("what is wrong")) == "ValueError: what is wrong"


async def test_the_servers_own_lines_have_the_same_form(broken: Callable[..., FastAPI], capsys: Output) -> None:
    broken(log_format="json", log_level="INFO")
    logging.getLogger("uvicorn.error").info("Started", extra={"color_message": "Started"})
    logged = capsys.readouterr().err
    assert json.loads(logged)["message"] == "Started"
    assert "color_message" not in logged
