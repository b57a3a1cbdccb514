"""The containers: what can be tried without an engine that builds and runs them."""

import re
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.core.config import Settings
from app.core.server import SHUTDOWN_TIMEOUT_S
from deploy.cluster.ports import free_port
from deploy.cluster.servers import Nginx
from tests import processes
from tests.processes import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
APIS = ["api-1", "api-2", "api-3"]


def test_the_dockerfile_has_nothing_that_its_linter_knows_of() -> None:
    run = processes.command("hadolint", "Dockerfile", folder=ROOT, env=processes.environment())
    assert (run.returncode, run.stdout) == (0, "")


def test_what_is_copied_is_there_and_is_not_ignored() -> None:
    lines = re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    copied = {name for line in lines for name in line.split()}
    assert "*" in (ROOT / ".dockerignore").read_text().splitlines()
    assert copied == {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    assert all((ROOT / name).exists() for name in copied)


def test_the_image_runs_what_signals_reach_as_nobody_in_particular() -> None:
    assert re.findall(r"^CMD (.+)$", DOCKERFILE, re.MULTILINE) == ['["app", "serve"]']
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["10001"]
    uv = re.findall(r"^UV_VERSION := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert re.findall(r"astral-sh/uv:(\S+)", DOCKERFILE) == uv


def interpolated(settings: dict[str, str]) -> dict[str, str]:
    """With a secret in each of its places."""
    filled = {name: re.sub(r"\$\{[^}]+\}", lambda _: secrets.token_hex(32), value) for name, value in settings.items()}
    assert not any("$" in value for value in filled.values())
    return filled


def test_their_settings_are_known_and_safe(tmp_path: Path) -> None:
    settings = interpolated(SERVICES["worker"]["environment"])
    assert all(SERVICES[name]["environment"] == SERVICES["worker"]["environment"] for name in APIS)
    unknown = set(settings) - {name.upper() for name in Settings.model_fields}
    assert unknown <= {"DATABASE_REPLICA_URLS"}
    words = [sys.executable, "-c", "from app.core.environment import load_settings; load_settings()"]
    run = subprocess.run(words, cwd=tmp_path, env=processes.environment(**settings), text=True, capture_output=True)
    assert (run.returncode, run.stderr) == (0, "")


def test_no_secret_has_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    required = set(re.findall(r"\$\{(\w+):\?[^}]+\}", text))
    assert required == {f"{name}_PASSWORD" for name in ("POSTGRES", "RABBITMQ", "REDIS", "REPLICATION")} | {
        "SECRET_KEY"
    }
    assert set(re.findall(r"\$\{(\w+)", text)) - required == {"HTTP_PORT"}


def test_what_the_services_name_is_there() -> None:
    for name, service in SERVICES.items():
        assert set(service.get("depends_on", {})) <= set(SERVICES), name
        for other, how in service.get("depends_on", {}).items():
            assert how["condition"] == "service_started" or "test" in SERVICES[other]["healthcheck"], name
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert (ROOT / source).is_file() if source.startswith("./") else source in COMPOSE["volumes"], name
        assert service["image"] == "groundwork" or re.search(r":\d", service["image"]), f"{name}: no version"


def test_nginx_and_the_apps_know_each_others_addresses() -> None:
    addresses = [SERVICES[name]["networks"]["front"]["ipv4_address"] for name in APIS]
    upstream = (ROOT / "deploy" / "compose" / "upstream.conf").read_text()
    assert re.findall(r"^server (\S+):8000 max_fails=1 ", upstream, re.MULTILINE) == addresses
    assert re.findall(r"^server (\S+):8000 max_fails=0 backup", upstream, re.MULTILINE) == addresses
    nginx = SERVICES["nginx"]["networks"]["front"]["ipv4_address"]
    assert {SERVICES[name]["environment"]["FORWARDED_ALLOW_IPS"] for name in APIS} == {nginx}
    assert all(int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > SHUTDOWN_TIMEOUT_S for name in APIS)


@pytest.mark.skipif(not Nginx.find(), reason="nginx is not installed")
def test_nginx_takes_the_configuration(tmp_path: Path) -> None:
    for volume in SERVICES["nginx"]["volumes"]:
        source, target, _ = volume.split(":")
        text = (ROOT / source).read_text().replace("listen 80;", f"listen 127.0.0.1:{free_port()};")
        (tmp_path / target.removeprefix("/etc/nginx/")).write_text(text)
    words = [str(Nginx.find()), "-t", "-p", str(tmp_path), "-c", "nginx.conf", "-e", "stderr", "-g", "pid nginx.pid;"]
    run = subprocess.run(words, text=True, capture_output=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.whole_project
def test_the_health_check_says_how_the_server_is(tmp_path: Path) -> None:
    def ask(path: str, url: str, **variables: str) -> int:
        words = [sys.executable, str(ROOT / "deploy" / "healthcheck.py"), path]
        return subprocess.run(words, env={"PORT": url.rpartition(":")[2]} | variables, capture_output=True).returncode

    env = processes.safe(f"sqlite:///{tmp_path / 'app.db'}", ALLOWED_HOSTS="127.0.0.1,*.example.com")
    with processes.server(tmp_path, env) as server:
        assert ask("live", server.url, ALLOWED_HOSTS="*.example.com, example.com") == 0
        assert ask("ready", server.url, ALLOWED_HOSTS='["api.example.com"]') == 0
        assert ask("ready", server.url) == 1  # whom it does not answer to
    assert ask("live", server.url) == 1
