"""Every snippet of docs/PATTERNS.md is run, called over HTTP, and tried with what it has to refuse."""

import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest
from fastapi import FastAPI
from jinja2 import ChoiceLoader, DictLoader
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import utcnow
from app.core.errors import Conflict
from app.core.jobs import enqueue
from app.core.jobs.task import TASKS
from app.core.mail import templates
from app.examples.models import ExampleItem
from app.main import create_app
from tests import factories
from tests.e2e.pages import blocks
from tests.mail_server import MailServer
from tests.waiting import until


@pytest.fixture
def snippets() -> Generator[dict[str, Any]]:
    """What the page of patterns defines. Its tasks go: later applications would give their periods' runs to others."""
    namespace: dict[str, Any] = {"__file__": __file__, "__name__": "docs_patterns"}
    known = dict(TASKS)
    for code in blocks("docs/PATTERNS.md", "python"):
        exec(compile(code, "docs/PATTERNS.md", "exec"), namespace)
    yield namespace
    for name in TASKS.keys() - known.keys():
        del TASKS[name]


@pytest.fixture
def patterns(app: FastAPI, snippets: dict[str, Any]) -> FastAPI:
    """The application, extended by the page's router."""
    extended = create_app(app.state.settings)
    factories.share(extended, app)
    extended.include_router(snippets["router"], prefix="/api/v1")
    return extended


def at(patterns: FastAPI, actor: factories.Actor) -> factories.Actor:
    return factories.Actor(patterns, actor.id, actor.email, actor.token)


@pytest.fixture
def mine(patterns: FastAPI, user: factories.Actor) -> factories.Actor:
    return at(patterns, user)


async def call(actor: factories.Actor, method: str, path: str, **content: Any) -> tuple[int, Any]:
    response = await actor.http.request(method, f"/api/v1/patterns/{path}", **content)
    return response.status_code, response.json()


async def test_the_patterns_of_reading(snippets: dict[str, Any], mine: factories.Actor) -> None:
    await snippets["test_an_item_is_completed_once"](mine)
    first, second = (await mine.http.get("/api/v1/items")).json()[0], await factories.item(mine)
    assert await call(mine, "GET", "summary") == (200, {"total": 2, "completed": 1})
    assert [row["id"] for row in (await call(mine, "GET", "recent"))[1]] == [second["id"], first["id"]]
    assert (await call(mine, "GET", "recent?days=0"))[0] == 422
    assert (await call(mine, "GET", f"{first['id']}/with-age"))[1] == first | {"age_in_days": 0}
    assert [row["id"] for row in (await call(mine, "GET", f"{first['id']}/siblings"))[1]] == [second["id"]]
    assert (await call(mine, "GET", "lines"))[0] == 200


async def test_the_patterns_of_who_may(mine: factories.Actor, superuser: factories.Actor) -> None:
    admin, nobody = at(mine.app, superuser), factories.client(mine.app)
    assert (await call(mine, "GET", "accounts-of-today"))[0] == 403
    assert await call(admin, "GET", "accounts-of-today") == (200, 2)
    assert (await nobody.get("/api/v1/patterns/name")).json() == "Groundwork"
    item = await factories.item(mine, is_completed=True)
    refusal = {"detail": "Not authorized: only its owner reopens an item"}
    assert await call(admin, "POST", f"{item['id']}/reopen") == (403, refusal)
    assert (await mine.http.get(f"/api/v1/items/{item['id']}")).json() == item
    status, reopened = await call(mine, "POST", f"{item['id']}/reopen")
    assert (status, reopened["is_completed"]) == (200, False)


async def test_the_pattern_of_the_cache(mine: factories.Actor, other: factories.Actor) -> None:
    for number in (0, 1):
        assert await call(mine, "GET", "statistics") == (200, {"items": number})
        await factories.item(mine)
        assert await call(mine, "GET", "statistics") == (200, {"items": number})
        assert await call(at(mine.app, other), "GET", "statistics") == (200, {"items": 0})
        assert (await mine.http.delete("/api/v1/patterns/statistics")).status_code == 204


