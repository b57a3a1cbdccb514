"""What superusers do with accounts; promises 13 and 16."""

import asyncio

from fastapi import FastAPI
from sqlalchemy import delete, func, select

from app.auth.models import User
from tests import factories
from tests.factories import PASSWORD, Actor

USERS = "/api/v1/users"


async def test_accounts_are_listed_searched_and_filtered(superuser: Actor, user: Actor) -> None:
    everybody = (await superuser.http.get(f"{USERS}?count=true")).json()
    assert [account["id"] for account in everybody] == [superuser.id, user.id]
    assert "hashed_password" not in str(everybody)
    assert [row["id"] for row in (await superuser.http.get(f"{USERS}?q={user.email.upper()}")).json()] == [user.id]
    assert [row["id"] for row in (await superuser.http.get(f"{USERS}?is_superuser=true")).json()] == [superuser.id]
    assert [row["id"] for row in (await superuser.http.get(f"{USERS}?sort=-email&limit=1")).json()] == [user.id]


async def test_a_deactivated_account_is_out_at_once_and_stays_out(superuser: Actor, user: Actor) -> None:
    url = f"{USERS}/{user.id}"
    assert (await superuser.http.patch(url, json={"is_active": False})).json()["is_active"] is False
    assert (await user.http.get("/api/v1/auth/me")).status_code == 401
    assert (await superuser.http.patch(url, json={"is_active": True})).status_code == 200
    assert (await user.http.get("/api/v1/auth/me")).status_code == 401, "its sessions had ended"
    assert await factories.login(user.app, user.email)


async def test_a_deleted_account_takes_its_rows_along(superuser: Actor, user: Actor) -> None:
    item = await factories.item(user)
    assert (await superuser.http.delete(f"{USERS}/{user.id}")).status_code == 204
    assert (await user.http.get("/api/v1/auth/me")).status_code == 401
    assert (await superuser.http.get(f"/api/v1/items/{item['id']}")).status_code == 404
    assert (await superuser.http.get(f"{USERS}/{user.id}")).status_code == 404


async def test_a_superuser_is_made_and_unmade(superuser: Actor, user: Actor) -> None:
    url = f"{USERS}/{user.id}"
    assert (await user.http.get(USERS)).status_code == 403
    assert (await superuser.http.patch(url, json={"is_superuser": True})).json()["is_superuser"] is True
    assert (await user.http.get(USERS)).status_code == 200
    assert (await superuser.http.patch(url, json={"is_superuser": False})).status_code == 200
    assert (await user.http.get(USERS)).status_code == 403


async def test_the_last_superuser_stays(superuser: Actor, user: Actor) -> None:
    url = f"{USERS}/{superuser.id}"
    for body in ({"is_superuser": False}, {"is_active": False}):
        response = await superuser.http.patch(url, json=body)
        assert response.status_code == 409
        assert "last superuser" in response.json()["detail"]
    assert (await superuser.http.delete(url)).status_code == 409
    gone = await superuser.http.request("DELETE", "/api/v1/auth/me", json={"password": PASSWORD})
    assert gone.status_code == 409
    assert (await superuser.http.get(url)).json()["is_superuser"] is True


async def test_of_superusers_who_remove_each_other_one_stays(app: FastAPI) -> None:
    for _ in range(5):
        crowd = [await factories.superuser(app) for _ in range(4)]
        answers = await asyncio.gather(
            *(
                actor.http.patch(f"{USERS}/{victim.id}", json={"is_superuser": False})
                for actor, victim in zip(crowd, crowd[1:] + crowd[:1], strict=True)
            )
        )
        assert {answer.status_code for answer in answers} <= {200, 403, 409}
        async with app.state.database.sessions.begin() as db:
            assert await db.scalar(select(func.count()).select_from(User).where(User.is_superuser)) >= 1
            await db.execute(delete(User))


async def test_null_is_no_role(superuser: Actor, user: Actor) -> None:
    for body in ({"is_active": None}, {"is_superuser": None}, {"email": "x@example.com"}):
        assert (await superuser.http.patch(f"{USERS}/{user.id}", json=body)).status_code == 422


async def test_a_superuser_signs_an_account_out(app: FastAPI, superuser: Actor, user: Actor) -> None:
    assert (await superuser.http.delete(f"{USERS}/{user.id}/sessions")).status_code == 204
    assert (await user.http.get("/api/v1/auth/me")).status_code == 401
    assert (await superuser.http.get("/api/v1/auth/me")).status_code == 200
    await factories.login(app, user.email)
