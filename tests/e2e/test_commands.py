"""The commands, and what whoever gets one wrong reads: one line, no traceback, an exit code that is not 0."""

import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread
from pyotp import TOTP
from typer.testing import CliRunner

from app.cli.commands import cli
from deploy.cluster.ports import free_port
from tests import processes
from tests.factories import PASSWORD
from tests.waiting import until_sync

API = "/api/v1"


def is_one_line(run: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert run.returncode not in (0, None), run
    lines = run.stderr.strip().splitlines()
    assert len(lines) == 1, run.stderr
    for part in parts:
        assert part in lines[0]


@pytest.fixture
def sqlite(tmp_path: Path) -> dict[str, str]:
    return processes.safe(f"sqlite:///{tmp_path}/app.db")


async def test_create_superuser(empty_database: str, tmp_path: Path) -> None:
    env = processes.safe(empty_database)
    words = ["create-superuser", "--email", "Admin@Example.com"]
    made = await to_thread.run_sync(lambda: CliRunner().invoke(cli, [*words, "--password", PASSWORD], env=env))
    assert (made.exit_code, made.stdout) == (0, "admin@example.com is a superuser.\n")
    with processes.server(tmp_path, env) as server, server.client() as client:
        answer = client.post(f"{API}/auth/login", json={"email": "admin@example.com", "password": PASSWORD})
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        assert client.get(f"{API}/users").json()[0]["is_superuser"] is True
        key = client.post(f"{API}/api-keys", json={"name": "x"}).json()["key"]
        by_key = {"Authorization": f"Bearer {key}"}
        assert client.get(f"{API}/users", headers=by_key).status_code == 200
        # An account that exists gets the new password, and whoever had it is signed out.
        typed = "another password\n" * 2
        asked = await to_thread.run_sync(lambda: CliRunner().invoke(cli, words, env=env, input=typed))
        assert asked.exit_code == 0
        assert "another password" not in asked.output
        # Another process changed it: here it is seen after IDENTITY_CACHE_SECONDS at most.
        until_sync(lambda: client.get(f"{API}/users").status_code == 401)
        until_sync(lambda: client.get(f"{API}/users", headers=by_key).status_code == 401)


@pytest.mark.parametrize(
    ("email", "password", "said"),
    [
        ("x", PASSWORD, "--email: Not a valid email address\n"),
        ("a@example.com", "password1", "--password: Is one of the most common passwords\n"),
    ],
)
def test_create_superuser_says_what_is_wrong(
    tmp_path: Path, sqlite: dict[str, str], email: str, password: str, said: str
) -> None:
    words = ["create-superuser", "--email", email, "--password", password]
    run = processes.command("app", *words, folder=tmp_path, env=sqlite)
    assert (run.returncode, run.stderr) == (2, said)
    assert not (tmp_path / "app.db").exists()


def test_a_bad_setting_is_one_line(tmp_path: Path, sqlite: dict[str, str]) -> None:
    run = processes.command("uvicorn", "app.main:app", folder=tmp_path, env=sqlite | {"BCRYPT_ROUNDS": "99"})
    is_one_line(run, "BCRYPT_ROUNDS: ", "from 4 to 16")


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("migrate", "mysql://nobody:secret@127.0.0.1:1/nothing"),
        ("migrate", "postgresql://nobody:secret@127.0.0.1:1/nothing?no_such_parameter=1"),
        ("serve", "sqlite:////no/such/folder/app.db"),
    ],
)
def test_a_database_that_cannot_be_reached_is_one_line(
    tmp_path: Path, sqlite: dict[str, str], name: str, address: str
) -> None:
    env = sqlite | {"DATABASE_URL": address, "PORT": str(free_port())}
    run = processes.command("app", name, folder=tmp_path, env=env)
    is_one_line(run, "DATABASE_URL: ", "cannot be used")
    assert "secret" not in run.stdout + run.stderr


def test_plain_uvicorn_says_so_too(tmp_path: Path, sqlite: dict[str, str]) -> None:
    env = sqlite | {"DATABASE_URL": "postgresql://nobody:secret@127.0.0.1:1/nothing"}
    run = processes.command("uvicorn", "app.main:app", "--port", "0", folder=tmp_path, env=env)
    assert run.returncode != 0
    assert "DATABASE_URL: postgresql+asyncpg://nobody:***@127.0.0.1:1/nothing cannot be used" in run.stderr
    assert "Traceback" not in run.stderr
    assert "secret" not in run.stderr


