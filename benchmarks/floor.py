"""The floor: bare Starlette with raw asyncpg, the same two queries and the same JWT check, orjson out.

No validation, no model, no transaction: what is left is what the server, the driver and the database cost.
"""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from joserfc import jwt
from joserfc.jwk import OctKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

KEY = OctKey.import_key(os.environ["SECRET_KEY"])
CLAIMS = jwt.JWTClaimsRegistry(aud={"essential": True, "value": "Groundwork"}, exp={"essential": True})

IDENTITY = """
    SELECT u.id, u.email, u.is_active, u.is_superuser, u.created_at, u.email_verified_at, s.id AS session_id
    FROM users u JOIN auth_sessions s ON s.user_id = u.id
    WHERE s.id = $1 AND s.expires_at > now() AND u.is_active
"""
COLUMNS = "id, user_id, title, description, is_completed, created_at, updated_at"
ONE = f"SELECT {COLUMNS} FROM example_items WHERE id = $1"
PAGE = f"SELECT {COLUMNS} FROM example_items WHERE user_id = $1 ORDER BY id LIMIT $2"
INSERT = f"""
    INSERT INTO example_items (user_id, title, is_completed, created_at, updated_at)
    VALUES ($1, $2, false, now(), now())
    RETURNING {COLUMNS}
"""
UPDATE = f"UPDATE example_items SET title = $1, updated_at = now() WHERE id = $2 AND user_id = $3 RETURNING {COLUMNS}"

pool: asyncpg.Pool


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
    global pool
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=1, max_size=20) as pool:
        yield


async def user_of(request: Request) -> Any:
    claims = jwt.decode(request.headers["authorization"][7:], KEY, algorithms=["HS256"]).claims
    CLAIMS.validate(claims)
    return await pool.fetchrow(IDENTITY, UUID(claims["sid"]))


def answer(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")


async def read_item(request: Request) -> Response:
    user = await user_of(request)
    row = await pool.fetchrow(ONE, int(request.path_params["item_id"]))
    return answer(dict(row)) if row["user_id"] == user["id"] else answer({"detail": "Not authorized"}, 403)


async def list_items(request: Request) -> Response:
    user = await user_of(request)
    rows = await pool.fetch(PAGE, user["id"], int(request.query_params.get("limit", 100)))
    return answer([dict(row) for row in rows])


async def create_item(request: Request) -> Response:
    user = await user_of(request)
    return answer(dict(await pool.fetchrow(INSERT, user["id"], orjson.loads(await request.body())["title"])), 201)


async def update_item(request: Request) -> Response:
    user = await user_of(request)
    title = orjson.loads(await request.body())["title"]
    return answer(dict(await pool.fetchrow(UPDATE, title, int(request.path_params["item_id"]), user["id"])))


async def live(_request: Request) -> Response:
    return answer({"status": "ok"})


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/health/live", live),
        Route("/api/v1/items", list_items, methods=["GET"]),
        Route("/api/v1/items", create_item, methods=["POST"]),
        Route("/api/v1/items/{item_id}", read_item, methods=["GET"]),
        Route("/api/v1/items/{item_id}", update_item, methods=["PUT"]),
    ],
)
