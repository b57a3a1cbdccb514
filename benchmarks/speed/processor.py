"""What a request costs the processor, counted in this process: both stacks are called through ASGI, in turn.

    python -m benchmarks.speed.processor sqlite:///./empty.db 5

Less than a server costs (no sockets, no HTTP parser), the same for both, and steady on a machine that has other work.
"""

import asyncio
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import uvloop
from starlette.types import ASGIApp, Message

ITEMS = "/api/v1/items"

Costs = dict[str, dict[str, list[float]]]  # kind -> stack -> microseconds a call, in each round


class Call(NamedTuple):
    """One request, and the status that it must be answered with."""

    method: str
    path: str
    token: str
    status: int
    query: str = ""
    body: bytes = b""


async def answer(app: ASGIApp, call: Call) -> bytes:
    """Raises RuntimeError when the answer's status is another."""
    headers = [(b"host", b"localhost"), (b"authorization", b"Bearer " + call.token.encode())]
    if call.body:
        headers += [(b"content-type", b"application/json"), (b"content-length", str(len(call.body)).encode())]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": call.method,
        "scheme": "http",
        "path": call.path,
        "raw_path": call.path.encode(),
        "query_string": call.query.encode(),
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 50000),
        "server": ("localhost", 80),
        "state": {},
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": call.body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    if sent[0]["status"] != call.status:
        raise RuntimeError(f"{call.method} {call.path}: {sent[0]['status']} {body[:200]!r}")
    return body


async def cost_us(app: ASGIApp, calls: list[Call]) -> float:
    """Processor time of one call, all threads of this process together, in microseconds."""
    began = time.process_time()
    for call in calls:
        await answer(app, call)
    return (time.process_time() - began) / len(calls) * 1e6


def calls_of(kind: str, tokens: list[tuple[str, int]]) -> list[Call]:
    """One call for each token and the item that goes with it."""
    changed = json.dumps({"title": "A changed title"}).encode()
    kinds: dict[str, Callable[[str, int], Call]] = {
        "get": lambda token, item: Call("GET", f"{ITEMS}/{item}", token, 200),
        "list": lambda token, _: Call("GET", ITEMS, token, 200, "limit=20"),
        "post": lambda token, _: Call("POST", ITEMS, token, 201, body=changed),
        "put": lambda token, item: Call("PUT", f"{ITEMS}/{item}", token, 200, body=changed),
    }
    return [kinds[kind](token, item) for token, item in tokens]


async def compare(apps: Mapping[str, ASGIApp], calls: list[Call], rounds: int) -> dict[str, list[float]]:
    """Each app's cost of a call in each round, in turn, after one round that is not counted."""
    costs: dict[str, list[float]] = {name: [] for name in apps}
    for turn in range(rounds + 1):
        for name, app in apps.items():
            cost = await cost_us(app, calls)
            if turn:
                costs[name].append(cost)
    return costs


def measure(address: str, rounds: int, kinds: tuple[str, ...] = ("get", "list", "post", "put")) -> Costs:
    """By kind and stack, in a process of their own; on an empty database."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "COVERAGE_"))}
    words = [sys.executable, "-m", "benchmarks.speed.processor", address, str(rounds), *kinds]
    return json.loads(subprocess.run(words, env=env, check=True, text=True, stdout=subprocess.PIPE).stdout)


def _main(address: str, rounds: str, *kinds: str) -> None:
    from benchmarks.speed import servers

    settings = servers.migrate(address)
    lines = asyncio.run(servers.fill(settings))
    tokens = [(token, int(item)) for token, item in map(str.split, lines)]
    os.environ.update(servers.LIKE_PRODUCTION, ENVIRONMENT="test", SECRET_KEY=settings.secret, DATABASE_URL=address)
    from app.main import app

    os.environ["DATABASE_URL"] = settings.url.render_as_string(hide_password=False)
    from benchmarks import plain

    async def run() -> Costs:
        async with app.router.lifespan_context(app):
            apps = {"groundwork": app, "plain": plain.app}
            return {kind: await compare(apps, calls_of(kind, tokens), int(rounds)) for kind in kinds}

    gc.freeze()  # of both alike
    print(json.dumps(uvloop.run(run())))


if __name__ == "__main__":
    _main(*sys.argv[1:])
