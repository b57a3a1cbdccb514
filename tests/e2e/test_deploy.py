"""The files of deploy/ that no server reads in the tests: they are whole, and say what the application needs."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.routing import iter_route_contexts

from app.cli.serve import SHUTDOWN_TIMEOUT_S
from app.core.config import Settings
from app.health.readiness import TIMEOUT_S
from app.main import create_app
from tests import factories
from tests.processes import BIN, ROOT

DEPLOY = ROOT / "deploy"
KEEP_ALIVE_S = Settings.model_fields["keep_alive_seconds"].default


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


@pytest.fixture
def traefik() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "traefik" / "dynamic.yml").read_text())["http"]


def test_traefik_sends_nothing_that_was_sent_again_and_no_slow_request_on(traefik: dict[str, Any]) -> None:
    router, middlewares = traefik["routers"]["app"], traefik["middlewares"]
    assert set(router["middlewares"]) == set(middlewares)
    assert "!PathPrefix(`/metrics`)" in router["rule"]
    assert set(middlewares["retry"]["retry"]) == {"attempts", "initialInterval"}
    static = yaml.safe_load((DEPLOY / "traefik" / "traefik.yml").read_text())
    assert router["entryPoints"] == ["websecure"]
    assert "readTimeout" in static["entryPoints"]["websecure"]["transport"]["respondingTimeouts"]
    assert static["entryPoints"]["web"]["http"]["redirections"]["entryPoint"]["to"] == "websecure"


def test_traefik_looks_whether_an_app_is_ready_and_lets_go_of_connections_before_it(traefik: dict[str, Any]) -> None:
    service = traefik["services"]["app"]["loadBalancer"]
    assert service["healthCheck"]["path"] == "/health/ready"
    assert seconds(service["healthCheck"]["timeout"]) > TIMEOUT_S
    timeouts = traefik["serversTransports"][service["serversTransport"]]["forwardingTimeouts"]
    assert seconds(timeouts["idleConnTimeout"]) < KEEP_ALIVE_S


def test_nginx_lets_go_of_connections_before_an_app_does() -> None:
    lines = [line.strip() for line in (DEPLOY / "nginx" / "nginx.conf").read_text().splitlines()]
    upstream = lines[lines.index("upstream app {") :]
    (kept,) = (line for line in upstream if line.startswith("keepalive_timeout"))
    assert seconds(kept.split()[1].rstrip(";")) < KEEP_ALIVE_S


@pytest.mark.parametrize("name", ["groundwork", "groundwork-worker"])
def test_systemd_waits_for_what_is_in_flight_and_starts_again(name: str, tmp_path: Path) -> None:
    text = (DEPLOY / "systemd" / f"{name}.service").read_text()
    said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    assert (said["Restart"], said["KillMode"], said["KillSignal"]) == ("always", "mixed", "SIGTERM")
    assert {"postgresql.service", "redis-server.service"} <= set(said["After"].split())
    assert int(said["TimeoutStopSec"]) > SHUTDOWN_TIMEOUT_S
    if program := shutil.which("systemd-analyze"):
        unit = tmp_path / f"{name}.service"
        unit.write_text(text.replace("/srv/groundwork/.venv/bin", str(BIN)))
        run = subprocess.run([program, "verify", "--man=no", unit], text=True, capture_output=True)
        assert (run.returncode, run.stderr) == (0, "")


def test_no_proxy_refuses_a_body_that_a_route_takes(traefik: dict[str, Any]) -> None:
    app = create_app(factories.settings())
    own = [getattr(route, "max_body_size", None) for route in iter_route_contexts(app.routes)]
    largest = max([app.state.settings.max_body_bytes, *(limit for limit in own if limit is not None)])
    (nginx,) = re.findall(r"client_max_body_size (\d+)m;", (DEPLOY / "nginx" / "nginx.conf").read_text())
    assert int(nginx) * 2**20 >= largest
    assert traefik["middlewares"]["body"]["buffering"]["maxRequestBodyBytes"] >= largest
