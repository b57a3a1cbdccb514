"""The admin's doors: who comes in, how, and what throws them out again."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import select, update
from starlette.routing import Route

from app.auth.models import AuthSession, RefreshToken
from app.core.database import utcnow
from app.core.security import ADMIN, create_access_token
from tests import factories
from tests.admin_pages import ORIGIN, Visitor, visitor
from tests.factories import PASSWORD, Actor, configured
from tests.second_factor import second_factor

AUTH, ITEMS = "/api/v1/auth", "/admin/example-item"
WRONG = "another horse battery"


@pytest.fixture
async def admin(superuser: Actor) -> Visitor:
    return await visitor(superuser)


async def pages(app: FastAPI) -> list[tuple[str, str]]:
    """Every address of the site and the methods that it takes."""
    site = await app.state.admin_site.get()
    routes = [route for route in site.admin.routes if isinstance(route, Route)]
    values = {"identity": "example-item", "pk": "1", "export_type": "csv", "column_name": "title"}
    found = [(method, route.path.replace(":path", "").format(**values)) for route in routes for method in route.methods]
    return [(method, path) for method, path in found if method != "HEAD" and path != "/login"] + [("POST", "/logout")]


async def sessions(app: FastAPI, user_id: int) -> int:
    return await app.state.database.read.count(select(AuthSession.id).where(AuthSession.user_id == user_id))


async def test_nobody_sees_anything_before_signing_in(app: FastAPI, superuser: Actor, user: Actor) -> None:
    item = await factories.item(user, title="A secret of theirs")
    key = (await factories.key(superuser))["key"]
    reading = (await factories.key(superuser, scope="read"))["key"]
    session = UUID((await user.http.get(f"{AUTH}/sessions")).json()[0]["id"])
    theirs = create_access_token(user.email, session, utcnow(), app.state.settings, ADMIN)
    for token in (None, "x", user.token, superuser.token, theirs, key, reading):
        anybody = Visitor(app, token)
        for method, path in await pages(app):
            answer = await anybody.http.request(method, f"/admin{path}", headers={"Origin": ORIGIN})
            assert answer.status_code == (401 if method == "DELETE" else 303), (method, path)
            assert answer.headers.get("Location", "/admin/login") == "/admin/login"
            assert user.email not in answer.text
            assert item["title"] not in answer.text
    assert (await user.http.get("/api/v1/items")).json() == [item]


async def test_the_cookie_is_for_the_admin_alone(app: FastAPI, superuser: Actor) -> None:
    answer = await Visitor(app).sign_in(superuser.email)
    cookie = answer.headers["Set-Cookie"]
    for part in ("HttpOnly", "Path=/admin", "SameSite=strict", "Max-Age=1800"):
        assert part in cookie.split("; ")
    assert "Secure" not in cookie
    in_production = await Visitor(configured(app, environment="production")).sign_in(superuser.email)
    assert "Secure" in in_production.headers["Set-Cookie"].split("; ")
    assert in_production.headers["Set-Cookie"].startswith("__Secure-admin_session=")
    browser = Visitor(app)
    await browser.sign_in(superuser.email)
    assert (await browser.get(f"{AUTH}/me")).status_code == 401  # no other path takes it


async def test_it_may_stand_below_another_path(app: FastAPI, superuser: Actor) -> None:
    browser = Visitor(app)
    browser.http = AsyncClient(transport=ASGITransport(app, root_path="/below"), base_url=ORIGIN)
    assert (await browser.get("/below/admin/")).headers["Location"] == "/below/admin/login"
    answer = await browser.post("/below/admin/login", email=superuser.email, password=PASSWORD)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/below/admin/")
    assert "Path=/below/admin;" in answer.headers["Set-Cookie"]
    page = (await browser.get("/below/admin/user/list")).text
    assert f"{ORIGIN}/below/admin/user/edit/{superuser.id}" in page
    assert 'src="/below/static/admin/js/main.' in page
    assert (await browser.post("/below/admin/logout")).headers["Location"] == "/below/admin/login"


async def test_the_cookie_is_no_bearer_token_and_no_bearer_token_a_cookie(app: FastAPI, superuser: Actor) -> None:
    """Nor while each is remembered as what it is."""
    admin = await visitor(superuser)
    cookie = admin.http.cookies["admin_session"]
    for _ in range(2):
        assert (await admin.get("/admin/")).status_code == 200
        assert (await superuser.http.get(f"{AUTH}/me")).status_code == 200
        assert (await factories.client(app, cookie).get(f"{AUTH}/me")).status_code == 401
        refused = await Visitor(app, superuser.token).get("/admin/")
        assert (refused.status_code, refused.headers["Location"]) == (303, "/admin/login")
        assert "Max-Age=0" in refused.headers["Set-Cookie"]


async def test_signing_in_again_ends_the_session_before(app: FastAPI, superuser: Actor, admin: Visitor) -> None:
    last = admin.http.cookies["admin_session"]
    before = await sessions(app, superuser.id)
    assert (await admin.sign_in(superuser.email)).status_code == 303
    assert await sessions(app, superuser.id) == before
    assert (await Visitor(app, last).get("/admin/")).status_code == 303
    another = await factories.superuser(app)
    assert (await admin.sign_in(another.email)).status_code == 303
    assert await sessions(app, superuser.id) == before  # it is the other's, who may be signed in elsewhere with it
    tokens = await app.state.database.read.count(select(RefreshToken.token_hash))
    assert tokens == 0  # the admin issues no refresh token: nothing would use it


async def test_a_wrong_sign_in(app: FastAPI, superuser: Actor) -> None:
    for email in (superuser.email, "nobody@example.com", "no address"):
        answer = await Visitor(app).sign_in(email, WRONG)
        assert answer.status_code == 401
        assert "Incorrect email or password" in answer.text
        assert "Set-Cookie" not in answer.headers
    assert (await Visitor(app).post("/admin/login", email=superuser.email)).status_code == 422


async def test_only_superusers_come_in(app: FastAPI, user: Actor, superuser: Actor) -> None:
    before = await sessions(app, user.id)
    answer = await Visitor(app).sign_in(user.email)
    assert answer.status_code == 403
    assert "this is for superusers" in answer.text
    assert "Set-Cookie" not in answer.headers
    assert await sessions(app, user.id) == before
    (event,) = (await superuser.http.get("/api/v1/audit", params={"event": "sign_in_failed"})).json()
    assert (event["user_id"], event["details"]) == (user.id, {"door": "admin"})
    await factories.change(superuser, email_verified_at=None)
    assert (await Visitor(configured(app, require_verified_email=True)).sign_in(superuser.email)).status_code == 403


async def test_the_second_factor_is_asked_for(app: FastAPI, superuser: Actor) -> None:
    owner = await second_factor(superuser)
    browser = Visitor(app)
    asked = await browser.sign_in(superuser.email)
    assert (asked.status_code, "Set-Cookie" in asked.headers) == (200, False)
    challenge = await challenged(browser, superuser)
    answer = "/admin/login/second-factor"
    wrong = await browser.post(answer, challenge_token=challenge, code=owner.wrong_code)
    assert (wrong.status_code, "The code is wrong" in wrong.text) == (401, True)
    assert challenge in wrong.text
    right = await browser.post(answer, challenge_token=challenge, code=owner.code(1))
    assert (right.status_code, right.headers["Location"]) == (303, "/admin/")
    assert (await browser.get("/admin/")).status_code == 200
    again = await browser.post(answer, challenge_token=challenge, code=owner.recovery_codes[0])
    assert (again.status_code, "begin it again" in again.text) == (401, True)


async def test_a_code_is_used_up_by_whoever_may_not_come_in(app: FastAPI, user: Actor) -> None:
    owner = await second_factor(user)
    browser = Visitor(app)
    for code in (owner.code(1), owner.recovery_codes[0]):
        challenge = await challenged(browser, user)
        sent = {"challenge_token": challenge, "code": f" {code} "}
        assert (await browser.post("/admin/login/second-factor", **sent)).status_code == 403
        assert (await browser.post("/admin/login/second-factor", **sent)).status_code == 401
        again = {"challenge_token": await challenged(browser, user), "code": code}
        answer = await browser.post("/admin/login/second-factor", **again)
        assert (answer.status_code, "The code is wrong" in answer.text) == (401, True)


async def challenged(browser: Visitor, actor: Actor) -> str:
    page = (await browser.sign_in(actor.email)).text
    return page.partition('name="challenge_token" value="')[2].partition('"')[0]


BROKEN = b'--x\r\nContent-Disposition: form-data; name="email"\r\n\r\na'


async def test_what_is_no_form_is_answered_with_a_page(app: FastAPI, superuser: Actor) -> None:
    await second_factor(superuser)
    browser = Visitor(app)
    challenge = await challenged(browser, superuser)
    for code in ("", "12345 ", " " * 70, "1" * 65):
        answer = await browser.post("/admin/login/second-factor", challenge_token=challenge, code=code)
        assert (answer.status_code, "Fill in every field" in answer.text) == (422, True)
    for kind in ("multipart/form-data; boundary=x", "multipart/form-data"):
        headers = {"Origin": ORIGIN, "Content-Type": kind}
        for path in ("/admin/login", "/admin/login/second-factor"):
            answer = await browser.http.post(path, content=BROKEN, headers=headers)
            assert answer.status_code in (400, 422), kind
            assert answer.headers["Content-Type"].startswith("text/html")


async def test_guessing_is_throttled_as_everywhere(app: FastAPI, superuser: Actor) -> None:
    browser = Visitor(configured(app, rate_limit_enabled=True))
    for _ in range(5):
        assert (await browser.sign_in(superuser.email, WRONG)).status_code == 401
    refused = await browser.sign_in(superuser.email)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 3600
    assert "Too many requests" in refused.text


async def test_each_address_has_a_limit(app: FastAPI) -> None:
    browser = Visitor(configured(app, rate_limit_enabled=True, rate_limit_auth="2/minute"))
    statuses = [(await browser.sign_in(f"nobody{number}@example.com")).status_code for number in range(3)]
    assert statuses == [401, 401, 429]
    for status in (401, 401, 429):
        answer = await browser.post("/admin/login/second-factor", challenge_token="x", code="123456")
        assert answer.status_code == status


async def test_each_superuser_has_a_limit(app: FastAPI, superuser: Actor) -> None:
    browser = await visitor(Actor(configured(app, rate_limit_enabled=True, rate_limit_user="2/minute"), 0,
                                  superuser.email, superuser.token))  # fmt: skip
    statuses = [(await browser.get("/admin/")).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


FOREIGN: list[dict[str, str]] = [
    {},
    {"Origin": "null"},
    {"Origin": "https://evil.example"},
    {"Origin": "http://test.evil.example"},
    {"Origin": "http://["},
    {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"},
    {"Origin": ORIGIN, "Sec-Fetch-Site": "same-site"},
]


async def test_another_websites_page_changes_nothing(admin: Visitor, user: Actor) -> None:
    item = await factories.item(user)
    attacks = [
        ("POST", f"{ITEMS}/edit/{item['id']}", {"row_title": "Changed", "save": "Save"}),
        ("DELETE", f"{ITEMS}/delete?pks={item['id']}", None),
        ("POST", "/admin/logout", None),
        ("POST", "/admin/login", {"email": user.email, "password": PASSWORD}),
    ]
    for headers in FOREIGN:
        for method, path, body in attacks:
            answer = await admin.http.request(method, path, data=body, headers=headers)
            assert answer.status_code == 403, (headers, method, path)
            assert "another website" in answer.text
    assert (await user.http.get("/api/v1/items")).json() == [item]
    assert (await admin.get("/admin/")).status_code == 200


async def test_another_websites_page_asks_for_nothing_and_may_link_to_it(app: FastAPI, admin: Visitor) -> None:
    for site in ("cross-site", "same-site"):
        for mode, kind in (("no-cors", "image"), ("no-cors", "script"), ("navigate", "iframe"), ("cors", "empty")):
            headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": kind}
            assert (await admin.http.get("/admin/", headers=headers)).status_code == 403, headers
        link = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        assert (await admin.http.get("/admin/", headers=link)).status_code == 200
        answer = await Visitor(app).http.get("/admin/", headers=link)  # a Strict cookie is not sent along
        assert (answer.status_code, "Set-Cookie" in answer.headers) == (303, False)
    assert (await admin.http.get("/admin/", headers={"Sec-Fetch-Site": "none"})).status_code == 200


async def test_another_websites_script_reads_nothing(superuser: Actor) -> None:
    """One that ALLOWED_ORIGINS lets call the API may be of the same site, and then the cookie comes along."""
    app = configured(superuser.app, allowed_origins=["https://app.example.com"])
    admin = await visitor(Actor(app, superuser.id, superuser.email, superuser.token))
    answer = await admin.http.get(f"{ITEMS}/list", headers={"Origin": "https://app.example.com"})
    assert answer.status_code == 403


async def sign_out(admin: Visitor, _: Actor) -> None:
    answer = await admin.post("/admin/logout")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/login")
    assert 'admin_session=""' in answer.headers["Set-Cookie"]


async def sign_all_out(_: Visitor, superuser: Actor) -> None:
    assert (await superuser.http.delete(f"{AUTH}/sessions")).status_code == 204


async def change_password(_: Visitor, superuser: Actor) -> None:
    body = {"current_password": PASSWORD, "password": WRONG}
    assert (await superuser.http.patch(f"{AUTH}/me", json=body)).status_code == 200


async def demote(_: Visitor, superuser: Actor) -> None:
    await _patch(superuser, is_superuser=False)


async def deactivate(_: Visitor, superuser: Actor) -> None:
    await _patch(superuser, is_active=False)


async def delete(_: Visitor, superuser: Actor) -> None:
    other = await factories.superuser(superuser.app)
    assert (await other.http.delete(f"/api/v1/users/{superuser.id}")).status_code == 204


async def _patch(superuser: Actor, **values: bool) -> None:
    other = await factories.superuser(superuser.app)
    assert (await other.http.patch(f"/api/v1/users/{superuser.id}", json=values)).status_code == 200


@pytest.mark.parametrize("end", [sign_out, sign_all_out, change_password, demote, deactivate, delete])
async def test_what_ends_a_session_ends_the_admins(
    app: FastAPI, superuser: Actor, end: Callable[[Visitor, Actor], Awaitable[None]]
) -> None:
    admin = await visitor(superuser)
    stolen = Visitor(app, admin.http.cookies["admin_session"])
    assert (await stolen.get("/admin/")).status_code == 200
    await end(admin, superuser)
    answer = await stolen.get(f"{ITEMS}/list")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/login")


async def test_the_session_is_one_of_the_accounts_own(admin: Visitor, superuser: Actor) -> None:
    devices = (await superuser.http.get(f"{AUTH}/sessions")).json()
    assert [device["is_current"] for device in devices] == [False, True]  # the admin's, and the API's


@pytest.mark.parametrize(("minutes_ago", "is_renewed"), [(10, False), (20, True), (31, False)])
async def test_whoever_works_stays_signed_in(
    app: FastAPI, superuser: Actor, minutes_ago: int, is_renewed: bool
) -> None:
    devices = (await superuser.http.get(f"{AUTH}/sessions")).json()
    then = utcnow() - timedelta(minutes=minutes_ago)
    token = create_access_token(superuser.email, UUID(devices[0]["id"]), then, app.state.settings, ADMIN)
    browser = Visitor(app, token)
    answer = await browser.get("/admin/")
    assert answer.status_code == (200 if minutes_ago < 30 else 303)
    assert ("Max-Age=1800" in answer.headers.get("Set-Cookie", "")) is is_renewed
    if is_renewed:
        assert (await Visitor(app, answer.cookies["admin_session"]).get("/admin/")).status_code == 200
    used = (await superuser.http.get(f"{AUTH}/sessions")).json()[0]["last_used_at"]
    assert (used > devices[0]["last_used_at"]) is is_renewed


async def test_a_session_that_nobody_used_is_over(app: FastAPI, superuser: Actor, admin: Visitor) -> None:
    idle = utcnow() - timedelta(days=app.state.settings.session_idle_days)
    async with app.state.database.sessions.begin() as db:
        await db.execute(update(AuthSession).values(last_used_at=idle))
    assert (await admin.get("/admin/")).status_code == 303
    assert (await superuser.http.get(f"{AUTH}/me")).status_code == 200  # a bearer token that lives is not asked
