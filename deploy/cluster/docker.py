"""The same from containers, where Docker is: the compose files with random secrets, and volumes that go with them."""

import os
import secrets
import shutil
import subprocess
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
SECRETS = ("SECRET_KEY", "POSTGRES_PASSWORD", "REPLICATION_PASSWORD", "REDIS_PASSWORD", "RABBITMQ_PASSWORD")


def works() -> bool:
    """Whether its daemon answers and it has compose."""
    return bool(shutil.which("docker")) and _succeeds("docker", "info") and has_compose()


def has_compose() -> bool:
    return bool(shutil.which("docker")) and _succeeds("docker", "compose", "version")


def _succeeds(*words: str) -> bool:
    return subprocess.run(words, check=False, capture_output=True).returncode == 0


@contextmanager
def containers() -> Generator[str]:
    """Where it is, when all of it is healthy; gone in the end, with its volumes."""
    port = os.environ.get("HTTP_PORT") or str(free_port())
    environment = os.environ | {name: secrets.token_hex(32) for name in SECRETS} | {"HTTP_PORT": port}

    def compose(*words: str) -> int:
        # In a session of its own: Ctrl-C is ours, and would end `down` as well.
        run = subprocess.run([*COMPOSE, *words], cwd=ROOT, env=environment, check=False, start_new_session=True)
        return run.returncode

    try:
        if compose("up", "--build", "--wait"):
            raise NotStarted(
                "docker compose did not start all of it, as it says above. Without it: make cluster DOCKER=no"
            )
        compose("ps")
        yield f"http://127.0.0.1:{port}"
    finally:
        compose("down", "--volumes")
