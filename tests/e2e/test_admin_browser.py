"""The admin in a real browser: it works under its own policy, and asks nobody else for anything."""

import re
from collections.abc import Generator

import pytest
from playwright.async_api import expect
from pyotp import TOTP

from app.core.database import utcnow
from tests import processes
from tests.browser import Visit, visiting
from tests.factories import PASSWORD

EMAIL = "admin@example.com"
API = "/api/v1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[processes.Server]:
    folder = tmp_path_factory.mktemp("admin")
    env = processes.safe(f"sqlite:///{folder}/app.db")
    with processes.server(folder, env) as running:
        words = ["app", "create-superuser", "--email", EMAIL, "--password", PASSWORD]
        assert processes.command(*words, folder=folder, env=env).returncode == 0
        yield running


def second_factor(server: processes.Server) -> TOTP:
    with server.client() as http:
        token = http.post(f"{API}/auth/login", json={"email": EMAIL, "password": PASSWORD}).json()["access_token"]
    with server.client(token) as http:
        secret = http.post(f"{API}/auth/second-factor", json={"password": PASSWORD}).json()["secret"]
        code = TOTP(secret).at(utcnow(), counter_offset=-1)
        assert http.post(f"{API}/auth/second-factor/confirm", json={"code": code}).status_code == 200
    return TOTP(secret)


async def sign_in(visit: Visit, factor: TOTP) -> None:
    await visit.page.goto("/admin/")
    await visit.page.get_by_label("Email").fill(EMAIL)
    await visit.page.get_by_label("Password").fill(PASSWORD)
    await visit.page.get_by_role("button", name="Sign in").click()
    await visit.page.get_by_label("Code").fill(factor.at(utcnow()))
    await visit.page.get_by_role("button", name="Sign in").click()
    await expect(visit.page).to_have_url(re.compile("/admin/$"))


async def test_a_superuser_works_with_a_browser(server: processes.Server) -> None:
    factor = second_factor(server)
    async with visiting(server.url) as visit:
        page = visit.page
        await sign_in(visit, factor)
        await page.get_by_role("navigation").get_by_text("Example items").click()
        await page.get_by_text("+ New Example item").click()
        await page.get_by_label("Title").fill("Made in a browser")
        await page.get_by_label("Description").fill("of\ntwo lines")
        await page.get_by_role("button", name="Save", exact=True).click()
        await expect(page.get_by_role("cell", name="Made in a browser")).to_be_visible()
        await page.get_by_placeholder("Search").fill("nothing like it")
        await page.get_by_role("button", name="Search").click()
        await expect(page.get_by_text("of 0 items")).to_be_visible()
        await page.goto("/admin/example-item/list")
        await page.locator("a:has(.fa-pen-to-square)").click()
        await expect(page.get_by_label("Description")).to_have_value("of\ntwo lines")
        await page.get_by_label("Is completed").check()
        await page.get_by_role("button", name="Save", exact=True).click()
        await expect(page.locator("td .fa-check")).to_be_visible()
        await page.locator("a:has(.fa-trash)").click()
        await page.get_by_role("button", name="Delete").click()
        await expect(page.get_by_text("of 0 items")).to_be_visible()
        await page.get_by_role("button", name="Sign out").click()
        await expect(page).to_have_url(re.compile("/admin/login$"))
        assert await page.context.cookies() == []
    assert visit.complaints == []
    assert visit.elsewhere == []
