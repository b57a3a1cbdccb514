"""One measurement with wrk, and what it must have been answered before it counts."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import httpx2

CONNECTIONS = 32
SCRIPT = Path(__file__).with_name("load.lua")
ITEM = {"id", "user_id", "title", "description", "is_completed", "created_at", "updated_at"}
STATUS = {"get": 200, "list": 200, "post": 201, "put": 200, "login": 200}


class Measured(NamedTuple):
    per_second: float
    p50_ms: float
    p99_ms: float


def measure(
    url: str, kind: str, tokens: Path, seconds: int, connections: int = CONNECTIONS, *, settles: bool = True
) -> Measured:
    """Raises RuntimeError when answers were errors."""
    if settles:
        settle(url)
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "60s", "-s", str(SCRIPT), url]
    env = os.environ | {"KIND": kind, "TOKENS": str(tokens)}
    said = subprocess.run(words, env=env, check=True, text=True, capture_output=True).stdout
    result = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
    if result["failed"] > connections:  # those that the end cuts off
        raise RuntimeError(f"{url} {kind}: {result['failed']} requests failed")
    return Measured(result["requests"] / result["seconds"], result["p50_ms"], result["p99_ms"])


def settle(url: str) -> None:
    """Until what the last measurement left unfinished is done."""
    httpx2.get(f"{url}/health/live", timeout=120)


def flood(url: str, tokens: Path, seconds: int, clients: int) -> subprocess.Popen[str]:
    """Sign-ins by so many clients at once, in the background."""
    words = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "-s", str(SCRIPT), url]
    env = os.environ | {"KIND": "login", "TOKENS": str(tokens)}
    return subprocess.Popen(words, env=env, text=True, stdout=subprocess.DEVNULL)


def check(url: str, tokens: Path, kinds: list[str]) -> None:
    """That a server answers each kind of request with the status, the fields and the row that it should."""
    token, item = tokens.read_text().splitlines()[0].split()
    with httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}) as client:
        for kind in kinds:
            answer = _ask(client, kind, item)
            if answer.status_code != STATUS[kind]:
                raise RuntimeError(f"{url} {kind}: {answer.status_code} {answer.text[:200]}")
            row = answer.json()[0] if kind == "list" else answer.json()
            if kind == "list" and len(answer.json()) != 20:
                raise RuntimeError(f"{url} list: {len(answer.json())} rows")
            if kind != "login" and (set(row) != ITEM or row["user_id"] != 1):
                raise RuntimeError(f"{url} {kind}: {row}")


def _ask(client: httpx2.Client, kind: str, item: str) -> httpx2.Response:
    items = "/api/v1/items"
    if kind == "login":
        body = {"email": "user1@bench.example", "password": "correct horse battery"}
        return client.post("/api/v1/auth/login", json=body)
    if kind == "post":
        return client.post(items, json={"title": "An item of the benchmark"})
    if kind == "put":
        return client.put(f"{items}/{item}", json={"title": "A changed title"})
    return client.get(f"{items}?limit=20" if kind == "list" else f"{items}/{item}")


def is_there() -> bool:
    return shutil.which("wrk") is not None
