"""The admin without a browser: its sign-in, and its forms as a browser would send them."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from fastapi import FastAPI
from httpx2 import AsyncClient, Response

from tests import factories
from tests.factories import PASSWORD, Actor

ORIGIN = "http://test"  # of the factories' clients


class FormParser(HTMLParser):
    """What a page's form would send as it stands."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self._open = self._chosen = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name, value = given.get("name") or "", given.get("value") or ""
        if tag in ("textarea", "select"):
            self._open = name
            self.values[name] = ""
        elif tag == "option" and "selected" in given:
            self.values[self._open] = value
        elif tag == "input" and name and given.get("type") not in ("submit", "checkbox"):
            self.values[name] = value
        elif tag == "input" and given.get("type") == "checkbox" and name and "checked" in given:
            self.values[name] = value or "y"

    def handle_endtag(self, tag: str) -> None:
        if tag in ("textarea", "select"):
            # HTML drops the line break that a textarea begins with.
            self.values[self._open] = self.values[self._open].removeprefix("\r").removeprefix("\n")
            self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open and self.get_starttag_text() and (self.get_starttag_text() or "").startswith("<textarea"):
            self.values[self._open] += data


@dataclass
class Visitor:
    """Somebody with a browser at /admin."""

    app: FastAPI
    token: str | None = None  # instead of what a sign-in would give
    http: AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        self.http = factories.client(self.app)
        if self.token is not None:
            self.http.headers["Cookie"] = f"admin_session={self.token}"

    async def sign_in(self, email: str, password: str = PASSWORD) -> Response:
        return await self.post("/admin/login", email=email, password=password)

    async def get(self, path: str, **query: Any) -> Response:
        return await self.http.get(path, params=query)

    async def post(self, path: str, **values: Any) -> Response:
        return await self.http.post(path, data=values, headers={"Origin": ORIGIN})

    async def delete(self, path: str, *pks: Any) -> Response:
        return await self.http.delete(path, params={"pks": ",".join(map(str, pks))}, headers={"Origin": ORIGIN})

    async def form(self, path: str) -> dict[str, str]:
        parser = FormParser()
        page = await self.get(path)
        assert page.status_code == 200, page.text
        parser.feed(page.text)
        return {name: value for name, value in parser.values.items() if name.startswith("row_") or name == "seen"}

    async def save(self, path: str, **values: Any) -> Response:
        """The form at the path with other values; None is a box that is not ticked."""
        sent = {**await self.form(path), **{f"row_{name}": value for name, value in values.items()}, "save": "Save"}
        return await self.post(path, **{name: value for name, value in sent.items() if value is not None})


async def visitor(actor: Actor) -> Visitor:
    """A superuser who has signed in."""
    found = Visitor(actor.app)
    answer = await found.sign_in(actor.email)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/")
    return found