async def test_the_pattern_of_a_rate_limit(snippets: dict[str, Any], mine: factories.Actor) -> None:
    limited = create_app(mine.app.state.settings.model_copy(update={"rate_limit_enabled": True}))
    factories.share(limited, mine.app)
    limited.include_router(snippets["router"], prefix="/api/v1")
    answers = [await call(at(limited, mine), "POST", "report") for _ in range(3)]
    assert answers == [(200, 0), (200, 0), (429, {"detail": "Too many requests, try again later"})]


async def test_the_patterns_of_errors_and_writing(mine: factories.Actor) -> None:
    assert await call(mine, "GET", "premium") == (402, {"detail": "The plan does not include this"})
    assert (await call(mine, "POST", "attempt"))[0] == 409
    assert (await mine.http.get("/api/v1/items?q=tried&count=true")).headers["X-Total-Count"] == "1"
    await factories.item(mine)
    assert await call(mine, "POST", "complete-all") == (200, 2)


async def test_the_pattern_of_an_event(snippets: dict[str, Any], mine: factories.Actor) -> None:
    async def refuse(db: AsyncSession, item: ExampleItem) -> None:
        raise Conflict("Not today")

    item = await factories.item(mine, title="A letter")
    snippets["item_finished"].append(refuse)
    assert await call(mine, "POST", f"{item['id']}/finish") == (409, {"detail": "Not today"})
    assert (await mine.http.get("/api/v1/items")).json() == [item]
    snippets["item_finished"].remove(refuse)
    assert (await call(mine, "POST", f"{item['id']}/finish"))[1]["is_completed"] is True
    rows = (await mine.http.get("/api/v1/items?sort=id")).json()
    assert [(row["title"], row["description"]) for row in rows] == [("A letter", None), ("Review", "A letter")]


