"""Static files under hashed names, the docs pages offline, and the first page."""

import re
from collections.abc import Generator
from urllib.parse import urljoin

import pytest
from httpx2 import AsyncClient

from app.core.http.static_files import _hashed
from app.main import create_app
from tests import factories, processes
from tests.browser import visiting

PAGES = ("/docs", "/redoc")


def loaded(page: str) -> list[str]:
    """What a page says that it loads."""
    return re.findall(r'(?:src|href)="([^"]*/static/[^"]+)"', page)


@pytest.fixture
def client() -> AsyncClient:
    """Of an application that needs no database for this."""
    return factories.client(create_app(factories.settings()))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[processes.Server]:
    folder = tmp_path_factory.mktemp("development")
    env = processes.safe(f"sqlite:///{folder}/app.db", ENVIRONMENT="development")
    with processes.server(folder, env) as running:
        yield running


@pytest.mark.parametrize("page", PAGES)
async def test_a_static_file_is_kept_for_a_year(client: AsyncClient, page: str) -> None:
    urls = loaded((await client.get(page)).text)
    assert len(urls) >= 2
    for url in urls:
        assert re.fullmatch(r"/static/[\w/.-]+\.[0-9a-f]{16}\.(js|css|png)", url)
        answer = await client.get(url)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        again = await client.get(url, headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "name",
    [
        "app/redoc/redoc.standalone.js",
        "app/redoc/redoc.standalone.0123456789abcdef.js",
        "app/redoc/README.0123456789abcdef.md",
        "app/../../etc/passwd.0123456789abcdef.js",
        "app/%2e%2e/core/config.0123456789abcdef.py",
        "nothing.js",
        "",
    ],
)
async def test_a_wrong_name_is_404(client: AsyncClient, name: str) -> None:
    answer = await client.get(f"/static/{name}")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (404, "no-store")


async def test_a_style_sheet_names_its_fonts_by_their_hashes(client: AsyncClient) -> None:
    url = f"/static/{_hashed('admin/css/fontawesome-all.min.css')}"
    fonts = set(re.findall(r"url\(([^)]+\.[0-9a-f]{16}\.woff2)\)", (await client.get(url)).text))
    assert len(fonts) == 3
    for font in fonts:
        answer = await client.get(urljoin(url, font))
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("page", PAGES)
async def test_one_setting_puts_a_cdn_before_them(page: str) -> None:
    client = factories.client(create_app(factories.settings(static_url="https://cdn.example.com/one/")))
    answer = await client.get(page)
    urls = loaded(answer.text)
    assert all(url.startswith("https://cdn.example.com/one/static/") for url in urls)
    assert "script-src https://cdn.example.com " in answer.headers["Content-Security-Policy"]
    for url in urls:
        file = await client.get(url.removeprefix("https://cdn.example.com/one"))
        assert file.headers["Cross-Origin-Resource-Policy"] == "cross-origin"


@pytest.mark.slow
@pytest.mark.parametrize(("page", "shows"), [("/docs", "#operations-items-create_item"), ("/redoc", "h1")])
async def test_the_docs_ask_nobody_else(server: processes.Server, page: str, shows: str) -> None:
    async with visiting(server.url) as visit:
        await visit.page.goto(page)
        await visit.page.locator(shows).first.wait_for()
        assert "Groundwork" in await visit.page.inner_text("body")
    assert visit.elsewhere == []
    assert visit.complaints == []


@pytest.mark.slow
async def test_the_first_page_says_what_runs(server: processes.Server) -> None:
    async with visiting(server.url) as visit:
        await visit.page.goto("/")
        text = await visit.page.inner_text("main")
        links = [await link.get_attribute("href") for link in await visit.page.locator("a").all()]
    assert visit.complaints == visit.elsewhere == []
    assert "sqlite, ok" in text
    assert "Migrations\tok" in text
    assert f"kept in {server.log.parent}/mails" in text
    assert ".venv/bin/app create-superuser" in text
    assert links == ["/docs", "/redoc", "/openapi.json", "/admin/", "/health/ready"]
    with server.client() as http:
        for link in links:
            assert http.get(str(link), follow_redirects=True).status_code == 200


@pytest.mark.parametrize("environment", ["test", "production"])
async def test_the_first_page_is_for_development_only(environment: str) -> None:
    settings = factories.settings().model_copy(update={"environment": environment})
    answer = await factories.client(create_app(settings)).get("/")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
