"""The containers: what can be tried without an engine that builds and runs them."""

import re
import secrets
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.cli.serve import SHUTDOWN_TIMEOUT_S
from deploy.cluster import docker
from deploy.cluster.ports import free_port
from deploy.cluster.servers import Nginx
from tests import processes
from tests.e2e.compose import merged
from tests.e2e.deployed import must_be_safe
from tests.processes import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
DEVELOPMENT = ("docker-compose.yml", "deploy/compose/development.yml")
# The stages, each with the files of `docker compose -f ... -f ...`.
STAGES = {"plain": DEVELOPMENT[:1], "replicas": docker.FILES, "development": DEVELOPMENT}
SECRETS = {f"{name}_PASSWORD" for name in ("POSTGRES", "RABBITMQ", "REDIS")} | {"SECRET_KEY"}


@pytest.fixture(params=STAGES)
def stage(request: pytest.FixtureRequest) -> dict[str, Any]:
    return merged(*STAGES[request.param])


def apps(stage: dict[str, Any]) -> list[dict[str, Any]]:
    return [service for name, service in stage["services"].items() if name.startswith("api")]


def ours(stage: dict[str, Any]) -> list[dict[str, Any]]:
    return [*apps(stage), stage["services"]["worker"]]


def test_the_dockerfile_has_nothing_that_its_linter_knows_of() -> None:
    run = processes.command("hadolint", "Dockerfile", folder=ROOT, env=processes.environment())
    assert (run.returncode, run.stdout) == (0, "")