def stored(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


async def test_the_pattern_of_a_file(
    snippets: dict[str, Any], mine: factories.Actor, other: factories.Actor, tmp_path: Path
) -> None:
    snippets["FILES"] = anyio.Path(tmp_path / "files")
    files, content = f"{(await factories.item(mine))['id']}/files", b"\x89PNG\r\n\x1a\n" + bytes(100_000)
    upload = {"file": ("../../passwd.html", content, "image/png")}
    status, name = await call(mine, "POST", files, files=upload)
    assert status == 201
    assert stored(tmp_path) == [name]
    same = {"Idempotency-Key": "once", "Content-Type": "multipart/form-data; boundary=-"}
    first, again = [await call(mine, "POST", files, files=upload, headers=same) for _ in range(2)]
    assert first == again
    assert len(stored(tmp_path)) == 2
    download = await mine.http.get(f"/api/v1/patterns/{files}/{name}")
    assert (download.status_code, download.content) == (200, content)
    assert download.headers["Content-Type"] == "image/png"
    assert download.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert (await call(mine, "GET", f"{files}/{'0' * 32}.png"))[0] == 404
    assert (await call(mine, "GET", f"{files}/passwd.html"))[0] == 422
    assert (await call(mine, "GET", f"{files}/..%2F..%2F{name}"))[0] == 404
    assert (await call(at(mine.app, other), "GET", f"{files}/{name}"))[0] == 403
    assert (await call(at(mine.app, other), "POST", files, files=upload))[0] == 403


async def test_the_pattern_of_a_file_refuses(snippets: dict[str, Any], mine: factories.Actor, tmp_path: Path) -> None:
    snippets["FILES"] = anyio.Path(tmp_path / "files")
    files = f"{(await factories.item(mine))['id']}/files"
    status, body = await call(mine, "POST", files, files={"file": ("page.png", b"<html>", "text/html")})
    assert (status, body["detail"][0]["loc"]) == (422, ["body", "file"])
    large = {"file": ("large.png", bytes(mine.app.state.settings.max_body_bytes), "image/png")}
    assert (await call(mine, "POST", files, files=large))[0] == 413
    assert (await call(mine, "POST", files, data={"file": "no file"}))[0] == 422
    assert (await call(mine, "POST", files))[0] == 422
    assert stored(tmp_path) == []


async def test_the_pattern_of_a_job(mine: factories.Actor) -> None:
    status, item = await call(mine, "POST", "described", json={"title": "A letter"})
    assert (status, item["description"]) == (201, None)

    async def description() -> str | None:
        return (await mine.http.get(f"/api/v1/items/{item['id']}")).json()["description"]

    assert await until(description) == "A title of 8 characters"
    assert (await call(mine, "POST", "described", json={"title": ""}))[0] == 422


async def test_the_pattern_of_a_period(snippets: dict[str, Any], mine: factories.Actor) -> None:
    old, young = await factories.item(mine), await factories.item(mine)
    database = mine.app.state.database
    async with database.sessions.begin() as db:
        then = utcnow() - timedelta(days=366)
        await db.execute(update(ExampleItem).where(ExampleItem.id == old["id"]).values(created_at=then))
        enqueue(db, snippets["complete_what_is_old"])

    async def completed() -> list[int]:
        return [row["id"] for row in (await mine.http.get("/api/v1/items?is_completed=true")).json()]

    assert await until(completed) == [old["id"]]
    assert (await mine.http.get(f"/api/v1/items/{young['id']}")).json() == young


async def test_the_pattern_of_a_mail(
    mine: factories.Actor, post_office: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = (code.partition(" #}\n") for code in blocks("docs/PATTERNS.md", "jinja"))
    page = {head.removeprefix("{# app/"): text for head, _, text in named}
    monkeypatch.setattr(templates(), "loader", ChoiceLoader([DictLoader(page), cast("Any", templates().loader)]))
    item = await factories.item(mine, title="<A letter>")
    answer = await mine.http.post(f"/api/v1/patterns/{item['id']}/complete-and-tell")
    assert answer.status_code == 204

    async def mails() -> list[EmailMessage]:
        return [mail for mail in post_office.mails[mine.email] if mail["Subject"] == "Completed"]

    (mail,) = await until(mails)
    html, plain = mail.get_body(("html",)), mail.get_body(("plain",))
    assert html is not None
    assert plain is not None
    assert "Your item <b>&lt;A letter&gt;</b> is completed." in html.get_content()
    assert plain.get_content().strip() == 'Your item "<A letter>" is completed.'


class Translator(BaseHTTPRequestHandler):
    """Translates into capitals; some words are refused, take too long, or get what was not agreed on."""

    def do_GET(self) -> None:
        text = parse_qs(urlsplit(self.path).query)["text"][0]
        if text == "slow":
            time.sleep(0.5)
            return
        self.send_response_only(500 if text == "refused" else 200)
        self.end_headers()
        self.wfile.write(b"[]" if text == "nonsense" else json.dumps({"text": text.upper()}).encode())


@contextmanager
def translator() -> Generator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Translator) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


async def test_the_pattern_of_anothers_api(snippets: dict[str, Any], mine: factories.Actor) -> None:
    async def translate(title: str) -> tuple[int, Any]:
        item = await factories.item(mine, title=title)
        return await call(mine, "GET", f"{item['id']}/translation")

    away, state = (503, {"detail": "The translator is away, try again"}), mine.app.state
    with translator() as address:
        async with snippets["open_translator"](address) as state.translator:
            assert await translate("a & b") == (200, {"text": "A & B"})
            assert await translate("refused") == away
            assert await translate("nonsense") == away
            state.translator.timeout = 0.1
            assert await translate("slow") == away
    async with snippets["open_translator"](address) as state.translator:  # where nobody listens any more
        assert await translate("a & b") == away
