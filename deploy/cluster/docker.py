"""The same from containers, where Docker is: the compose files with random secrets, and volumes that go with them."""

import os
import secrets
import shutil
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager

from deploy.cluster.application import ROOT
from deploy.cluster.ports import free_port
from deploy.cluster.server import NotStarted

FILES = ("docker-compose.yml", "deploy/compose/replicas.yml")
COMPOSE = (
    "docker",
    "compose",
    "--project-name",
    "groundwork-cluster",
    *(word for name in FILES for word in ("-f", name)),
)
BETWEEN_LOOKS_S = 0.1
SECRETS = ("SECRET_KEY", "POSTGRES_PASSWORD", "REPLICATION_PASSWORD", "REDIS_PASSWORD", "RABBITMQ_PASSWORD")


def works() -> bool:
    """Whether its daemon answers and it has compose."""
    return bool(shutil.which("docker")) and _succeeds("docker", "info") and has_compose()


def has_compose() -> bool:
    return bool(shutil.which("docker")) and _succeeds("docker", "compose", "version")


def _succeeds(*words: str) -> bool:
    return subprocess.run(words, check=False, capture_output=True).returncode == 0


@contextmanager
def containers(stop: threading.Event) -> Generator[str]:
    """The URL once all containers are healthy, or once `stop` is set; removes them and their volumes at the end."""
    port = os.environ.get("HTTP_PORT") or str(free_port())
    environment = os.environ | {name: secrets.token_hex(32) for name in SECRETS} | {"HTTP_PORT": port}

    def compose(*words: str) -> subprocess.Popen[bytes]:
        # In a session of its own: Ctrl-C in a terminal would end `down` as well.
        return subprocess.Popen([*COMPOSE, *words], cwd=ROOT, env=environment, start_new_session=True)

    try:
        up = compose("up", "--build", "--wait")
        while up.poll() is None and not stop.wait(BETWEEN_LOOKS_S):
            pass
        if stop.is_set():
            up.terminate()
        if up.wait() and not stop.is_set():
            raise NotStarted(
                "docker compose did not start all of it, as it says above. Without it: make cluster DOCKER=no"
            )
        compose("ps").wait()
        yield f"http://127.0.0.1:{port}"
    finally:
        compose("down", "--volumes").wait()