def test_what_is_copied_is_there_and_is_not_ignored() -> None:
    lines = re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    copied = {name for line in lines for name in line.split()}
    assert "*" in (ROOT / ".dockerignore").read_text().splitlines()
    assert copied == {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    assert all((ROOT / name).exists() for name in copied)
    assert "generator" not in copied


def test_the_image_runs_what_signals_reach_as_nobody_in_particular() -> None:
    assert re.findall(r"^CMD (.+)$", DOCKERFILE, re.MULTILINE) == ['["app", "serve"]']
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["10001"]
    uv = re.findall(r"^UV_VERSION := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert re.findall(r"astral-sh/uv:(\S+)", DOCKERFILE) == uv


def test_the_files_have_nothing_that_composes_schema_forbids() -> None:
    files = sorted({name for names in STAGES.values() for name in names})
    words = ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", *files]
    run = processes.command(*words, folder=ROOT, env=processes.environment())
    assert run.returncode == 0, run.stdout


@pytest.mark.skipif(not docker.has_compose(), reason="docker compose is not installed")
@pytest.mark.parametrize("files", STAGES.values(), ids=STAGES)
def test_compose_takes_the_files(files: tuple[str, ...]) -> None:
    words = ["docker", "compose", *(word for name in files for word in ("-f", name)), "config", "--quiet"]
    env = processes.environment(**{name: secrets.token_hex(32) for name in (*SECRETS, "REPLICATION_PASSWORD")})
    run = subprocess.run(words, cwd=ROOT, env=env, text=True, capture_output=True)
    assert (run.returncode, run.stderr) == (0, "")


def interpolated(settings: dict[str, str]) -> dict[str, str]:
    """With a secret in each of its places."""
    filled = {name: re.sub(r"\$\{[^}]+\}", lambda _: secrets.token_hex(32), value) for name, value in settings.items()}
    assert not any("$" in value for value in filled.values())
    return filled


def test_their_settings_are_known_and_safe(stage: dict[str, Any]) -> None:
    for service in ours(stage):
        must_be_safe(interpolated(service["environment"]))


def test_every_app_of_a_stage_has_the_same_settings(stage: dict[str, Any]) -> None:
    def plain(service: dict[str, Any]) -> dict[str, str]:
        return {name: re.sub(r":\?[^}]+", "", value) for name, value in service["environment"].items()}

    assert all(plain(service) == plain(stage["services"]["api"]) for service in ours(stage))


@pytest.mark.parametrize("name", STAGES)
def test_no_secret_has_a_default(name: str) -> None:
    text = "".join((ROOT / file).read_text() for file in STAGES[name])
    required = set(re.findall(r"\$\{(\w+):\?[^}]+\}", text))
    assert required == (SECRETS | {"REPLICATION_PASSWORD"} if name == "replicas" else SECRETS)
    assert set(re.findall(r"\$\{(\w+)", text)) - required == {"HTTP_PORT"}


def test_no_service_may_more_than_it_needs(stage: dict[str, Any]) -> None:
    for name, service in stage["services"].items():
        assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"]), name
        assert "privileged" not in service
        assert service.get("cap_add", []) == (
            ["CHOWN", "NET_BIND_SERVICE", "SETGID", "SETUID"] if name == "nginx" else []
        )
    assert all(service["read_only"] and "/tmp" in service["tmpfs"] for service in ours(stage))


def test_nothing_is_open_to_other_machines_but_nginx(stage: dict[str, Any]) -> None:
    for name, service in stage["services"].items():
        assert name == "nginx" or all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name


def test_the_servers_reach_nothing_outside_and_the_apps_whom_they_tell_of_errors(stage: dict[str, Any]) -> None:
    internal = {name for name, network in stage["networks"].items() if network and network.get("internal")}
    for service in ours(stage):
        assert set(service["networks"]) - internal == {"outside"}
    for name in ("postgres", "redis", "rabbitmq", "replica-1", "replica-2"):
        # In development each has a port on this machine, which only such a network opens.
        if (service := stage["services"].get(name)) and not service.get("ports"):
            assert set(service["networks"]) <= internal, name


def test_what_the_services_name_is_there(stage: dict[str, Any]) -> None:
    services = stage["services"]
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
        for other, how in service.get("depends_on", {}).items():
            assert how["condition"] == "service_started" or "test" in services[other]["healthcheck"], name
        assert set(service["networks"]) <= set(stage["networks"]), name
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in stage["volumes"], name
        assert service["image"] == "groundwork" or re.search(r":\d", service["image"]), f"{name}: no version"


def test_one_service_builds_the_image_and_the_others_use_it(stage: dict[str, Any]) -> None:
    assert [name for name, service in stage["services"].items() if "build" in service] == ["api"]
    assert {service["image"] for service in ours(stage)} == {"groundwork"}


def test_a_replica_is_of_its_primarys_version(stage: dict[str, Any]) -> None:
    images = {
        service["image"] for name, service in stage["services"].items() if name.startswith(("postgres", "replica"))
    }
    assert len(images) == 1


def test_nginx_and_the_apps_know_each_others_addresses(stage: dict[str, Any]) -> None:
    addresses = [service["networks"]["front"]["ipv4_address"] for service in apps(stage)]
    nginx = stage["services"]["nginx"]
    upstream = next(volume for volume in nginx["volumes"] if volume.endswith("/upstream.conf:ro")).partition(":")[0]
    text = (ROOT / upstream).read_text()
    assert re.findall(r"^server (\S+):8000 max_fails=1 ", text, re.MULTILINE) == addresses
    assert re.findall(r"^server (\S+):8000 max_fails=0 backup", text, re.MULTILINE) == addresses
    assert {service["environment"]["FORWARDED_ALLOW_IPS"] for service in apps(stage)} == {
        nginx["networks"]["front"]["ipv4_address"]
    }
    assert all(int(service["stop_grace_period"].removesuffix("s")) > SHUTDOWN_TIMEOUT_S for service in apps(stage))


@pytest.mark.skipif(not Nginx.find(), reason="nginx is not installed")
def test_nginx_takes_the_configuration(stage: dict[str, Any], tmp_path: Path) -> None:
    for volume in stage["services"]["nginx"]["volumes"]:
        source, target, _ = volume.split(":")
        text = (ROOT / source).read_text().replace("listen 80;", f"listen 127.0.0.1:{free_port()};")
        (tmp_path / target.removeprefix("/etc/nginx/")).write_text(text)
    words = [str(Nginx.find()), "-t", "-p", str(tmp_path), "-c", "nginx.conf", "-e", "stderr", "-g", "pid nginx.pid;"]
    run = subprocess.run(words, text=True, capture_output=True)
    assert run.returncode == 0, run.stderr
