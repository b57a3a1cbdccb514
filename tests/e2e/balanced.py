"""Several servers behind the nginx configuration that is deployed, and users who never stop calling."""

import threading
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import httpx2

from deploy.cluster.application import App, LoadBalancer
from tests import factories, processes

API = "/api/v1"


@contextmanager
def balanced(folder: Path, count: int, **settings: str) -> Generator[tuple[LoadBalancer, list[App]]]:
    """nginx, and the servers behind it; whatever is left of them is killed in the end."""
    own = {"LOG_LEVEL": "WARNING", "DRAIN_SECONDS": "3"}  # longer than nginx keeps an unused connection
    settings = processes.quick_settings(f"sqlite:///{folder}/app.db") | own | settings
    apps = [App(folder / f"app-{number}", settings) for number in range(count)]
    nginx = LoadBalancer(folder / "nginx", apps)
    with ExitStack() as ends:
        for server in (*apps, nginx):
            ends.callback(server.kill)
            server.start()
        yield nginx, apps


class Changed(LoadBalancer):
    """The same with other values in these places."""

    def __init__(self, folder: Path, servers: Sequence[Any], changes: dict[str, str]) -> None:
        super().__init__(folder, servers)
        self.changes = changes

    def prepare(self) -> None:
        super().prepare()
        path = self.folder / "nginx.conf"
        text = path.read_text()
        for old, new in self.changes.items():
            assert text.count(old) == 1
            text = text.replace(old, new)
        path.write_text(text)


@contextmanager
def in_front(folder: Path, *servers: processes.Server, **changes: str) -> Generator[LoadBalancer]:
    places = [SimpleNamespace(port=int(server.url.rpartition(":")[2])) for server in servers]
    nginx = Changed(folder / "nginx", places, changes)
    try:
        nginx.start()
        yield nginx
    finally:
        nginx.kill()


class Load:
    """Users in threads of their own, each with kept connections; half of the requests are writes."""

    def __init__(self, url: str, users: int, *, writes: bool = True) -> None:
        self.failures: list[str] = []
        self.written: set[str] = set()
        self.answered = 0
        self._url = url
        self._writes = writes
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
                self._ask(client, "GET", f"{API}/items?limit=1")
                if self._writes and self._ask(client, "POST", f"{API}/items", json={"title": f"{number}-{turn}"}):
                    self.written.add(f"{number}-{turn}")

    def _ask(self, client: httpx2.Client, method: str, url: str, **options: Any) -> bool:
        try:
            answer = client.request(method, url, **options)
        except httpx2.HTTPError as error:
            self.failures.append(f"{method}: {error!r}")
            return False
        self.answered += 1
        if not answer.is_success:
            self.failures.append(f"{method}: {answer.status_code} {answer.text}")
        return answer.is_success
