"""deploy/kubernetes: what it says is what Kubernetes knows and the application needs. No cluster runs it here."""

import ipaddress
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.cli.serve import SHUTDOWN_TIMEOUT_S
from app.health.readiness import TIMEOUT_S
from tests import processes
from tests.e2e.deployed import must_be_safe
from tests.processes import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
OBJECTS: list[dict[str, Any]] = [
    thing for name in KUSTOMIZATION["resources"] for thing in yaml.safe_load_all((FOLDER / name).read_text())
]
SETTINGS = next(thing["data"] for thing in OBJECTS if thing["kind"] == "ConfigMap")
OURS = ["api", "migrate", "worker"]


def one(kind: str, name: str) -> dict[str, Any]:
    return next(thing for thing in OBJECTS if (thing["kind"], thing["metadata"]["name"]) == (kind, name))


def pods() -> dict[str, dict[str, Any]]:
    return {
        thing["metadata"]["name"]: thing["spec"]["template"]["spec"] for thing in OBJECTS if "template" in str(thing)
    }


def validated(*files: str) -> str:
    """What is wrong with them."""
    words = ["kubernetes-validate", "--strict", "--quiet", *files]
    run = processes.command(*words, folder=ROOT, env=processes.environment())
    return run.stdout + run.stderr if run.returncode else ""


def test_every_manifest_is_one_of_the_kustomization_and_is_what_kubernetes_knows(tmp_path: Path) -> None:
    assert {path.name for path in FOLDER.iterdir()} - {"kustomization.yaml"} == set(KUSTOMIZATION["resources"])
    assert validated(*(str(FOLDER / name) for name in KUSTOMIZATION["resources"])) == ""
    misspelt = tmp_path / "api.yaml"
    misspelt.write_text((FOLDER / "api.yaml").read_text().replace("readOnlyRootFilesystem", "readonlyRootFilesystem"))
    assert "readonlyRootFilesystem" in validated(str(misspelt))


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")
def test_kubectl_renders_it(tmp_path: Path) -> None:
    run = subprocess.run(["kubectl", "kustomize", FOLDER], text=True, capture_output=True)
    assert (run.returncode, run.stderr) == (0, "")
    rendered = list(yaml.safe_load_all(run.stdout))
    assert len(rendered) == len(OBJECTS)
    assert all(thing["metadata"].get("namespace") == "groundwork" for thing in rendered if thing["kind"] != "Namespace")
    (tmp_path / "rendered.yaml").write_text(run.stdout)
    assert validated(str(tmp_path / "rendered.yaml")) == ""


def test_its_settings_are_known_and_safe() -> None:
    must_be_safe(SETTINGS)
    assert not any(word in name for name in SETTINGS for word in ("SECRET", "DATABASE", "REDIS", "BROKER", "SMTP"))
    assert ipaddress.ip_network(SETTINGS["FORWARDED_ALLOW_IPS"]).is_private


@pytest.mark.parametrize("name", [*OURS, "redis"])
def test_a_pod_may_nothing_that_it_does_not_need(name: str) -> None:
    pod = pods()[name]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    forbidden = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert container["securityContext"] == forbidden
    assert "memory" in container["resources"]["limits"]
    if name in OURS:
        assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
        assert [next(iter(source)) for source in container["envFrom"]] == ["configMapRef", "secretRef"]
        assert container["args"][:2] in (["app", "serve"], ["app", "worker"], ["app", "migrate"])


def test_probes_ask_what_answers_them() -> None:
    (api,) = pods()["api"]["containers"]
    paths = {kind: api[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}
    assert paths == {"startup": "/health/live", "readiness": "/health/ready", "liveness": "/health/live"}
    assert api["readinessProbe"]["timeoutSeconds"] > TIMEOUT_S
    hosts = [rule["host"] for rule in one("Ingress", "api")["spec"]["rules"]]
    assert SETTINGS["ALLOWED_HOSTS"].split(",") == hosts


def test_a_pod_has_the_time_to_end() -> None:
    """It drains for longer than it takes to notice that it does."""
    api, drain = pods()["api"], int(SETTINGS["DRAIN_SECONDS"])
    probe = api["containers"][0]["readinessProbe"]
    assert drain > probe["periodSeconds"] * probe["failureThreshold"] + 1
    assert api["terminationGracePeriodSeconds"] > drain + SHUTDOWN_TIMEOUT_S
    assert pods()["worker"]["terminationGracePeriodSeconds"] >= 90


def test_what_selects_pods_finds_them() -> None:
    names = {"app.kubernetes.io/name": "api"}
    assert one("Deployment", "api")["spec"]["template"]["metadata"]["labels"] == names
    assert one("Service", "api")["spec"]["selector"] == names
    for kind in ("PodDisruptionBudget", "NetworkPolicy"):
        thing = one(kind, "api")["spec"]
        assert thing.get("selector", thing.get("podSelector")) == {"matchLabels": names}
    assert one("HorizontalPodAutoscaler", "api")["spec"]["scaleTargetRef"]["name"] == "api"
    assert one("NetworkPolicy", "nobody")["spec"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    solver = one("NetworkPolicy", "certificates")["spec"]  # cert-manager's pods are in this namespace, and not ours
    assert solver["podSelector"] == {"matchLabels": {"acme.cert-manager.io/http01-solver": "true"}}
    (metrics, rest) = one("Ingress", "api")["spec"]["rules"][0]["http"]["paths"]
    assert (metrics["path"], metrics["backend"]["service"]["name"]) == ("/metrics", "nothing")
    assert rest["backend"]["service"]["name"] == "api"
