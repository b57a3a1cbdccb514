"""`make clients`: what it writes is typed, and does against a running server what its users want of it."""

import re
import shutil
import sqlite3
import subprocess
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
from pyotp import TOTP

from tests import processes
from tests.clones import Clone
from tests.e2e.pages import blocks
from tests.factories import PASSWORD

PROGRAMS = processes.ROOT / "tests" / "clients"
FIELDS = [
    "name:str(80)!",
    "notes:text?",
    "price:decimal(8,2)?",
    "size:enum(small,large)=small",
    "due:date?",
    "extra:json?",
]
TY = ["ty", "check", "--output-format", "concise", "--error-on-warning", "--no-respect-ignore-files"]
TSC = ["--strict", "--module", "nodenext", "--target", "es2022", "--lib", "es2022,dom,dom.iterable", "--outDir", "out"]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A project with an entity of its own, and its Python client, written where there is no node."""
    folder = tmp_path_factory.mktemp("clients") / "clone"
    clone = Clone.make(folder, **processes.quick_settings(f"sqlite:///{folder}/app.db"))
    clone.app("add", "Numbat", *FIELDS)
    assert clone.ok("python", "-m", "clients", PATH=str(folder)).splitlines() == [
        "Python: clients/python/groundwork_client",
        "TypeScript: not written, since node is not installed",
    ]
    return clone


@pytest.fixture(scope="module")
def url(clone: Clone) -> Generator[str]:
    with processes.server(clone.folder, clone.env) as server:
        yield server.url


def registered(url: str, email: str) -> dict[str, str]:
    account = {"email": email, "password": PASSWORD}
    httpx2.post(f"{url}/api/v1/auth/register", json=account).raise_for_status()
    return account


def guarded(clone: Clone, url: str, email: str) -> tuple[str, str]:
    """An account with a second factor, and one of its codes."""
    account = registered(url, email)
    with closing(sqlite3.connect(clone.folder / "app.db")) as database, database:  # as by the link of a mail
        database.execute("UPDATE users SET email_verified_at = created_at WHERE email = ?", [email])
    token = httpx2.post(f"{url}/api/v1/auth/login", json=account).json()["access_token"]
    with httpx2.Client(base_url=f"{url}/api/v1/auth", headers={"Authorization": f"Bearer {token}"}) as client:
        secret = client.post("/second-factor", json={"password": PASSWORD}).json()["secret"]
        codes = client.post("/second-factor/confirm", json={"code": TOTP(secret).now()}).json()["recovery_codes"]
    return email, codes[0]


def shown(language: str, url: str) -> str:
    """The program of docs/CLIENTS.md, for a user who has an account."""
    (program,) = blocks("docs/CLIENTS.md", language)
    email = registered(url, f"{language}@example.org")["email"]
    return program.replace("http://localhost:8000", url).replace("ada@example.com", email)


def users_folder(name: str, clone: Clone, language: str, url: str) -> Path:
    """Beside the project, whose settings are not a user's, with three programs."""
    folder = clone.folder.parent / name
    folder.mkdir()
    suffix = {"python": "py", "typescript": "ts"}[language]
    for program in (f"program.{suffix}", f"wrong.{suffix}"):
        shutil.copy(PROGRAMS / program, folder)
    (folder / f"shown.{suffix}").write_text(shown(language, url))
    return folder


def wrong_lines(program: str) -> set[tuple[str, str]]:
    lines = enumerate((PROGRAMS / program).read_text().splitlines(), 1)
    return {(program, str(number)) for number, line in lines if re.search(r"(#|//) wrong$", line)}


def test_the_commands_of_the_page(clone: Clone) -> None:
    make, openapi = blocks("docs/CLIENTS.md", "bash")
    assert "python -m clients" in clone.ok("bash", "-c", make.replace("make", "make -n"))
    clone.ok("bash", "-c", openapi)
    assert (clone.folder / "openapi.json").is_file()


def test_the_python_client(clone: Clone, url: str) -> None:
    client = str(clone.folder / "clients" / "python")
    folder = users_folder("python", clone, "python", url)
    words = [*TY, "--python", str(processes.BIN.parent), "--extra-search-path", client, client, "."]
    said = processes.command(*words, folder=folder, env=clone.env).stdout
    assert set(re.findall(r"^([^:\n]+):(\d+):", said, re.MULTILINE)) == wrong_lines("wrong.py"), said

    env = clone.env | {"PYTHONPATH": client}
    run = processes.command(
        "python", "program.py", url, *guarded(clone, url, "careful@example.com"), folder=folder, env=env
    )
    assert (run.stdout, run.stderr) == ("done\n", "")
    run = processes.command("python", "shown.py", folder=folder, env=env)
    assert re.fullmatch(r"Buy milk 20.+\n412 .+\n", run.stdout), run


@pytest.mark.skipif(not shutil.which("npm"), reason="npm is not installed")
def test_the_typescript_client(clone: Clone, url: str) -> None:
    assert clone.ok("python", "-m", "clients").endswith("TypeScript: clients/typescript\n")
    folder = users_folder("typescript", clone, "typescript", url)
    installed = clone.folder / "clients" / "typescript"
    (folder / "node_modules").mkdir()
    (folder / "node_modules" / "groundwork-client").symlink_to(installed)
    (folder / "package.json").write_text('{"type": "module"}')

    def run(*words: str) -> str:
        return subprocess.run(words, cwd=folder, text=True, capture_output=True, timeout=120).stdout

    said = run(str(installed / "node_modules" / ".bin" / "tsc"), *TSC, "program.ts", "shown.ts", "wrong.ts")
    assert set(re.findall(r"^([^(\n]+)\((\d+),", said, re.MULTILINE)) == wrong_lines("wrong.ts"), said
    assert run("node", "out/program.js", url, *guarded(clone, url, "wary@example.com")) == "done\n"
    assert re.fullmatch(r"Buy bread 20.+\n412 .+\n", run("node", "out/shown.js"))
