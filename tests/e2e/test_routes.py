"""`app routes` lists what there is, who may call it, and how much one request may ask for."""

import json
from collections.abc import Generator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli.commands import cli
from app.core.observability.setup import configure_logging
from tests import factories, processes

PEEK = """

@router.get("/peek")
async def peek() -> str:
    return "all"
"""
UNREACHABLE = processes.safe("postgresql://nobody:secret@127.0.0.1:1/nothing")


@pytest.fixture(autouse=True)
def logs() -> Generator[None]:
    """The application that the command makes sends every line to the command's standard error, which is closed."""
    yield
    configure_logging(factories.settings())


@pytest.mark.parametrize(
    "line",
    [
        "POST /api/v1/auth/login public 1 MiB auth",
        "POST /api/v1/auth/token public 1 MiB auth",
        "GET /api/v1/auth/sessions user 100 rows auth",
        "POST /api/v1/items user 1 MiB examples",
        "GET /api/v1/items user 100 rows examples",
        "GET /api/v1/items/{item_id} owner - examples",
        "PUT /api/v1/items/{item_id} owner 1 MiB examples",
        "GET /api/v1/users superuser 100 rows users",
        "GET /health/ready public - health",
        "GET /metrics public - health",
        "GET /docs public - core",
    ],
)
def test_a_route_is_a_line(line: str) -> None:
    run = CliRunner().invoke(cli, ["routes"], env=UNREACHABLE)
    assert run.exit_code == 0
    assert line in [" ".join(said.split()) for said in run.stdout.splitlines()]


@pytest.mark.parametrize(
    "line",
    [
        "POST /api/v1/auth/login public 1 MiB, 60/minute by address auth",
        "GET /api/v1/items/{item_id} owner 600/minute by user examples",
        "GET /api/v1/items user 100 rows, 600/minute by user examples",
        "GET /health/ready public - health",
    ],
)
def test_how_often_a_route_may_be_called_is_told(line: str) -> None:
    run = CliRunner().invoke(cli, ["routes"], env=UNREACHABLE | {"RATE_LIMIT_ENABLED": "true"})
    assert line in [" ".join(said.split()) for said in run.stdout.splitlines()]


def test_the_table_is_aligned() -> None:
    head, *lines = CliRunner().invoke(cli, ["routes"], env=UNREACHABLE).stdout.splitlines()
    assert head.split() == ["METHOD", "PATH", "POLICY", "LIMIT", "FEATURE"]
    starts = [head.index(name) for name in head.split()]
    assert all(line[start - 1] == " " and line[start] != " " for line in lines for start in starts[1:])


def test_routes_as_json() -> None:
    run = CliRunner().invoke(cli, ["routes", "--json"], env=UNREACHABLE)
    document = json.loads(run.stdout)
    routes = document["routes"]
    assert document == {"ok": True, "routes": routes, "next": []}
    assert routes == sorted(routes, key=lambda route: (route["path"], route["method"]))
    assert {route["policy"] for route in routes} == {"public", "user", "owner", "superuser"}
    assert {
        "method": "GET",
        "path": "/api/v1/items/{item_id}",
        "policy": "owner",
        "limit": "-",
        "feature": "examples",
        "name": "get_item",
    } in routes


def test_a_route_that_says_nothing(tmp_path: Path) -> None:
    clone = processes.clone(tmp_path / "clone")
    router = clone / "app" / "users" / "router.py"
    router.write_text(
        f"from fastapi import APIRouter\n{router.read_text().replace(' = Router(', ' = APIRouter(')}{PEEK}"
    )
    run = processes.command("app", "routes", folder=clone, env=UNREACHABLE | {"PYTHONPATH": str(clone)})
    (line,) = [line for line in run.stdout.splitlines() if "/peek" in line]
    assert line.split() == ["GET", "/api/v1/users/peek", "undeclared", "-", "users"]


def test_an_application_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    clone = processes.clone(tmp_path / "clone")
    with (clone / "app" / "users" / "router.py").open("a") as router:
        router.write(PEEK)
    run = processes.command("app", "routes", folder=clone, env=UNREACHABLE | {"PYTHONPATH": str(clone)})
    assert (run.returncode, run.stdout) == (1, "")
    (line,) = run.stderr.splitlines()
    assert line.startswith("app.main cannot be imported: app/users/router.py:")
    assert "RuntimeError: /users/peek: peek neither takes CurrentUser or Superuser nor says @public" in line
