"""Servers of the tests' own, each in a folder and on a port of its own, which the tests may kill."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.processes import free_port
from tests.waiting import until_sync


class Server:
    """A server process; `url` is where it is, each time that it is started."""

    program: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def find(cls) -> str | None:
        return shutil.which(cls.program)

    @property
    def url(self) -> str:
        raise NotImplementedError

    def words(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {}

    def answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def user(self) -> str | None:
        """Whom it runs as where the tests run as root."""
        return None

    def start(self) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.words(),
                cwd=self.folder,
                env=os.environ | self.environment(),
                user=self.user() if os.getuid() == 0 else None,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until_sync(self.answers)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(timeout=30)
        until_sync(lambda: not self.answers())  # the process may be a child of the one that was started

    def signal(self, number: int) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


class Redis(Server):
    program = "redis-server"

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def words(self) -> list[str]:
        return [str(self.find()), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]


class RabbitMQ(Server):
    program = "/usr/lib/rabbitmq/bin/rabbitmq-server"  # the one on the PATH changes to a user of its own

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}"

    def words(self) -> list[str]:
        return [str(self.find())]

    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.folder),  # of the cookie
            "RABBITMQ_NODENAME": f"groundwork{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "none"),
        }


class PostgreSQL(Server):
    program = "postgres"

    @classmethod
    def find(cls) -> str | None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        return str(found[-1]) if found else shutil.which(cls.program)

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def user(self) -> str | None:
        return "postgres"

    def words(self) -> list[str]:
        return [str(self.find()), "-D", "data", "-p", str(self.port), "-c", "listen_addresses=127.0.0.1", "-k", "."]

    def start(self) -> None:
        if not (self.folder / "data").exists():
            if os.getuid() == 0:
                os.chown(self.folder, pwd.getpwnam("postgres").pw_uid, -1)
            words = [str(Path(str(self.find())).with_name("initdb")), "-D", "data", "-U", "postgres", "-A", "trust"]
            user = self.user() if os.getuid() == 0 else None
            subprocess.run(words, cwd=self.folder, user=user, check=True, capture_output=True)
        super().start()

    def answers(self) -> bool:
        words = [str(Path(str(self.find())).with_name("pg_isready")), "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(words, capture_output=True).returncode == 0


class Nginx(Server):
    """A proxy that calls the upstream from an address of its own."""

    program = "nginx"

    def __init__(self, folder: Path, upstream: str, address: str) -> None:
        super().__init__(folder)
        self.upstream = upstream
        self.address = address

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def words(self) -> list[str]:
        return [str(self.find()), "-p", str(self.folder), "-c", "nginx.conf", "-e", "stderr"]

    def start(self) -> None:
        (self.folder / "nginx.conf").write_text(NGINX_CONF % vars(self))
        super().start()


NGINX_CONF = """
daemon off;
master_process off;
pid nginx.pid;
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {
        listen 127.0.0.1:%(port)s;
        location / {
            proxy_pass %(upstream)s;
            proxy_bind %(address)s;
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
        }
    }
}
"""


@contextmanager
def running(kind: Callable[[Path], Server]) -> Generator[Server]:
    """Started; whatever is left of it is killed in the end."""
    with tempfile.TemporaryDirectory(prefix="groundwork-", ignore_cleanup_errors=True) as folder:
        server = kind(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.signal(signal.SIGCONT)
            server.kill()
