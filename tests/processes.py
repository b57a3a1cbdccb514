"""The application as its users run it: commands and servers in processes of their own, in an empty folder."""

import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path

import httpx2

from app.core.config import Settings
from deploy.cluster.ports import free_port
from tests.factories import SECRET

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
START_TIMEOUT_S = 120


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without a setting of its own, and with these."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if name.lower() not in Settings.model_fields and not name.startswith("MAKE")
    }
    # With bytecode, as a user's own: a clone would be compiled anew by each of its commands.
    own = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "", "PYTHONFAULTHANDLER": "1"}
    return clean | own | variables


def safe(database_url: str, **variables: str) -> dict[str, str]:
    """The environment of a quick and quiet server."""
    return environment(**quick_settings(database_url) | variables)


def quick_settings(database_url: str) -> dict[str, str]:
    quick = {"ENVIRONMENT": "test", "SECRET_KEY": SECRET, "BCRYPT_ROUNDS": "4", "RATE_LIMIT_ENABLED": "false"}
    return {"DATABASE_URL": database_url} | quick


def command(*words: str, folder: Path, env: dict[str, str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    """A program of the virtual environment, run to its end."""
    return subprocess.run(
        [str(BIN / words[0]), *words[1:]], cwd=folder, env=env, input=stdin, text=True, capture_output=True, timeout=120
    )


def at_once(count: int, *words: str, folder: Path, env: dict[str, str]) -> list[int | None]:
    """The exit codes of one `app` command, run by so many processes at the same moment.

    They are forked from one that has imported everything, so that they do not start seconds apart.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["alembic.command", "app.models", "app.cli.migrate", __name__])
    everybody_is_there = context.Barrier(count)
    arguments = (words, str(folder), env, everybody_is_there)
    crowd = [context.Process(target=_run_app, args=arguments) for _ in range(count)]
    for process in crowd:
        process.start()
    for process in crowd:
        process.join(timeout=120)
    return [process.exitcode for process in crowd]


def _run_app(words: tuple[str, ...], folder: str, env: dict[str, str], everybody_is_there: Barrier) -> None:
    from app.cli.commands import cli

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    everybody_is_there.wait()
    cli(list(words))


def clone(folder: Path, *, with_venv: bool = True) -> Path:
    """The project's files as a clone has them, and this virtual environment."""
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    for name in names:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    if with_venv:
        (folder / ".venv").symlink_to(BIN.parent)
    return folder


@dataclass
class Server:
    """A running server."""

    url: str
    process: subprocess.Popen[str]
    log: Path

    def client(self, token: str | None = None) -> httpx2.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=60)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=60)


@contextmanager
def server(
    folder: Path, env: dict[str, str], *words: str, expected: str = "nothing else", run_in: Path | None = None
) -> Generator[Server]:
    """`app serve`, or other words, up when it answers and ended by SIGTERM; it logs no error but what is expected.

    Its log is in the folder, which it runs in, or in another.
    """
    port = free_port()
    log = folder / f"server-{port}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(BIN / (words or ("app", "serve"))[0]), *(words or ("app", "serve"))[1:]],
            cwd=run_in or folder,
            env=env | {"PORT": str(port), "UVICORN_PORT": str(port)},
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # so that a signal to its group reaches what `make` started
        )
    running = Server(f"http://127.0.0.1:{port}", process, log)
    try:
        wait_until_live(running)
        yield running
    except Exception as error:
        error.add_note(f"The server said last:\n{''.join(log.read_text().splitlines(keepends=True)[-20:])}")
        raise
    finally:
        _end(process)
    wrong = [line for line in log.read_text().splitlines() if re.search("Traceback|ERROR", line)]
    assert [line for line in wrong if not re.search(expected, line)] == [], log.read_text()


def _end(process: subprocess.Popen[str]) -> None:
    """SIGTERM to the whole group, and SIGKILL to what is left of it after half a minute."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=60)
            return


def wait_until_live(running: Server) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            httpx2.get(f"{running.url}/health/live", timeout=5).raise_for_status()
        except httpx2.HTTPError:
            assert running.process.poll() is None, running.log.read_text()
            time.sleep(0.05)  # between two looks
        else:
            return
    raise AssertionError(f"not up after {START_TIMEOUT_S} s: {where_it_hangs(running)}")


def where_it_hangs(running: Server) -> str:
    """What it logged, and where each of its threads stands (PYTHONFAULTHANDLER); it does not outlive the question."""
    state = Path(f"/proc/{running.process.pid}/stat")
    said = f"state {state.read_text().rpartition(')')[2].split()[0]}\n" if state.exists() else ""
    running.process.send_signal(signal.SIGABRT)
    with suppress(subprocess.TimeoutExpired):
        running.process.wait(timeout=60)
    return said + running.log.read_text()
