"""The audit trail: who did what to which account, when and from where; without a secret, for superusers only."""

from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select

from app.core.audit import AuditEvent
from tests import factories
from tests.factories import PASSWORD, Actor

AUTH, AUDIT, USERS = "/api/v1/auth", "/api/v1/audit", "/api/v1/users"
WRONG, NEW = "a wrong password", "another password"


async def trail(reader: Actor, **filters: Any) -> list[dict[str, Any]]:
    answer = await reader.http.get(AUDIT, params=filters)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_what_happens_to_an_account_is_written_down(app: FastAPI, client: AsyncClient, superuser: Actor) -> None:
    user = await factories.newcomer(app)
    client.headers.update({"User-Agent": "a phone", "X-Request-ID": "the-request"})
    body = {"email": user.email, "password": PASSWORD}
    tokens = (await client.post(f"{AUTH}/login", json=body)).json()
    assert (await client.post(f"{AUTH}/login", json=body | {"password": WRONG})).status_code == 401
    client.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    change = {"current_password": PASSWORD, "password": NEW, "email": f"new-{user.email}"}
    assert (await client.patch(f"{AUTH}/me", json=change)).status_code == 200
    once = {"refresh_token": tokens["refresh_token"]}
    assert [(await client.post(f"{AUTH}/refresh", json=once)).status_code for _ in range(2)] == [200, 401]
    rows = await trail(superuser, user_id=user.id, sort="id")
    assert [row["event"] for row in rows] == [
        "registered",
        "signed_in",
        "signed_in",
        "sign_in_failed",
        "email_changed",
        "password_changed",
        "refresh_token_reused",
    ]
    signed_in = rows[2]
    assert (signed_in["user_agent"], signed_in["request_id"]) == ("a phone", "the-request")
    assert signed_in["ip_address"] == "127.0.0.1"
    assert rows[-1]["session_id"] == signed_in["session_id"] is not None


async def test_what_superusers_do_names_them(app: FastAPI, superuser: Actor, user: Actor) -> None:
    assert (await superuser.http.patch(f"{USERS}/{user.id}", json={"is_superuser": True})).status_code == 200
    assert (await superuser.http.delete(f"{USERS}/{user.id}")).status_code == 204
    deleted, changed = await trail(superuser, user_id=user.id, actor_id=superuser.id)
    assert (changed["event"], changed["details"]) == ("account_changed", {"is_superuser": True})
    assert deleted["event"] == "account_deleted"  # it outlives the account


async def test_who_signs_out_and_deletes_themselves(app: FastAPI, superuser: Actor, user: Actor) -> None:
    other = await factories.login(app, user.email)
    assert (await factories.client(app, other).post(f"{AUTH}/logout")).status_code == 204
    assert (await user.http.request("DELETE", f"{AUTH}/me", json={"password": PASSWORD})).status_code == 204
    events = [row["event"] for row in await trail(superuser, user_id=user.id, sort="id")]
    assert events[-2:] == ["signed_out", "account_deleted"]


async def test_an_unknown_address_fails_too_and_is_not_written_down(client: AsyncClient, superuser: Actor) -> None:
    body = {"email": "typed-by-mistake@example.com", "password": WRONG}
    assert (await client.post(f"{AUTH}/login", json=body)).status_code == 401
    (row,) = await trail(superuser, event="sign_in_failed")
    assert row["user_id"] is None
    assert "mistake" not in str(row)


async def test_a_deactivated_account_fails_to_sign_in(client: AsyncClient, superuser: Actor, user: Actor) -> None:
    assert (await superuser.http.patch(f"{USERS}/{user.id}", json={"is_active": False})).status_code == 200
    assert (await client.post(f"{AUTH}/login", json={"email": user.email, "password": PASSWORD})).status_code == 401
    (row,) = await trail(superuser, event="sign_in_failed")
    assert row["user_id"] == user.id


async def test_what_is_refused_is_not_written_down_as_done(superuser: Actor, user: Actor) -> None:
    refused = [
        await user.http.patch(f"{AUTH}/me", json={"current_password": WRONG, "password": NEW}),
        await user.http.patch(f"{AUTH}/me", json={"current_password": PASSWORD, "email": superuser.email}),
        await superuser.http.patch(f"{USERS}/{superuser.id}", json={"is_superuser": False}),
    ]
    assert [answer.status_code for answer in refused] == [403, 409, 409]
    events = {row["event"] for row in await trail(superuser)}
    assert events == set()


async def test_no_secret_is_in_it(app: FastAPI, client: AsyncClient, user: Actor) -> None:
    tokens = (await client.post(f"{AUTH}/login", json={"email": user.email, "password": PASSWORD})).json()
    await client.post(f"{AUTH}/login", json={"email": user.email, "password": WRONG})
    await client.post(f"{AUTH}/refresh", json={"refresh_token": tokens["refresh_token"]})
    rows = str([vars(row) for row in await app.state.database.read.all(select(AuditEvent))])
    for secret in (PASSWORD, WRONG, tokens["access_token"], tokens["refresh_token"], user.email):
        assert secret not in rows


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_nobody_changes_it(superuser: Actor, method: str) -> None:
    assert (await superuser.http.request(method, AUDIT)).status_code == 405


def test_no_code_changes_it() -> None:
    from pathlib import Path

    app = Path(__file__).parents[2] / "app"
    files = {path.relative_to(app).as_posix() for path in app.rglob("*.py") if "AuditEvent" in path.read_text()}
    assert files == {"core/audit.py", "audit/admin.py", "audit/router.py", "audit/schemas.py", "models.py"}
    for name in files:
        text = (app / name).read_text()
        assert "delete(" not in text
        assert "update(" not in text
