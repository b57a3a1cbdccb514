"""The parts of Groundwork itself: `app serve`, `app worker`, and nginx in front of them."""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from app.core.config import Settings
from deploy.cluster.server import Server
from deploy.cluster.servers import Nginx

ROOT = Path(__file__).parents[2]
NGINX_FOLDER = ROOT / "deploy" / "nginx"
READY_TIMEOUT_S = 5


class Command(Server):
    """The `app` command of this environment, with these settings and no others."""

    program = sys.executable
    package = "python3"
    word: str

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        super().__init__(folder)
        self.settings = dict(settings)

    def environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
        return clean | {"PYTHONPATH": str(ROOT)} | self.settings

    def words(self) -> list[str]:
        return [self.program, "-m", "app.cli", self.word]


class App(Command):
    """It answers when it is ready, which is later than that it listens."""

    word = "serve"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        return super().environment() | {"PORT": str(self.port)}

    def answers(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=READY_TIMEOUT_S)
        with suppress(OSError, HTTPException):
            try:
                connection.request("GET", "/health/ready")
                return connection.getresponse().status == 200
            finally:
                connection.close()
        return False


class Worker(Command):
    """A Celery worker; it listens nowhere, and takes jobs from its broker."""

    word = "worker"
    _written_before = 0

    @property
    def url(self) -> str:
        return ""

    def words(self) -> list[str]:
        return [*super().words(), "--concurrency", "2"]

    def prepare(self) -> None:
        self._written_before = self.log.stat().st_size if self.log.exists() else 0

    def answers(self) -> bool:
        """Celery says so when it takes jobs, once a start."""
        with self.log.open("rb") as log:
            log.seek(self._written_before)
            return any(b"celery@" in line and b"ready." in line for line in log)


class LoadBalancer(Nginx):
    """nginx with the configuration that is deployed; only where it listens and what is behind it are written here."""

    def __init__(self, folder: Path, apps: Sequence[App]) -> None:
        super().__init__(folder)
        self.apps = apps

    def prepare(self) -> None:
        shutil.copytree(NGINX_FOLDER, self.folder, dirs_exist_ok=True)
        places = [f"server 127.0.0.1:{app.port}" for app in self.apps]
        servers = [f"{place} max_fails=1 fail_timeout=1s;" for place in places]
        servers += [f"{place} max_fails=0 backup;" for place in places]
        (self.folder / "upstream.conf").write_text("\n".join(servers) + "\n")
        (self.folder / "listen.conf").write_text(LISTEN_CONF % self.port)


# In its own folder, too, what it keeps elsewhere where it is installed.
LISTEN_CONF = """
listen 127.0.0.1:%s;
access_log access.log app;
client_body_temp_path body;
proxy_temp_path proxy;
fastcgi_temp_path fastcgi;
uwsgi_temp_path uwsgi;
scgi_temp_path scgi;
"""
