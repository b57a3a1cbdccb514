"""2xx only after COMMIT (promise 21), one winner of a race (22, 7), and what the two kinds of session may do."""

import asyncio
from typing import Annotated, Any
from uuid import uuid4

import pytest
from fastapi import APIRouter, Depends, FastAPI, UploadFile
from fastapi.responses import Response, StreamingResponse
from httpx2 import AsyncClient
from pydantic import Field
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from app.auth.dependencies import CurrentUser
from app.auth.models import User
from app.core.config import Settings
from app.core.database import DbSession, ReadSession, Row
from app.core.ownership import lock_row, read_row
from app.core.routing import IfMatch, Router
from app.core.schemas import RowSchema
from app.examples.models import ExampleItem
from app.main import create_app
from tests import factories
from tests.factories import PASSWORD, Actor

ITEMS = "/api/v1/items"


async def count(app: FastAPI, model: Any) -> int:
    return await app.state.database.read.count(select(model))


def extended(app: FastAPI, router: APIRouter, settings: Settings | None = None) -> FastAPI:
    other = create_app(settings or app.state.settings)
    factories.share(other, app)
    other.include_router(router)
    return other


async def test_a_migration_under_it_fails_no_write(empty_database: str, backend: str) -> None:
    """PostgreSQL's prepared statements know the columns' types as they were."""
    if backend != "postgresql":
        return
    app = create_app(factories.settings(database_url=empty_database, db_pool_size=2))
    async with app.router.lifespan_context(app):
        user = await factories.user(app)
        item = f"{ITEMS}/{(await factories.item(user))['id']}"

        async def write() -> set[int]:
            writes = [user.http.put(item, json={"title": "x"}) for _ in range(8)]
            return {answer.status_code for answer in await asyncio.gather(*writes)}

        for length in (210, 220):
            assert await write() == {200}
            async with app.state.database.engine.begin() as migration:
                await migration.execute(text(f"ALTER TABLE example_items ALTER title TYPE varchar({length})"))
        assert await write() == {200}


KILL = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}
WHO_AM_I = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT CONNECTION_ID()"}


async def test_a_commit_that_fails_is_not_heard_as_success(app: FastAPI, backend: str, user: Actor) -> None:
    """The endpoint has returned its answer when the commit fails: by a key checked late, or a connection cut."""
    router = Router()

    @router.post("/doomed", status_code=201)
    async def doomed(caller: CurrentUser, db: DbSession) -> dict[str, bool]:
        if backend == "sqlite":
            await db.execute(text("PRAGMA defer_foreign_keys=ON"))
            db.add(ExampleItem(user_id=caller.id + 1000, title="nobody's"))
            await db.flush()
        else:
            db.add(ExampleItem(user_id=caller.id, title="doomed"))
            await db.flush()
            connection_id = await db.scalar(text(WHO_AM_I[backend]))
            async with app.state.database.engine.connect() as executioner:
                await executioner.execute(text(KILL[backend].format(connection_id)))
        return {"done": True}

    answer = await factories.client(extended(app, router), user.token).post("/doomed")
    assert answer.status_code == (409 if backend == "sqlite" else 503)
    assert answer.headers.get("Retry-After") == (None if backend == "sqlite" else "1")
    assert await count(app, ExampleItem) == 0


async def test_of_two_in_a_deadlock_both_succeed(app: FastAPI, backend: str, user: Actor) -> None:
    """The database ends one of them; its request is run again, from its beginning."""
    if backend == "sqlite":
        return  # its one writer at a time waits for nobody who waits for it
    items = [(await factories.item(user))["id"] for _ in range(2)]
    both_locked, runs = asyncio.Barrier(2), []
    router = Router()

    @router.post("/lock", status_code=201)
    async def lock(first: int, second: int, caller: CurrentUser, db: DbSession) -> int:
        runs.append(first)
        await db.execute(update(ExampleItem).where(ExampleItem.id == first).values(title=f"{first}"))
        db.add(ExampleItem(user_id=caller.id, title="made by a run"))
        await db.flush()
        if len(runs) <= 2:
            await both_locked.wait()
        await db.execute(update(ExampleItem).where(ExampleItem.id == second).values(title=f"{first}"))
        return first

    http = factories.client(extended(app, router), user.token)
    urls = [f"/lock?first={first}&second={second}" for first, second in (items, items[::-1])]
    answers = await asyncio.gather(*(http.post(url) for url in urls))
    assert [(answer.status_code, answer.json()) for answer in answers] == [(201, items[0]), (201, items[1])]
    assert len(runs) == 3
    assert await count(app, ExampleItem) == 4  # the run that was ended has left nothing


