"""The application of tests/jobs_app.py with what runs its jobs: itself, or a broker and a worker."""

import os
import signal
import subprocess
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2

from tests import factories, processes
from tests.waiting import until_sync

API = "/api/v1"
CELERY_WORKER = (str(processes.BIN / "celery"), "-A", "tests.jobs_worker", "worker", "--concurrency", "2")


def serving(folder: Path, env: dict[str, str], **options: Any) -> Any:
    return processes.server(folder, env, "uvicorn", "tests.jobs_app:app", **options)


@contextmanager
def working(
    folder: Path, env: dict[str, str], words: Sequence[str] = CELERY_WORKER
) -> Generator[subprocess.Popen[str]]:
    """A Celery worker, and beat in it; SIGTERM in the end."""
    with (folder / "worker.log").open("a") as log:
        worker = subprocess.Popen(
            words, cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
    try:
        yield worker
    finally:
        end(worker, signal.SIGTERM)
    said = (folder / "worker.log").read_text()
    assert "raised unexpected" not in said, said


def end(worker: subprocess.Popen[str], number: int) -> None:
    with suppress(ProcessLookupError):
        # Only its head is told: it is what a supervisor would signal. A kill is everybody's, as when a machine goes.
        os.killpg(worker.pid, number) if number == signal.SIGKILL else os.kill(worker.pid, number)
    try:
        worker.wait(timeout=60)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)


class Caller:
    """Somebody signed in, who has jobs done and looks at what came of them."""

    def __init__(self, client: httpx2.Client) -> None:
        self.client = client
        body = {"email": factories.email(), "password": factories.PASSWORD}
        assert client.post(f"{API}/auth/register", json=body).status_code == 201
        answer = client.post(f"{API}/auth/login", json=body)
        assert answer.status_code == 200, answer.text
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def try_to_put(self, name: str, *titles: str) -> bool:
        """Whether it was accepted."""
        return self.client.post(f"{API}/jobs-test/{name}", json=titles).status_code == 202

    def put(self, name: str, *titles: str) -> None:
        assert self.try_to_put(name, *titles)

    def put_and_die(self, name: str, *titles: str) -> None:
        """The server dies between the commit and the answer."""
        with suppress(httpx2.HTTPError):
            self.client.post(f"{API}/jobs-test/{name}?die=true", json=titles)
            raise AssertionError("it answered")

    def titles(self) -> list[str]:
        return sorted(row["title"] for row in self._all())

    def wait_for(self, *titles: str) -> None:
        """Until these items are there, each once, and no other."""
        until_sync(lambda: set(titles) <= set(self.titles()))
        assert self.titles() == sorted(titles)

    def _all(self) -> Iterator[dict[str, Any]]:
        url: str | None = f"{API}/items"
        while url:
            answer = self.client.get(url)
            yield from answer.json()
            url = answer.links.get("next", {}).get("url")
