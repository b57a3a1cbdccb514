"""Every entity in the admin, whoever added it: shown, changed and made anew by its forms."""

from typing import Any

import pytest
from fastapi import FastAPI

from tests import rows
from tests.admin_pages import ORIGIN, Visitor, visitor
from tests.factories import Actor

GIVEN_ANEW = {"id", "created_at", "updated_at"}


async def entities(app: FastAPI) -> list[tuple[Any, str]]:
    """The views that make rows, and the path of the API that does."""
    site = await app.state.admin_site.get()
    made_at = {
        operation.route.response_model: operation.path
        for operation in rows.operations(app)
        if operation.method == "POST"
    }
    return [(view, made_at[view.response_schema]) for view in site.views if view.can_create]


@pytest.fixture
def maker(app: FastAPI) -> rows.Rows:
    return rows.Rows(app)


async def whole(maker: rows.Rows, superuser: Actor, path: str) -> dict[str, Any]:
    """A row with every field."""
    return await maker.row(path, superuser, await maker.url(path, superuser))


def address(path: str, row: dict[str, Any]) -> str:
    return f"{path.format(**row)}/{row['id']}"


async def test_every_entity_is_shown(app: FastAPI, superuser: Actor, maker: rows.Rows) -> None:
    admin = await visitor(superuser)
    for view, path in await entities(app):
        row = await whole(maker, superuser, path)
        for page in ("list", "create", f"details/{row['id']}", f"edit/{row['id']}"):
            answer = await admin.get(f"/admin/{view.identity}/{page}")
            assert answer.status_code == 200, (view, page)
        searched = await admin.get(f"/admin/{view.identity}/list", search="x")
        assert searched.status_code == 200
        for name in view.column_sortable_list:
            assert (await admin.get(f"/admin/{view.identity}/list", sortBy=name, sort="desc")).status_code == 200


async def test_a_form_that_nobody_touched_changes_nothing(app: FastAPI, superuser: Actor, maker: rows.Rows) -> None:
    admin = await visitor(superuser)
    for view, path in await entities(app):
        row = await whole(maker, superuser, path)
        assert (await admin.save(f"/admin/{view.identity}/edit/{row['id']}")).status_code == 303
        assert (await superuser.http.get(address(path, row))).json() == row


async def test_a_row_is_made_anew_by_its_form(app: FastAPI, superuser: Actor, maker: rows.Rows) -> None:
    admin = await visitor(superuser)
    for view, path in await entities(app):
        row = await whole(maker, superuser, path)
        form = await admin.form(f"/admin/{view.identity}/edit/{row['id']}")
        deleted = await admin.delete(f"/admin/{view.identity}/delete", row["id"])
        assert "error" not in deleted.text
        placed = {name: row[name] for name in row if name not in GIVEN_ANEW and f"row_{name}" not in form}
        again = await _made(admin, view, form, placed)
        found = (await superuser.http.get(path.format(**row))).json()
        (made,) = [one for one in found if one["id"] == again]
        assert {**made, **_untold(view, row)} == row


HOSTILE = [
    "a\0b", "x" * 5_000, "9" * 5_000, "1e400", "NaN", "2147483648", "9223372036854775808", "0001-01-01", "0000-00-00",
    "9999-12-31T23:59:59", "[" * 5_000, '{"a":1,"a":2}', '"\\ud800"', '"\\u0000"', "[NaN]", "null", "true", " ",
    "\r\n", "a@b", "http://[", "\ufffe", "\U0001f40e",
]  # fmt: skip
WORST = ["x" * 100_000, "9" * 5_000, "9223372036854775808", "9999-12-31T23:59:59", '"\\ud800"', "\ufffe\U0001f40e"]


async def test_hostile_text_in_every_field(app: FastAPI, superuser: Actor, maker: rows.Rows) -> None:
    """In all of them, and the worst in each alone: what another refuses does not reach the database."""
    admin = await visitor(superuser)
    for view, path in await entities(app):
        row = await whole(maker, superuser, path)
        for url in (f"/admin/{view.identity}/create", f"/admin/{view.identity}/edit/{row['id']}"):
            form = await admin.form(url)
            tried = [dict.fromkeys(form, text) for text in HOSTILE]
            if url.endswith("create"):
                tried += [{name: text} for name in form for text in WORST]
            for values in tried:
                answer = await admin.post(url, **{**form, **values, "save": "Save"})
                assert answer.status_code in (303, 422), (view, str(values)[:80], answer.text)


async def test_a_file_in_any_field(app: FastAPI, superuser: Actor, maker: rows.Rows) -> None:
    admin = await visitor(superuser)
    for view, path in await entities(app):
        row = await whole(maker, superuser, path)
        for url in (f"/admin/{view.identity}/create", f"/admin/{view.identity}/edit/{row['id']}"):
            form = await admin.form(url)
            for name in [*form, "save", "unknown"]:
                others = {key: value for key, value in form.items() if key != name}
                answer = await admin.http.post(
                    url, data=others, files={name: ("a.txt", b"1")}, headers={"Origin": ORIGIN}
                )
                assert (answer.status_code, "No file is taken" in answer.text) == (422, True), (url, name)
        assert (await superuser.http.get(address(path, row))).json() == row


async def test_what_is_no_list_of_rows_is_not_deleted(app: FastAPI, superuser: Actor, maker: rows.Rows) -> None:
    admin = await visitor(superuser)
    for view, path in await entities(app):
        row = await whole(maker, superuser, path)
        delete, mine = f"/admin/{view.identity}/delete", str(row["id"])
        for query in (
            "",
            "?pks=",
            f"?pks={','.join([mine] * 101)}",
            f"?pks={mine},",
            f"?pks={mine},x",
            "?pks=" + "9" * 5_000,
        ):
            answer = await admin.http.delete(f"{delete}{query}", headers={"Origin": ORIGIN})
            assert answer.status_code in (404, 422), (view, query[:80])
        assert (await superuser.http.get(address(path, row))).json() == row


async def _made(admin: Visitor, view: Any, form: dict[str, str], placed: dict[str, Any]) -> int:
    """The id of the row that the form makes."""
    url = f"/admin/{view.identity}/create"
    offered = await admin.form(url)
    sent = form | {name: placed[name.removeprefix("row_")] for name in offered if name not in form}
    answer = await admin.post(url, **sent, save="Save and continue editing")
    assert answer.status_code == 303, answer.text
    return int(answer.headers["Location"].rpartition("/")[2])


def _untold(view: Any, row: dict[str, Any]) -> dict[str, Any]:
    """What another row has of its own, and the parts of a second, which a form does not show."""
    times = [name for name, value in row.items() if isinstance(value, str) and value.count(":") == 2 and "T" in value]
    return {name: row[name] for name in {*GIVEN_ANEW, *times} & set(row)}