async def test_a_commit_that_fails_to_serialize_is_run_again(app: FastAPI, backend: str, user: Actor) -> None:
    if backend != "postgresql":
        return  # the others have no such isolation that fails at the commit
    both_read, runs = asyncio.Barrier(2), []
    router = Router()

    @router.post("/skew", status_code=201)
    async def skew(caller: CurrentUser, db: DbSession) -> int:
        runs.append(1)
        await db.execute(text("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"))
        seen = await db.scalar(select(func.count()).select_from(ExampleItem))
        if len(runs) <= 2:
            await both_read.wait()
        db.add(ExampleItem(user_id=caller.id, title=f"{seen}"))
        return seen or 0

    http = factories.client(extended(app, router), user.token)
    answers = await asyncio.gather(http.post("/skew"), http.post("/skew"))
    assert sorted(answer.json() for answer in answers) == [0, 1]
    assert len(runs) == 3


CONFLICT = {
    "postgresql": "DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END $$",
    "mysql": "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213",
}


async def test_who_is_always_the_victim_hears_to_come_again(app: FastAPI, backend: str, user: Actor) -> None:
    if backend == "sqlite":
        return
    runs = []
    router = Router()

    @router.post("/victim", status_code=201)
    async def victim(caller: CurrentUser, db: DbSession) -> None:
        runs.append(1)
        db.add(ExampleItem(user_id=caller.id, title="never"))
        await db.flush()
        await db.execute(text(CONFLICT[backend]))

    answer = await factories.client(extended(app, router), user.token).post("/victim")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert len(runs) == 1 + 3
    assert await count(app, ExampleItem) == 0


async def test_a_request_that_is_run_again_is_counted_once(app: FastAPI, backend: str, user: Actor) -> None:
    if backend == "sqlite":
        return
    runs = []
    router = Router()

    @router.post("/victim-once", status_code=201)
    async def victim_once(_: CurrentUser, db: DbSession) -> None:
        runs.append(1)
        if len(runs) == 1:
            await db.execute(text(CONFLICT[backend]))

    limits = app.state.settings.model_copy(update={"rate_limit_enabled": True, "rate_limit_user": "5/hour"})
    answer = await factories.client(extended(app, router, limits), user.token).post("/victim-once")
    assert (answer.status_code, len(runs)) == (201, 2)
    assert answer.headers["RateLimit-Policy"] == '"user-per-hour";q=5;w=3600'
    assert answer.headers["RateLimit"].startswith('"user-per-hour";r=4;')


async def test_without_a_transaction_that_is_committed_there_is_no_session(app: FastAPI, user: Actor) -> None:
    """A route of FastAPI's own would answer as if it had written."""

    router = APIRouter()

    @router.post("/not-the-houses")
    async def write(caller: CurrentUser, db: DbSession) -> None:
        db.add(ExampleItem(user_id=caller.id, title="never"))

    answer = await factories.client(extended(app, router), user.token).post("/not-the-houses")
    assert answer.status_code == 500


async def test_an_endpoint_that_raises_leaves_nothing_behind(app: FastAPI, user: Actor) -> None:
    router = Router()

    @router.post("/fails")
    async def fails(caller: CurrentUser, db: DbSession) -> None:
        db.add(ExampleItem(user_id=caller.id, title="half done"))
        await db.flush()
        raise LookupError

    assert (await factories.client(extended(app, router), user.token).post("/fails")).status_code == 500
    assert await count(app, ExampleItem) == 0


async def test_a_read_session_cannot_write(app: FastAPI, user: Actor) -> None:
    statement: Any = insert(ExampleItem).values(user_id=user.id, title="x")
    with pytest.raises(DBAPIError):
        await app.state.database.read.all(statement)
    assert await count(app, ExampleItem) == 0


async def test_a_row_gives_columns_whatever_their_names(app: FastAPI, user: Actor) -> None:
    """SQLAlchemy's own rows answer to `count`, `index` and `t` with methods of theirs."""
    row = await app.state.database.read.one(select(User.id.label("count"), User.email.label("t")))
    assert (row.count, row.t) == (user.id, user.email)


