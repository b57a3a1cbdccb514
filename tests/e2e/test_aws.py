"""deploy/aws: what AWS's own linter says of the stack, and whether it says what the application needs."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml
from botocore import xform_name

from app.cli.serve import SHUTDOWN_TIMEOUT_S
from tests import processes
from tests.e2e.deployed import KNOWN, SECRET, must_be_safe
from tests.e2e.pages import blocks
from tests.processes import ROOT

TEMPLATE = ROOT / "deploy" / "aws" / "groundwork.yml"
PAGE = ROOT / "docs" / "deployment" / "aws.md"


class CloudFormation(yaml.SafeLoader):
    """Its short forms (!Ref and the like) as what stands behind them."""


def _behind(loader: CloudFormation, _: str, node: Any) -> Any:
    return loader.construct_scalar(node) if node.id == "scalar" else loader.construct_sequence(node, deep=True)


CloudFormation.add_multi_constructor("!", _behind)


@pytest.fixture(scope="module")
def stack() -> dict[str, Any]:
    template = yaml.load(TEMPLATE.read_text(), CloudFormation)
    return {name: thing.get("Properties", {}) for name, thing in template["Resources"].items()}


def of(pairs: list[Any]) -> dict[str, Any]:
    """AWS's lists of names (or keys) and values; what has a condition is its second part."""
    plain = [pair[1] if isinstance(pair, list) else pair for pair in pairs]
    return {pair.get("Name", pair.get("Key")): pair.get("Value", pair.get("ValueFrom")) for pair in plain}


def containers(stack: dict[str, Any]) -> list[dict[str, Any]]:
    return [stack[name]["ContainerDefinitions"][0] for name in ("ApiTask", "WorkerTask")]


def test_awss_linter_finds_nothing() -> None:
    run = processes.command("cfn-lint", str(TEMPLATE), folder=ROOT, env=processes.environment())
    assert (run.returncode, run.stdout) == (0, "")


def test_the_tasks_have_settings_that_are_known_and_secrets_that_nobody_sees(
    stack: dict[str, Any],
) -> None:
    for container in containers(stack):
        settings, secrets = of(container["Environment"]), of(container["Secrets"])
        assert set(settings) | set(secrets) <= KNOWN
        assert set(secrets) == SECRET
        assert not SECRET & set(settings)
        assert container["ReadonlyRootFilesystem"] is True
        must_be_safe(settings)
    assert [container["Command"][:2] for container in containers(stack)] == [["app", "serve"], ["app", "worker"]]


def test_a_database_that_is_away_replaces_no_task(stack: dict[str, Any]) -> None:
    """ECS does that to each task that the balancer calls unhealthy, and a new one cannot start then."""
    assert stack["Targets"]["HealthCheckPath"] == "/health/live"


def test_a_task_has_the_time_to_end(stack: dict[str, Any]) -> None:
    api, worker = containers(stack)
    settings = of(api["Environment"])
    drain = int(settings["DRAIN_SECONDS"])
    assert drain >= 10
    assert api["StopTimeout"] > drain + SHUTDOWN_TIMEOUT_S
    assert worker["StopTimeout"] >= 90
    idle = of(stack["Balancer"]["LoadBalancerAttributes"])["idle_timeout.timeout_seconds"]
    assert int(settings["KEEP_ALIVE_SECONDS"]) > int(idle)


def test_only_the_balancer_is_open_to_the_world(stack: dict[str, Any]) -> None:
    groups = {name: thing["SecurityGroupIngress"] for name, thing in stack.items() if "SecurityGroupIngress" in thing}
    assert [name for name, rules in groups.items() if "0.0.0.0/0" in json.dumps(rules)] == ["BalancerGroup"]
    assert {rule["SourceSecurityGroupId"] for rule in groups["DataGroup"]} == {"TaskGroup"}
    assert (stack["Database"]["PubliclyAccessible"], stack["Database"]["StorageEncrypted"]) == (False, True)
    assert (stack["Redis"]["TransitEncryptionEnabled"], "AuthToken" in stack["Redis"]) == (True, True)
    networks = [stack[name]["NetworkConfiguration"]["AwsvpcConfiguration"] for name in ("Api", "Worker")]
    assert all(network["AssignPublicIp"] == "DISABLED" for network in networks)
    assert all(
        stack[name]["DeploymentConfiguration"]["DeploymentCircuitBreaker"]["Rollback"] for name in ("Api", "Worker")
    )


def test_a_deployment_leaves_the_number_of_tasks_to_the_scaling(stack: dict[str, Any]) -> None:
    assert "DesiredCount" not in stack["Api"]
    assert (stack["Scaling"]["MinCapacity"], stack["Scaling"]["MaxCapacity"]) == ("LeastTasks", "MostTasks")


OF_THE_CLIENT = {"cli-input-json", "output", "query"}
ITS_OWN = {("cloudformation", "deploy"), ("configure", "get"), ("ecr", "get-login-password"), ("ecs", "wait")}


def test_its_commands_and_their_options_are_those_of_aws() -> None:
    """As the models of the services name them, from which the client makes its commands."""
    session = botocore.session.get_session()
    tried = set()
    written = [*blocks("docs/deployment/aws.md", "bash"), *re.findall(r"`(aws [^`]+)`", PAGE.read_text())]
    script = re.sub(r"\\\n|'[^']*'", " ", "\n".join(written))
    for service, operation, rest in re.findall(r"\baws ([a-z]+) ([a-z-]+)([^\n;|)]*)", script):
        if (service, operation) in ITS_OWN:
            continue
        model = session.get_service_model(service)
        named = {xform_name(name, "-"): name for name in model.operation_names}
        assert operation in named
        shape = model.operation_model(named[operation]).input_shape
        known = {xform_name(name, "-") for name in shape.members} if shape else set()
        assert set(re.findall(r" --([a-z-]+)", rest)) <= known | OF_THE_CLIENT, f"{service} {operation}"
        tried.add(operation)
    assert {"run-task", "put-secret-value", "modify-db-instance", "describe-stacks"} <= tried


def test_what_the_commands_take_is_what_the_stack_says(tmp_path: Path) -> None:
    outputs = yaml.load(TEMPLATE.read_text(), CloudFormation)["Outputs"]
    assert set(re.findall(r"\$([A-Z][a-z]\w+)", PAGE.read_text())) == set(outputs)
    aws = tmp_path / "aws"
    aws.write_text("#!/bin/sh\nprintf 'Cluster\\tgroundwork-1\\nTasks\\tawsvpcConfiguration={subnets=[a,b]}\\n'\n")
    aws.chmod(0o755)
    (script,) = (script for script in blocks("docs/deployment/aws.md", "bash") if "describe-stacks" in script)
    env = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    words = ["bash", "-euc", script + 'echo "$Cluster $Tasks"']
    run = subprocess.run(words, env=env, text=True, capture_output=True)
    assert (run.stdout, run.stderr) == ("groundwork-1 awsvpcConfiguration={subnets=[a,b]}\n", "")


def test_a_password_takes_the_others_place_in_an_address() -> None:
    (line,) = re.findall(r"\$\((sed .+?)\)\"", PAGE.read_text())
    for url, changed in [
        ("postgresql://groundwork:old@h:5432/groundwork?x=y", "postgresql://groundwork:new@h:5432/groundwork?x=y"),
        ("rediss://:old@h:6379/0", "rediss://:new@h:6379/0"),
    ]:
        run = subprocess.run(["bash", "-c", line], env={"URL": url, "PASSWORD": "new"}, text=True, capture_output=True)
        assert run.stdout == f"{changed}\n"
