"""Several servers behind the nginx configuration that is deployed, and users who never stop calling."""

import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import httpx2

from deploy.cluster.application import App, LoadBalancer
from tests import factories, processes

API = "/api/v1"


@contextmanager
def balanced(folder: Path, count: int, **settings: str) -> Generator[tuple[LoadBalancer, list[App]]]:
    """nginx, and the servers behind it; whatever is left of them is killed in the end."""
    settings = processes.quick_settings(f"sqlite:///{folder}/app.db") | {"LOG_LEVEL": "WARNING"} | settings
    apps = [App(folder / f"app-{number}", settings) for number in range(count)]
    nginx = LoadBalancer(folder / "nginx", apps)
    with ExitStack() as ends:
        for server in (*apps, nginx):
            ends.callback(server.kill)
            server.start()
        yield nginx, apps


class Load:
    """Users in threads of their own, each with kept connections; half of the requests are writes."""

    def __init__(self, url: str, users: int) -> None:
        self.failures: list[str] = []
        self.written: set[str] = set()
        self.answered = 0
        self._url = url
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=[number]) for number in range(users)]
        self._token = self._sign_in()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def titles(self) -> set[str]:
        """All that are stored."""
        found: set[str] = set()
        with self._client() as client:
            url: str | None = f"{API}/items?limit=100"
            while url:
                answer = client.get(url)
                found |= {row["title"] for row in answer.json()}
                url = answer.links.get("next", {}).get("url")
        return found

    def _client(self) -> httpx2.Client:
        return httpx2.Client(base_url=self._url, headers={"Authorization": f"Bearer {self._token}"}, timeout=60)

    def _sign_in(self) -> str:
        body = {"email": factories.email(), "password": factories.PASSWORD}
        with httpx2.Client(base_url=self._url, timeout=60) as client:
            assert client.post(f"{API}/auth/register", json=body).status_code == 201
            return client.post(f"{API}/auth/login", json=body).json()["access_token"]

    def _run(self, number: int) -> None:
        with self._client() as client:
            turn = 0
            while not self._ends.is_set():
                turn += 1
                title = f"{number}-{turn}"
                try:
                    read = client.get(f"{API}/items?limit=1")
                    written = client.post(f"{API}/items", json={"title": title})
                except httpx2.HTTPError as error:
                    self.failures.append(repr(error))
                    continue
                self.failures += [f"{a.status_code} {a.text}" for a in (read, written) if not a.is_success]
                self.answered += 2
                if written.status_code == 201:
                    self.written.add(title)