def test_a_port_in_use_is_one_line(tmp_path: Path, sqlite: dict[str, str]) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        run = CliRunner().invoke(cli, ["serve"], env=sqlite | {"PORT": str(port)})
    assert run.exit_code == 1
    assert str(run.exception) == (
        f"cannot listen on 127.0.0.1:{port} (Address already in use). "
        f"Stop what listens there, or choose another: make run PORT={port + 1}"
    )


@pytest.mark.parametrize("host", ["::here", "192.0.2.1"])
def test_a_host_that_is_not_here_is_one_line(tmp_path: Path, sqlite: dict[str, str], host: str) -> None:
    run = processes.command("app", "serve", folder=tmp_path, env=sqlite | {"HOST": host, "PORT": "8000"})
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert line.startswith(f"HOST: cannot listen on {host}:8000 (")
    assert line.endswith("). Right: an address to listen on: 127.0.0.1 or 0.0.0.0")


def test_one_document_and_nothing_else(tmp_path: Path, sqlite: dict[str, str]) -> None:
    run = processes.command("app", "migrate", "--json", folder=tmp_path, env=sqlite | {"DEBUG": "true"})
    assert json.loads(run.stdout)["ok"] is True
    wrong = sqlite | {"BCRYPT_ROUNDS": "99"}
    refused = processes.command("app", "migrate", "--json", folder=tmp_path, env=wrong)
    assert (refused.returncode, json.loads(refused.stdout)["error"]["code"]) == (1, "environment")


def test_help_is_quick_to_read(tmp_path: Path) -> None:
    run = processes.command("app", "--help", folder=tmp_path, env=processes.environment())
    assert run.returncode == 0
    for name in ("serve", "migrate", "create-superuser"):
        assert name in run.stdout


def test_an_old_python_is_told(tmp_path: Path) -> None:
    clone = processes.clone(tmp_path / "clone", with_venv=False)
    old = clone / "python3.10"
    old.write_text("#!/bin/sh\ncase $1 in --version) echo Python 3.10.13;; *) exit 1;; esac\n")
    old.chmod(0o755)
    for target in ("run", "setup", "test"):
        run = subprocess.run(
            ["make", target, f"PYTHON={old}"],
            cwd=clone,
            env=processes.environment(),
            text=True,
            capture_output=True,
            timeout=60,
        )
        assert run.returncode != 0
        said = (run.stdout + run.stderr).splitlines()[0]
        assert said.startswith("Groundwork needs Python 3.11 or newer;")
        assert "Python 3.10.13" in said
        assert f"make {target} PYTHON=python3.12" in said


async def test_reset_second_factor(empty_database: str, tmp_path: Path) -> None:
    env = processes.safe(empty_database)
    email = "lost@example.com"

    async def app(*words: str) -> tuple[int, dict[str, Any]]:
        run = await to_thread.run_sync(lambda: CliRunner().invoke(cli, [*words, "--json"], env=env))
        return run.exit_code, json.loads(run.stdout) if run.exit_code == 0 else {"error": str(run.exception)}

    reset = ["reset-second-factor", "--email", "Lost@Example.com"]
    await app("create-superuser", "--email", email, "--password", PASSWORD)
    with processes.server(tmp_path, env) as server, server.client() as client:
        credentials = {"email": email, "password": PASSWORD}
        tokens = client.post(f"{API}/auth/login", json=credentials).json()
        client.headers["Authorization"] = f"Bearer {tokens['access_token']}"
        secret = client.post(f"{API}/auth/second-factor", json={"password": PASSWORD}).json()["secret"]
        confirmed = client.post(f"{API}/auth/second-factor/confirm", json={"code": TOTP(secret).now()})
        assert confirmed.status_code == 200
        assert "challenge_token" in client.post(f"{API}/auth/login", json=credentials).json()
        assert await app(*reset) == (0, {"ok": True, "email": email, "next": []})
        assert client.get(f"{API}/auth/me").status_code == 401  # whoever has the telephone is out
        assert "access_token" in client.post(f"{API}/auth/login", json=credentials).json()
    for address in (email, "nobody@example.com"):
        code, document = await app("reset-second-factor", "--email", address)
        assert (code, document) == (1, {"error": "there is no account of that address with a second factor"})