async def test_of_racing_registrations_one_wins(app: FastAPI, client: AsyncClient) -> None:
    spellings = ["racer@example.com", "RACER@example.com", "Racer@Example.com"]
    answers = await asyncio.gather(
        *(
            client.post("/api/v1/auth/register", json={"email": spellings[n % 3], "password": PASSWORD})
            for n in range(30)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 29
    assert await count(app, User) == 1


@pytest.mark.parametrize("different", [True, False])
async def test_of_racing_puts_with_one_etag_one_wins(app: FastAPI, user: Actor, different: bool) -> None:
    item = await user.http.post(ITEMS, json={"title": "before"})
    headers = {"If-Match": item.headers["ETag"]}
    answers = await asyncio.gather(
        *(
            user.http.put(
                f"{ITEMS}/{item.json()['id']}", json={"title": f"{n if different else 'before'}"}, headers=headers
            )
            for n in range(20)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 19
    winner = next(answer for answer in answers if answer.status_code == 200)
    assert (await user.http.get(f"{ITEMS}/{item.json()['id']}")).json() == winner.json()


async def test_if_match_takes_a_list_and_a_star(user: Actor) -> None:
    item = await user.http.post(ITEMS, json={"title": "x"})
    url, etag = f"{ITEMS}/{item.json()['id']}", item.headers["ETag"]
    assert (await user.http.put(url, json={"title": "y"}, headers={"If-Match": f'"a", {etag}'})).status_code == 200
    assert (await user.http.put(url, json={"title": "z"}, headers={"If-Match": f'"a", {etag}'})).status_code == 412
    assert (await user.http.put(url, json={"title": "z"}, headers={"If-Match": "*"})).status_code == 200
    assert (await user.http.put(url, json={"title": "z"}, headers={"If-Match": etag[1:-1]})).status_code == 412


async def test_of_racing_posts_with_one_key_one_makes_a_row(app: FastAPI, user: Actor) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    answers = await asyncio.gather(*(user.http.post(ITEMS, json={"title": "once"}, headers=headers) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert await count(app, ExampleItem) == 1


async def test_a_repeat_hears_the_first_answer_though_the_row_has_changed(user: Actor) -> None:
    headers = {"Idempotency-Key": "key-1"}
    first = await user.http.post(ITEMS, json={"title": "first"}, headers=headers)
    url = f"{ITEMS}/{first.json()['id']}"
    await user.http.put(url, json={"title": "changed"})
    again = await user.http.post(ITEMS, json={"title": "first"}, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    await user.http.delete(url)
    assert (await user.http.post(ITEMS, json={"title": "first"}, headers=headers)).json() == first.json()


async def test_a_key_is_its_owners_and_of_one_request(user: Actor, other: Actor) -> None:
    headers = {"Idempotency-Key": "key-1"}
    mine = await user.http.post(ITEMS, json={"title": "mine"}, headers=headers)
    theirs = await other.http.post(ITEMS, json={"title": "mine"}, headers=headers)
    assert theirs.json()["id"] != mine.json()["id"]
    different = await user.http.post(ITEMS, json={"title": "other"}, headers=headers)
    assert different.status_code == 422
    assert "Was used with another request" in different.text


async def test_a_failed_request_may_be_repeated_with_its_key(user: Actor) -> None:
    headers = {"Idempotency-Key": "key-1"}
    assert (await user.http.post(ITEMS, json={"title": ""}, headers=headers)).status_code == 422
    assert (await user.http.post(ITEMS, json={"title": "x"}, headers=headers)).status_code == 201


@pytest.mark.parametrize("key", ["", "a" * 256, "a b", b"\xff"])
async def test_what_is_no_key_is_422(user: Actor, key: str | bytes) -> None:
    answer = await user.http.post(ITEMS, json={"title": "x"}, headers=factories.header("Idempotency-Key", key))
    assert answer.status_code == 422
    assert "1 to 255 visible ASCII" in answer.text


async def test_a_repeat_that_lost_the_race_to_its_own_conflict_hears_the_first_answer(
    app: FastAPI, user: Actor
) -> None:
    """The endpoint refuses what is there already; a repeat that comes while the first runs finds it there."""
    router = Router()
    both_looked = asyncio.Barrier(2)
    waiting = [True, True]

    @router.post("/unique", status_code=201)
    async def unique(caller: CurrentUser, db: DbSession) -> dict[str, str]:
        if waiting:
            waiting.pop()
            await both_looked.wait()
        db.add(User(email="unique@example.com", hashed_password=""))
        await db.flush()
        return {"made": "it"}

    http = factories.client(extended(app, router), user.token)
    headers = {"Idempotency-Key": "key-1"}
    answers = await asyncio.gather(*(http.post("/unique", headers=headers) for _ in range(2)))
    assert [(answer.status_code, answer.json()) for answer in answers] == [(201, {"made": "it"})] * 2
    assert (await http.post("/unique", headers={"Idempotency-Key": "key-2"})).status_code == 409


async def test_many_writers_at_once_never_hear_that_the_database_is_locked(app: FastAPI, user: Actor) -> None:
    answers = await asyncio.gather(*(user.http.post(ITEMS, json={"title": str(n)}) for n in range(100)))
    assert {answer.status_code for answer in answers} == {201}
    async with app.state.database.sessions() as db:
        assert await db.scalar(select(func.count()).select_from(ExampleItem)) == 100


class Renamed(RowSchema):
    id: int
    text: str = Field(validation_alias="title", serialization_alias="headline")
    description: str | None


@pytest.mark.parametrize("options", [{}, {"response_model_exclude_none": True}, {"response_model_by_alias": False}])
async def test_if_match_takes_the_etag_of_what_the_route_sends(
    app: FastAPI, user: Actor, options: dict[str, Any]
) -> None:
    """Whatever the names of the fields, and those that are left out."""
    router = Router(prefix="/api/v1/renamed")

    async def locked(item_id: int, caller: CurrentUser, db: DbSession, if_match: IfMatch) -> ExampleItem:
        item = await lock_row(db, ExampleItem, item_id, caller)
        if_match.check(Renamed, item)
        return item

    @router.get("/{item_id}", response_model=Renamed, **options)
    async def show(item_id: int, caller: CurrentUser, read: ReadSession) -> Row:
        return await read_row(read, ExampleItem, item_id, caller)

    @router.delete("/{item_id}", status_code=204)
    async def delete(item: Annotated[ExampleItem, Depends(locked)], db: DbSession) -> None:
        await db.delete(item)

    other = factories.configured(app)
    other.include_router(router)
    http = factories.client(other, user.token)
    url = f"/api/v1/renamed/{(await factories.item(user))['id']}"
    etag = (await http.get(url)).headers["ETag"]
    assert (await http.delete(url, headers={"If-Match": '"stale"'})).status_code == 412
    assert (await http.delete(url, headers={"If-Match": etag})).status_code == 204


async def test_a_repeat_gets_the_bytes_and_headers_of_the_first_answer(app: FastAPI, user: Actor) -> None:
    router = Router(prefix="/api/v1/answers")
    done: list[str] = []

    @router.post("/{kind}", status_code=201)
    async def answer(kind: str, caller: CurrentUser, db: DbSession) -> Response:
        done.append(kind)
        db.add(ExampleItem(user_id=caller.id, title=kind))
        if kind == "streamed":
            return StreamingResponse(iter([b"1", b"2"]), 201)
        return Response(b"\x89PNG\0\xff", 201, {"Location": "/here"}, "image/png")

    other = factories.configured(app)
    other.include_router(router)
    http = factories.client(other, user.token)
    headers = {"Idempotency-Key": "binary"}
    first, again = [await http.post("/api/v1/answers/binary", headers=headers) for _ in range(2)]
    assert (again.status_code, again.content) == (first.status_code, first.content) == (201, b"\x89PNG\0\xff")
    assert (again.headers["Location"], again.headers["Content-Type"]) == ("/here", "image/png")
    assert len((await user.http.get("/api/v1/items")).json()) == 1
    streamed = await http.post("/api/v1/answers/streamed", headers={"Idempotency-Key": "streamed"})
    assert (streamed.status_code, streamed.content) == (201, b"12")


async def test_an_upload_is_whole_when_its_transaction_runs_again(app: FastAPI, user: Actor) -> None:
    router = Router(prefix="/api/v1/uploads")
    stored: list[bytes] = []

    @router.post("", status_code=201)
    async def upload(file: UploadFile, caller: CurrentUser, db: DbSession) -> int:
        stored.append(await file.read())
        await db.flush()
        if len(stored) == 1:
            raise DBAPIError("", None, VictimOfDeadlock())
        return len(stored[-1])

    other = factories.configured(app)
    other.include_router(router)
    http = factories.client(other, user.token)
    answer = await http.post("/api/v1/uploads", files={"file": ("a.txt", b"x" * 3000)})
    assert (answer.status_code, answer.json()) == (201, 3000)
    assert stored == [b"x" * 3000] * 2


class VictimOfDeadlock(Exception):
    sqlstate = "40P01"
