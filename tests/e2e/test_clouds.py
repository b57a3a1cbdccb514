"""deploy/gcp and deploy/azure: what can be said of them without an account."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml

from deploy.cluster.servers import PostgreSQL, running
from tests import processes
from tests.e2e.deployed import KNOWN, SECRET, must_be_safe
from tests.processes import ROOT

CLOUD_RUN = {"service": "serve", "worker": "worker", "migrate-job": "migrate"}
BICEP = (ROOT / "deploy" / "azure" / "main.bicep").read_text()


def cloud_run(name: str) -> dict[str, Any]:
    """The one container of it."""
    spec = yaml.safe_load((ROOT / "deploy" / "gcp" / f"{name}.yaml").read_text())["spec"]
    while "containers" not in spec:
        spec = spec["template"]["spec"]
    return spec["containers"][0]


@pytest.mark.parametrize("name", CLOUD_RUN)
def test_cloud_run_has_containers_that_kubernetes_would_take(name: str, tmp_path: Path) -> None:
    container = cloud_run(name)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x"},
        "spec": {"containers": [container | {"name": "x"}]},
    }
    (tmp_path / "pod.yaml").write_text(yaml.safe_dump(pod))
    run = processes.command("kubernetes-validate", "--strict", "pod.yaml", folder=tmp_path, env=processes.environment())
    assert run.returncode == 0, run.stdout
    assert [*container["command"], *container.get("args", [])][:2] == ["app", CLOUD_RUN[name]]
    env = container["env"]
    assert {variable["name"] for variable in env} <= KNOWN
    assert SECRET.isdisjoint(variable["name"] for variable in env if "value" in variable)
    plain = {variable["name"]: variable["value"] for variable in env if "value" in variable}
    settings = must_be_safe(plain)
    assert name != "service" or not settings.metrics_enabled  # its front passes /metrics on as everything else


@pytest.mark.skipif(not PostgreSQL.find(), reason="PostgreSQL is not installed")
def test_the_database_is_reached_through_a_socket_as_cloud_sqls(tmp_path: Path) -> None:
    # A short folder: the path of a socket has 107 bytes (unix(7)).
    with running(PostgreSQL) as server, TemporaryDirectory() as sockets:
        (Path(sockets) / "project:region:groundwork").symlink_to(server.folder / "data")
        address = f"postgresql://postgres:secret@/postgres?host={sockets}/project:region:groundwork&port={server.port}"
        run = processes.command("app", "migrate", "--json", folder=tmp_path, env=processes.safe(address))
        assert run.returncode == 0, run.stdout
        assert server.sql("SELECT count(*) FROM users") == "0"


def test_azures_settings_are_known_and_its_secrets_have_no_default() -> None:
    settings = dict(re.findall(r"name: '([A-Z_]+)'\s*,?\s*value: (.+?)(?: }|$)", BICEP, re.MULTILINE))
    own = {name for name in settings if name.startswith("WEBSITES_")}
    assert set(settings) - own <= KNOWN
    assert {"SECRET_KEY", "DATABASE_URL", "REDIS_URL", "FORWARDED_ALLOW_IPS"} <= set(settings)
    assert all("@Microsoft.KeyVault(" in value for name, value in settings.items() if name in SECRET)
    must_be_safe({"FORWARDED_ALLOW_IPS": settings["FORWARDED_ALLOW_IPS"].strip("'")})
    # With its version: without, App Service may start with the secret of a day ago.
    assert len(re.findall(r"SecretUri=\$\{\w+\.\??properties\.\??secretUriWithVersion", BICEP)) == BICEP.count(
        "SecretUri="
    )
    assert settings["METRICS_ENABLED"] == "'false'"
    assert "healthCheckPath: '/health/live'" in BICEP  # an instance that fails it is replaced
    secure = re.findall(r"@secure\(\)\n(?:@.+\n)*param (\w+) string(.*)", BICEP)
    assert secure == [("secretKey", ""), ("secretKeyPrevious", " = ''"), ("databasePassword", "")]
    for name in re.findall(r"^(?:param|var|resource) (\w+)", BICEP, re.MULTILINE):
        assert len(re.findall(rf"\b{name}\b", BICEP)) > 1 or name == "diagnostics", name
