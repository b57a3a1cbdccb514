"""The admin's pages: accounts and rows, by the rules of the API."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from tests import factories, processes
from tests.admin_pages import Visitor, visitor
from tests.factories import Actor, configured

ITEMS, ACCOUNTS = "/admin/example-item", "/admin/user"


@pytest.fixture
async def admin(superuser: Actor) -> Visitor:
    return await visitor(superuser)


async def trail(superuser: Actor, **query: Any) -> list[dict[str, Any]]:
    return (await superuser.http.get("/api/v1/audit", params=query)).json()


async def test_a_new_row_is_its_owners(admin: Visitor, superuser: Actor, user: Actor) -> None:
    for owner in (user.email.upper(), str(user.id)):
        answer = await admin.save(f"{ITEMS}/create", user_id=owner, title="From the admin", is_completed="y")
        assert answer.status_code == 303, answer.text
    rows = (await user.http.get("/api/v1/items")).json()
    assert [(row["user_id"], row["title"], row["is_completed"]) for row in rows] == [
        (user.id, "From the admin", True)
    ] * 2
    events = await trail(superuser, event="row_created")
    assert [(event["user_id"], event["actor_id"]) for event in events] == [(user.id, superuser.id)] * 2
    assert events[-1]["details"] == {
        "entity": "ExampleItem", "row": str(rows[0]["id"]), "fields": ["description", "is_completed", "title"],
    }  # fmt: skip


async def test_an_owner_who_is_not_there(admin: Visitor) -> None:
    for owner in ("", "nobody@example.com", "0", "99999999999999999999", "9" * 5_000, "x"):
        answer = await admin.save(f"{ITEMS}/create", user_id=owner, title="Nobody's")
        assert answer.status_code == 422
        assert "There is none" in answer.text


async def test_the_schemas_of_the_api_decide(admin: Visitor, user: Actor) -> None:
    item = await factories.item(user)
    for path in (f"{ITEMS}/create", f"{ITEMS}/edit/{item['id']}"):
        for title, message in (("", "at least 1 character"), ("x" * 201, "at most 200 characters")):
            answer = await admin.save(path, title=title, user_id=user.id)
            assert answer.status_code == 422
            assert message in answer.text
    assert (await user.http.get("/api/v1/items")).json() == [item]


async def test_only_what_was_touched_is_changed(admin: Visitor, superuser: Actor, user: Actor) -> None:
    item = await factories.item(user, title="Before", description="two\nlines")
    edit = f"{ITEMS}/edit/{item['id']}"
    form = await admin.form(edit)
    await user.http.put(f"/api/v1/items/{item['id']}", json={"is_completed": True})
    sent = {**form, "row_title": "After", "row_description": "two\r\nlines", "save": "Save"}
    assert (await admin.post(edit, **sent)).status_code == 303
    now = (await user.http.get(f"/api/v1/items/{item['id']}")).json()
    assert now == item | {"title": "After", "is_completed": True, "updated_at": now["updated_at"]}
    assert (await admin.save(edit)).status_code == 303  # which changes nothing
    (event,) = await trail(superuser, event="row_changed")
    assert event["details"]["fields"] == ["title"]


async def test_rows_are_deleted(admin: Visitor, superuser: Actor, user: Actor) -> None:
    items = [await factories.item(user) for _ in range(3)]
    answer = await admin.delete(f"{ITEMS}/delete", items[0]["id"], items[1]["id"])
    assert answer.text == f"http://test{ITEMS}/list"
    assert (await user.http.get("/api/v1/items")).json() == items[2:]
    assert len(await trail(superuser, event="row_deleted")) == 2


async def test_an_account_is_changed_by_the_rules_of_the_api(admin: Visitor, superuser: Actor, user: Actor) -> None:
    edit = f"{ACCOUNTS}/edit/{user.id}"
    assert set(await admin.form(edit)) == {"row_is_active", "seen"}  # the box that is ticked; there is no other field
    key = await factories.key(user)
    assert (await admin.save(edit, is_active=None)).status_code == 303
    for token in (user.token, key["key"]):
        assert (await factories.client(user.app, token).get("/api/v1/auth/me")).status_code == 401
    (event,) = await trail(superuser, event="account_changed")
    assert (event["user_id"], event["actor_id"], event["details"]) == (user.id, superuser.id, {"is_active": False})


async def test_the_last_superuser_stays(admin: Visitor, superuser: Actor) -> None:
    edit, stays = f"{ACCOUNTS}/edit/{superuser.id}", "The last superuser cannot be removed"
    for change in ({"is_superuser": None}, {"is_active": None}):
        answer = await admin.save(edit, **change)
        assert answer.status_code == 422
        assert stays in answer.text
    answer = await admin.delete(f"{ACCOUNTS}/delete", superuser.id)
    assert stays in (await admin.http.get(answer.text)).text
    assert (await superuser.http.get("/api/v1/users")).json()[0]["is_superuser"]


async def test_no_secret_is_shown_or_taken(admin: Visitor, user: Actor) -> None:
    for path in ("", f"{ACCOUNTS}/list", f"{ACCOUNTS}/details/{user.id}", f"{ACCOUNTS}/edit/{user.id}"):
        text = (await admin.get(path or "/admin/")).text
        assert "password" not in text.lower()
        assert "bcrypt" not in text
    sent = {"is_superuser": "y", "hashed_password": "x", "email": "other@example.com", "id": "1"}
    assert (await admin.save(f"{ACCOUNTS}/edit/{user.id}", **sent)).status_code == 303
    me = (await user.http.get("/api/v1/auth/me")).json()
    assert (me["email"], me["id"], me["is_superuser"]) == (user.email, user.id, True)
    assert await factories.login(user.app, user.email)
    assert (await admin.get(f"{ACCOUNTS}/create")).status_code == 403


async def test_the_audit_trail_is_read_and_not_changed(admin: Visitor, user: Actor) -> None:
    await admin.save(f"{ACCOUNTS}/edit/{user.id}", is_active=None)
    page = (await admin.get("/admin/audit-event/list", search="account_changed")).text
    assert "Showing 1 to 1 of 1 items" in page
    assert "is_active" in page
    assert f"/admin/user/details/{user.id}" in page
    row = page.partition("/admin/audit-event/details/")[2].partition('"')[0]
    assert (await admin.get(f"/admin/audit-event/details/{row}")).status_code == 200
    for path in (f"edit/{row}", "create"):
        assert (await admin.post(f"/admin/audit-event/{path}")).status_code == 403
    assert (await admin.delete("/admin/audit-event/delete", row)).status_code == 403


async def test_lists_are_searched_sorted_and_bounded(admin: Visitor, user: Actor) -> None:
    for title in ("Anna", "Berta", "Anton"):
        await factories.item(user, title=title)
    found = (await admin.get(f"{ITEMS}/list", search="an", sortBy="title", sort="asc")).text
    assert found.index("Anna") < found.index("Anton")
    assert "Berta" not in found
    assert "Showing 1 to 2 of 2 items" in found
    assert "Showing 1 to 3 of 3 items" in (await admin.get(f"{ITEMS}/list", pageSize="1000000")).text
    assert (await admin.get(f"{ITEMS}/list", pageSize="1", page="2")).text.count("fa-eye") == 1
    assert (await admin.get(f"{ITEMS}/list", search="%" * 5000)).status_code == 200
    assert (await admin.get(f"{ITEMS}/list", search="\0")).status_code == 422
    assert (await admin.get(f"{ITEMS}/list", sortBy="hashed_password")).status_code == 400


NOWHERE = [
    f"{ITEMS}/details/x", f"{ITEMS}/edit/99999999999999999999", f"{ITEMS}/details/7", "/admin/nothing/list",
    "/admin/statics/js/main.js", f"{ITEMS}/1/title/download/", "/admin/x",
]  # fmt: skip


async def test_what_is_not_there_is_404(admin: Visitor) -> None:
    for path in NOWHERE:
        answer = await admin.get(path)
        assert answer.status_code == 404, path
        assert "To the admin" in answer.text


async def test_nothing_is_exported_or_imported(admin: Visitor) -> None:
    assert (await admin.get(f"{ITEMS}/export/csv")).status_code == 403
    assert (await admin.post(f"{ITEMS}/import")).status_code == 403


async def test_what_is_typed_is_text(admin: Visitor, user: Actor) -> None:
    item = await factories.item(user, title="<script>alert(1)</script>", description="<b>bold</b>")
    for path in (f"{ITEMS}/list", f"{ITEMS}/details/{item['id']}", f"{ITEMS}/edit/{item['id']}"):
        text = (await admin.get(path, search="<script>")).text
        assert "<script>alert" not in text
        assert "<b>" not in text


async def test_its_pages_run_only_files(admin: Visitor) -> None:
    answer = await admin.get(f"{ITEMS}/list")
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert len(answer.headers["X-Request-ID"]) == 32


async def test_it_can_be_turned_off(app: FastAPI, client: AsyncClient) -> None:
    for path in ("/admin/", "/admin/login", f"{ITEMS}/list"):
        assert (await factories.client(configured(app, admin_enabled=False)).get(path)).status_code == 404


def test_no_start_waits_for_it(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys; from app.main import app\n"
        "async def start():\n    async with app.router.lifespan_context(app): pass\n"
        "asyncio.run(start())\n"
        "print([name for name in ('sqladmin', 'wtforms', 'app.admin') if name in sys.modules])"
    )
    env = processes.safe(f"sqlite:///{tmp_path}/app.db")
    run = subprocess.run([sys.executable, "-c", code], env=env, cwd=processes.ROOT, capture_output=True, text=True)
    assert run.stdout == "[]\n", run.stderr
