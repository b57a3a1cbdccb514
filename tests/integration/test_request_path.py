"""The path of a request is short: how many of our files and functions a warm one goes through (DESIGN, rule 5)."""

import sys
from contextvars import ContextVar
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import Response

from tests import factories
from tests.factories import Actor

APP = str(Path(__file__).parents[2] / "app")
ITEMS = "/api/v1/items"

# Set in the context of the request and of the tasks that it starts; not in that of the runner of jobs.
tracing: ContextVar[bool] = ContextVar("tracing", default=False)


class Trace:
    """The functions of ours that a request calls, in the order of their first calls."""

    def __init__(self) -> None:
        self.functions: dict[tuple[str, str], None] = {}

    def note(self, frame: FrameType, event: str, _argument: Any) -> None:
        if not tracing.get():
            return
        name = frame.f_code.co_filename
        # Comprehensions and lambdas belong to the function that they stand in.
        if event == "call" and name.startswith(APP) and not frame.f_code.co_name.startswith("<"):
            self.functions[name.removeprefix(f"{APP}/"), frame.f_code.co_qualname] = None

    @property
    def files(self) -> set[str]:
        return {file for file, _ in self.functions}

    def __str__(self) -> str:
        lines = [f"  {file}: {function}" for file, function in self.functions]
        return "\n".join([f"{len(self.files)} files, {len(self.functions)} functions", *lines])


async def traced(request: Any) -> tuple[Response, Trace]:
    path = Trace()
    token = tracing.set(True)
    sys.setprofile(path.note)
    try:
        return await request(), path
    finally:
        sys.setprofile(None)
        tracing.reset(token)


@pytest.mark.parametrize(("method", "files", "functions"), [("GET", 12, 35), ("POST", 14, 45)])
async def test_the_path_of_a_request_is_short(
    app: FastAPI, user: Actor, method: str, files: int, functions: int
) -> None:
    limited = factories.configured(app, rate_limit_enabled=True, log_level="INFO")
    http = factories.client(limited, user.token)
    item = await factories.item(user)

    async def send() -> Response:
        if method == "GET":
            return await http.get(f"{ITEMS}/{item['id']}")
        return await http.post(ITEMS, json={"title": "x"})

    for _ in range(3):
        assert (await send()).is_success
    response, path = await traced(send)
    assert response.is_success
    print(f"{method} {path}")
    assert len(path.files) <= files, str(path)
    assert len(path.functions) <= functions, str(path)
