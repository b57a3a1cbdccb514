"""The files of deploy/monitoring with a real Prometheus, which asks a real server of two processes."""

import json
import os
import signal
import subprocess
from collections.abc import Generator
from typing import Any

import httpx2
import pytest
import yaml

from deploy.cluster.processes import descendants
from deploy.cluster.prometheus import Prometheus
from tests import factories, processes
from tests.factories import PASSWORD
from tests.processes import ROOT, Server
from tests.waiting import until_sync

pytestmark = pytest.mark.skipif(not Prometheus.find(), reason="Prometheus is not installed")

MONITORING = ROOT / "deploy" / "monitoring"
API = "/api/v1"
POOL_SIZE = 3
NOWHERE = "127.0.0.1:1"


def promtool(*words: str) -> str:
    run = subprocess.run(["promtool", *words], cwd=MONITORING, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_what_is_shipped_is_valid() -> None:
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml")
    assert "SUCCESS" in promtool("check", "rules", "alerts.yml")


def test_each_alert_fires_when_it_should_and_not_on_a_day_like_any_other() -> None:
    promtool("test", "rules", "alerts_test.yml")
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]
    for case in yaml.safe_load((MONITORING / "alerts_test.yml").read_text())["tests"]:
        assert [test["alertname"] for test in case["alert_rule_test"]] == [rule["alert"] for rule in rules]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    folder = tmp_path_factory.mktemp("monitored")
    limits = {"RATE_LIMIT_ENABLED": "true", "LOGIN_LIMIT_ACCOUNT": "2/hour", "DB_POOL_SIZE": str(POOL_SIZE)}
    env = processes.safe(f"sqlite:///{folder / 'app.db'}", WEB_CONCURRENCY="2", **limits)
    with processes.server(folder, env, expected="Unexpected exit from worker") as running:
        yield running


@pytest.fixture(scope="module")
def prometheus(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Generator[Prometheus]:
    """As it is shipped; but it asks other instances, one of which is not there, every second, and is less patient."""
    found = Prometheus(tmp_path_factory.mktemp("prometheus"))
    (found.folder / "alerts.yml").write_text((MONITORING / "alerts.yml").read_text().replace("for: 1m", "for: 1s"))
    shipped = (MONITORING / "prometheus.yml").read_text()
    assert shipped.count("15s") == 2
    assert '"localhost:8000"' in shipped
    targets = f'"{server.url.removeprefix("http://")}", "{NOWHERE}"'
    (found.folder / "prometheus.yml").write_text(shipped.replace("15s", "1s").replace('"localhost:8000"', targets))
    try:
        found.start()
        yield found
    finally:
        found.stop()


class Traffic:
    """Somebody who uses the API, whose password somebody else guesses."""

    def __init__(self, client: httpx2.Client) -> None:
        self.email = factories.email()
        self.client = client
        body = {"email": self.email, "password": PASSWORD}
        self.client.post(f"{API}/auth/register", json=body).raise_for_status()
        token = self.client.post(f"{API}/auth/login", json=body).json()["access_token"]
        self.client.headers["Authorization"] = f"Bearer {token}"
        self.item = self.client.post(f"{API}/items", json={"title": "An item"}).json()["id"]

    def flow(self) -> None:
        self.client.get(f"{API}/items/{self.item}").raise_for_status()
        self.client.post(f"{API}/auth/login", json={"email": self.email, "password": "a wrong one"})


def ask(prometheus: Prometheus, query: str) -> list[dict[str, Any]]:
    answer = httpx2.get(f"{prometheus.url}/api/v1/query", params={"query": query}, timeout=30)
    assert answer.status_code == 200, f"{query}: {answer.text}"
    return answer.json()["data"]["result"]


def test_every_query_of_the_dashboard_is_answered_with_data(server: Server, prometheus: Prometheus) -> None:
    panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    queries = {target["expr"].replace("$__rate_interval", "10s") for panel in panels for target in panel["targets"]}
    unanswered = set(queries)
    with server.client() as client:
        traffic = Traffic(client)

        def are_answered() -> bool:
            traffic.flow()
            unanswered.difference_update([query for query in unanswered if has_value(ask(prometheus, query))])
            return not unanswered

        try:
            until_sync(are_answered)
        except TimeoutError:
            pytest.fail(f"no data: {unanswered}")
    assert ask(prometheus, 'sum(rate_limit_refusals_total{limit="login-account"}) > 0')
    assert ask(prometheus, 'sum(login_failures_total{step="password"}) == 2')
    rules = httpx2.get(f"{prometheus.url}/api/v1/rules", timeout=30).json()["data"]["groups"][0]["rules"]
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
    routes = {one["metric"]["route"] for one in ask(prometheus, "http_request_duration_seconds_count")}
    assert f"{API}/items/{{item_id}}" in routes
    assert f"{API}/items/{traffic.item}" not in routes


def test_an_alert_fires_for_the_instance_that_is_away(server: Server, prometheus: Prometheus) -> None:
    def firing() -> list[tuple[str, str]]:
        alerts = httpx2.get(f"{prometheus.url}/api/v1/alerts", timeout=30).json()["data"]["alerts"]
        return [(one["labels"]["alertname"], one["labels"]["instance"]) for one in alerts if one["state"] == "firing"]

    assert until_sync(firing) == [("InstanceDown", NOWHERE)]
    up = {one["metric"]["instance"]: one["value"][1] for one in ask(prometheus, "up")}
    assert up == {server.url.removeprefix("http://"): "1", NOWHERE: "0"}


def has_value(result: list[dict[str, Any]]) -> bool:
    return any(one["value"][1] != "NaN" for one in result)


def test_pools_are_those_of_the_processes_that_are_alive(server: Server) -> None:
    def pools() -> float:
        """Of all processes; 0 while one of them has not told its own."""
        lines = httpx2.get(f"{server.url}/metrics", timeout=60).text.splitlines()
        (value,) = (line.split()[1] for line in lines if line.startswith('db_pool_connections_max{pool="reads"}'))
        return float(value)

    until_sync(lambda: pools() == 2 * POOL_SIZE)
    os.kill(min(descendants(server.process.pid)), signal.SIGKILL)
    until_sync(lambda: pools() == POOL_SIZE)  # until another has started in its place
    until_sync(lambda: pools() == 2 * POOL_SIZE)
