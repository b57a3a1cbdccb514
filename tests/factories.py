"""Accounts, rows and settings for the tests, made as a client would make them."""

import itertools
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any

from fastapi import APIRouter, FastAPI
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import update

from app.auth.hashing import PasswordHasher
from app.auth.models import AuthSession, User
from app.core.config import Settings
from app.core.database import utcnow
from app.core.jobs.outbox import DEAD, OutboxJob
from app.core.security import create_access_token, hash_password

PASSWORD = "correct horse battery"
SECRET = "only-for-the-tests-0123456789abcdefghijklmnopqrstuvwxyz"

_numbers = itertools.count(1)


def settings(**values: Any) -> Settings:
    """Settings that read neither the environment nor `.env`."""
    defaults = {
        "environment": "test",
        "secret_key": SECRET,
        "bcrypt_rounds": 4,
        "log_level": "WARNING",
        "rate_limit_enabled": False,
        "fast_reads": os.environ.get("FAST_READS") != "false",  # the suite passes either way
    }
    return Settings.model_validate(Settings.model_construct().model_dump() | defaults | values)


def configured(app: FastAPI, **values: Any) -> FastAPI:
    """The application with other settings, on the same database."""
    from app.main import create_app  # which makes one by the environment when it is imported; a benchmark sets that

    return share(create_app(app.state.settings.model_copy(update=values)), app)


def share(other: FastAPI, app: FastAPI) -> FastAPI:
    """`other` on the database of `app`, with all that depends on what is committed there."""
    for name in ("database", "redis", "cache", "replicas", "identities", "hasher"):
        setattr(other.state, name, getattr(app.state, name))
    return other


@asynccontextmanager
async def building(app: FastAPI, router: APIRouter) -> AsyncGenerator[Callable[..., FastAPI]]:
    """Builds the application with other settings, the router, and connections of its own to the database."""
    from app.main import create_app

    built: list[FastAPI] = []

    def build(**values: Any) -> FastAPI:
        other = create_app(app.state.settings.model_copy(update=values))
        other.state.hasher = app.state.hasher
        other.include_router(router)
        built.append(other)
        return other

    yield build
    for other in built:
        await close(other)


async def close(app: FastAPI) -> None:
    """Its connections; its hasher may be shared."""
    app.state.hasher = PasswordHasher(4)
    await app.state.close()


def email() -> str:
    return f"user{next(_numbers):06}@example.com"


def header(name: str, value: str | bytes) -> dict[bytes, bytes]:
    """A header as it goes over the wire, ASCII or not."""
    return {name.encode(): value if isinstance(value, bytes) else value.encode()}


def client(app: FastAPI, token: str | None = None, *, address: str = "127.0.0.1") -> AsyncClient:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return AsyncClient(transport=ASGITransport(app, client=(address, 123)), base_url="http://test", headers=headers)


@dataclass
class Actor:
    """A signed-in account, with a client of its own."""

    app: FastAPI
    id: int
    email: str
    token: str
    password: str = PASSWORD
    http: AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        self.http = client(self.app, self.token)


async def register(app: FastAPI, **values: Any) -> dict[str, Any]:
    body = {"email": email(), "password": PASSWORD} | values
    response = await client(app).post("/api/v1/auth/register", json=body)
    assert response.status_code == 201, response.text
    return response.json()


async def login(app: FastAPI, address: str, password: str = PASSWORD) -> str:
    response = await client(app).post("/api/v1/auth/login", json={"email": address, "password": password})
    assert response.status_code == 200, response.text
    return response.json()["access_token"]


async def newcomer(app: FastAPI, **values: Any) -> Actor:
    """Whose address is not verified yet."""
    account = await register(app, **values)
    return Actor(app, account["id"], account["email"], await login(app, account["email"]))


async def user(app: FastAPI, **values: Any) -> Actor:
    """A verified account with a session, written to the database: half of the tests' time would go to signing in."""
    now = utcnow()
    values = {"email": email(), "email_verified_at": now} | values
    account = User(hashed_password=_hashed_password(), **values)
    async with app.state.database.sessions.begin() as db:
        db.add(account)
        await db.flush()
        session = AuthSession(user_id=account.id, expires_at=now + timedelta(days=30), user_agent="tests")
        db.add(session)
    token = create_access_token(account.email, session.id, now, app.state.settings)
    return Actor(app, account.id, account.email, token)


@cache
def _hashed_password() -> str:
    return hash_password(PASSWORD, rounds=4)


async def superuser(app: FastAPI) -> Actor:
    return await user(app, is_superuser=True)


async def change(actor: Actor, **values: Any) -> None:
    """What mails, time and others do to the account."""
    async with actor.app.state.database.sessions.begin() as db:
        await db.execute(update(User).where(User.id == actor.id).values(values))


async def item(actor: Actor, **values: Any) -> dict[str, Any]:
    response = await actor.http.post("/api/v1/items", json={"title": "An item"} | values)
    assert response.status_code == 201, response.text
    return response.json()


async def key(actor: Actor, **values: Any) -> dict[str, Any]:
    """A new API key; `key` in it is what a client sends."""
    response = await actor.http.post("/api/v1/api-keys", json={"name": "A key"} | values)
    assert response.status_code == 201, response.text
    return response.json()


async def dead_job(app: FastAPI) -> int:
    """The id of a job that has failed for good."""
    async with app.state.database.sessions.begin() as db:
        job = OutboxJob(task="tests.no_such_task", arguments={}, state=DEAD, error="It failed")
        db.add(job)
        await db.flush()
        return job.id
