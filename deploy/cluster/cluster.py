"""The whole of Groundwork on this machine: nginx, apps, a worker, and every server that they need."""

import secrets
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.cluster.application import App, LoadBalancer, Worker
from deploy.cluster.servers import NotStarted, PostgreSQL, PostgreSQLReplica, RabbitMQ, Redis, Server

BETWEEN_RESTARTS_S = 0.1  # as systemd's RestartSec


class Cluster:
    """`parts` by name: nginx, app-1 ..., worker, primary, replica-1 ..., redis and rabbitmq."""

    def __init__(self, folder: Path, apps: int, replicas: int, settings: dict[str, str]) -> None:
        self.folder = folder
        self.primary = PostgreSQL(folder / "primary")
        self.redis = Redis(folder / "redis")
        self.broker = RabbitMQ(folder / "rabbitmq")
        self.replicas = [PostgreSQLReplica(folder / f"replica-{n}", self.primary) for n in range(1, replicas + 1)]
        self.settings = self._addresses() | settings
        self.apps = [App(folder / f"app-{n}", self.settings) for n in range(1, apps + 1)]
        self.worker = Worker(folder / "worker", self.settings)
        self.nginx = LoadBalancer(folder / "nginx", self.apps)
        services: list[Server] = [self.primary, *self.replicas, self.redis, self.broker]
        self.parts: dict[str, Server] = {part.name: part for part in [self.nginx, *self.apps, self.worker, *services]}
        self._ends = threading.Event()
        self._supervisor: threading.Thread | None = None

    def _addresses(self) -> dict[str, str]:
        return {
            "SECRET_KEY": secrets.token_hex(32),
            "DRAIN_SECONDS": "3",  # longer than nginx keeps an unused connection
            "DATABASE_URL": self.primary.url,
            "DATABASE_REPLICA_URLS": ",".join(replica.url for replica in self.replicas),
            "REDIS_URL": self.redis.url,
            "CELERY_BROKER_URL": self.broker.url,
            "LOG_FORMAT": "json",
        }

    @property
    def url(self) -> str:
        return self.nginx.url

    def start(self, stop: threading.Event | None = None) -> None:
        """Returns when every part answers, or when `stop` is set; parts that need no other start at the same time."""
        stop = stop or threading.Event()
        for together in (
            [self.broker, self.redis, self.primary],
            [*self.replicas, *self.apps],
            [self.worker],
            [self.nginx],
        ):
            for part in together:
                if not stop.is_set():
                    part.launch()
            for part in together:
                if not stop.is_set():
                    part.wait_until_it_answers(stop)

    def stop(self) -> None:
        """In the order in which nobody misses another; returns when no process is left."""
        self._ends.set()
        if self._supervisor is not None:
            self._supervisor.join()
        for layer in (
            [self.nginx],
            [*self.apps, self.worker],
            [*self.replicas, self.redis, self.broker],
            [self.primary],
        ):
            for part in layer:
                part.ask_to_stop()
            for part in layer:
                part.stop()

    def supervise(self) -> None:
        """From now on what ends without being stopped is started again at once, as systemd or Kubernetes would."""
        if self._supervisor is None:
            self._supervisor = threading.Thread(target=self._restart_what_died, name="supervisor", daemon=True)
            self._supervisor.start()

    def _restart_what_died(self) -> None:
        while not self._ends.wait(BETWEEN_RESTARTS_S):
            for part in self.parts.values():
                with suppress(NotStarted, OSError):  # and again at the next look
                    part.relaunch()

    def rolling_restart(self) -> None:
        """One app after another, the next when the last is ready; NotStarted when one is not."""
        for app in self.apps:
            app.stop()
            app.start()


@contextmanager
def cluster(
    folder: Path,
    apps: int = 3,
    replicas: int = 2,
    settings: dict[str, str] | None = None,
    stop: threading.Event | None = None,
) -> Generator[Cluster]:
    """Started in this folder, which every user has to be able to enter; nothing of it runs afterwards.

    `stop` ends the start early: what runs by then is stopped like the rest.

    `settings` are the apps' and the worker's, by their names in the environment: {"RATE_LIMIT_ENABLED": "false"}.
    NotStarted when a program is missing, or a part does not start.
    """
    require_programs()
    whole = Cluster(folder, apps, replicas, settings or {})
    try:
        whole.start(stop)
        yield whole
    finally:
        whole.stop()


def missing_packages() -> list[str]:
    """Debian's packages of what is not installed."""
    return sorted(kind.package for kind in (LoadBalancer, PostgreSQL, RabbitMQ, Redis) if not kind.find())


def require_programs() -> None:
    if missing := missing_packages():
        raise NotStarted(f"not installed: {', '.join(missing)}. Right: sudo apt-get install {' '.join(missing)}")
