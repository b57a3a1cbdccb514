"""The index chooses what FastAPI would, whatever the order and the kinds of the routes."""

from typing import Annotated

import fastapi.routing
import pytest
from fastapi import APIRouter, FastAPI, Form, Request
from fastapi.testclient import TestClient
from httpx2 import Response
from starlette.applications import Starlette
from starlette.convertors import CONVERTOR_TYPES, StringConvertor
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Route, Router

from app.core import route_index
from app.core.metrics import route_template
from app.core.route_index import RouteIndex

METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "BREW")
PATHS = (
    "/", "/things", "/things/", "/things/7", "/things/7/", "/things/last", "/things/first", "/things/7/parts",
    "/things/7/parts/a%2Fb", "/things/7/parts/é", "/files/a/b/c.txt", "/files/", "/numbers/7", "/numbers/seven",
    "/small/Part",
    "/mounted", "/mounted/inside", "/mounted/inside/deeper", "/Things", "//things", "/plain", "/late",
)  # fmt: skip


class Small(StringConvertor):
    """Its expression is a string's, what it makes of it is not."""

    def convert(self, value: str) -> str:
        return value.lower()


CONVERTOR_TYPES["small"] = Small()


def make(*, is_indexed: bool) -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    inner, outer = APIRouter(prefix="/parts", tags=["parts"]), APIRouter(prefix="/things")

    def says(name: str, router: FastAPI | APIRouter, path: str, *methods: str) -> None:
        async def endpoint(request: Request) -> dict[str, object]:
            return {"name": name, "parameters": request.path_params, "template": route_template(request.scope)}

        router.add_api_route(path, endpoint, methods=list(methods), name=name)

    says("first", outer, "/first", "GET")  # before what would take it
    says("thing", outer, "/{thing_id}", "GET", "PUT")
    says("last", outer, "/last", "GET")  # after it: never reached
    says("remove", outer, "/last", "DELETE")
    says("create", outer, "", "POST")
    says("part", inner, "/{part}", "GET")
    says("parts", inner, "", "GET")
    outer.include_router(inner, prefix="/{thing_id}")
    app.include_router(outer)
    says("small", app, "/small/{name:small}", "GET")
    says("file", app, "/files/{path:path}", "GET")
    says("number", app, "/numbers/{number:int}", "GET")
    app.mount("/mounted", Starlette(routes=[Route("/inside", lambda _: PlainTextResponse("inside"))]))
    says("shadowed", app, "/mounted/{rest:path}", "GET")
    app.add_route("/plain", lambda _: PlainTextResponse("plain"))
    if is_indexed:
        app.router.middleware_stack = RouteIndex(app)
        TestClient(app).get("/plain")  # the index is made after its answer
    return app


@pytest.mark.parametrize("method", METHODS)
def test_it_answers_as_fastapi_does(method: str) -> None:
    with TestClient(make(is_indexed=True)) as indexed, TestClient(make(is_indexed=False)) as plain:
        for path in PATHS:
            ours, theirs = (client.request(method, path, follow_redirects=False) for client in (indexed, plain))
            assert _said(ours) == _said(theirs), path


def test_below_a_root_path_it_answers_as_fastapi_does() -> None:
    with (
        TestClient(make(is_indexed=True), root_path="/api") as indexed,
        TestClient(make(is_indexed=False), root_path="/api") as plain,
    ):
        for path in ("/things/7", "/api/things/7", "/api/things"):
            assert _said(indexed.get(path)) == _said(plain.get(path)), path


def test_what_is_around_it_keeps_what_it_has_noted() -> None:
    """A route of another application, which has parameters of its own."""

    def around(app: FastAPI) -> TestClient:
        return TestClient(Router([Host("{tenant}.example.com", app)]), base_url="http://acme.example.com")

    indexed, plain = around(make(is_indexed=True)), around(make(is_indexed=False))
    answer = indexed.get("/things/7")
    assert answer.json()["parameters"] == {"tenant": "acme", "thing_id": "7"}
    assert _said(answer) == _said(plain.get("/things/7"))


def test_a_routers_limits_for_forms_are_kept() -> None:
    app = FastAPI()
    limited, inner = APIRouter(prefix="/limited", form_limits={"max_fields": 1}), APIRouter(prefix="/inner")

    async def endpoint(a: Annotated[str, Form()] = "", b: Annotated[str, Form()] = "") -> str:
        return a + b

    inner.add_api_route("", endpoint, methods=["POST"])
    limited.include_router(inner)
    app.include_router(limited)
    app.include_router(inner)
    app.router.middleware_stack = RouteIndex(app)
    client = TestClient(app)
    for _ in range(3):
        assert client.post("/inner", data={"a": "1", "b": "2"}).json() == "12"
        assert client.post("/limited/inner", data={"a": "1"}).json() == "1"
        assert client.post("/limited/inner", data={"a": "1", "b": "2"}).status_code == 400


def test_telemetry_hears_of_the_route_as_from_fastapi(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    for module in (route_index, fastapi.routing):
        monkeypatch.setattr(module, "_route_selected", lambda *, path, **_: heard.append(path))
    TestClient(make(is_indexed=False)).get("/files/a/b/c.txt")
    client = TestClient(make(is_indexed=True))
    before = len(heard)
    client.get("/files/a/b/c.txt")
    assert heard[before:] == heard[:1] == ["/files/{path}"]


def test_fastapi_is_not_asked_for_what_the_index_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make(is_indexed=True)
    client = TestClient(app)

    async def forbidden(*_: object) -> None:
        raise AssertionError("FastAPI's own router was asked")

    monkeypatch.setattr(app.router, "app", forbidden)
    assert client.get("/things/7/parts/8").json()["parameters"] == {"thing_id": "7", "part": "8"}
    with pytest.raises(AssertionError, match="was asked"):
        client.get("/nowhere")


def _said(answer: Response) -> tuple[object, ...]:
    return answer.status_code, answer.text, answer.headers.get("allow"), answer.headers.get("location")
