"""What GitHub, pre-commit and editors read: it names what is there, and their own checkers find nothing."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy.engine import make_url

from deploy.cluster import servers
from deploy.cluster.pgbouncer import PgBouncer
from tests import databases, processes
from tests.processes import ROOT

WORKFLOW = ".github/workflows/ci.yml"
DEVCONTAINER = ROOT / ".devcontainer"
MAKEFILE = (ROOT / "Makefile").read_text()


def loaded(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / name).read_text())


GATE = loaded(WORKFLOW)["jobs"]["gate"]


def hosts(environment: dict[str, str]) -> set[str | None]:
    """Of the databases of the tests, each of which has to be there."""
    return {make_url(environment[variable]).host for variable in databases.SERVERS.values()}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("github-workflows", WORKFLOW),
        ("dependabot", ".github/dependabot.yml"),
        ("compose-spec", ".devcontainer/compose.yml"),
    ],
)
def test_its_schema(kind: str, name: str) -> None:
    words = ["check-jsonschema", "--builtin-schema", f"vendor.{kind}", name]
    run = processes.command(*words, folder=ROOT, env=processes.environment())
    assert run.returncode == 0, run.stdout


def test_zizmor_finds_nothing() -> None:
    words = ["zizmor", "--offline", "--no-progress", "--strict-collection", "."]
    run = processes.command(*words, folder=ROOT, env=processes.environment())
    assert run.returncode == 0, run.stdout
    assert all(name in run.stderr for name in ("ci.yml", "dependabot.yml", ".pre-commit-config.yaml")), run.stderr


def test_an_action_is_a_commit_whose_version_is_told() -> None:
    uses = re.findall(r"uses: (.+)", (ROOT / WORKFLOW).read_text())
    assert uses
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use) for use in uses), uses


def test_the_workflow_runs_the_gate_and_may_do_nothing_else() -> None:
    workflow = loaded(WORKFLOW)
    assert workflow["permissions"] == {"contents": "read"}
    assert list(workflow["jobs"]) == ["gate"]
    assert "permissions" not in GATE
    assert GATE["timeout-minutes"] <= 60
    assert GATE["steps"][0]["with"] == {"persist-credentials": False, "fetch-depth": 0}
    scripts = [step["run"] for step in GATE["steps"] if "run" in step]
    assert scripts[-1].splitlines()[-1] == ".ci/run"


def test_the_workflow_has_every_server_of_the_tests() -> None:
    assert hosts(GATE["env"]) <= set(GATE["services"])
    (install,) = [step["run"] for step in GATE["steps"] if "apt-get install" in step.get("run", "")]
    kinds = (servers.MariaDB, servers.Nginx, PgBouncer, servers.PostgreSQL, servers.RabbitMQ, servers.Redis)
    assert {kind.package for kind in kinds} | {"nodejs", "npm"} <= set(install.split())


def test_dependabot_looks_where_something_is() -> None:
    files = {"uv": "uv.lock", "npm": "package-lock.json", "github-actions": WORKFLOW, "docker": "Dockerfile"}
    for update in loaded(".github/dependabot.yml")["updates"]:
        for directory in update.get("directories") or [update["directory"]]:
            folder = ROOT / directory.removeprefix("/")
            name = files.get(update["package-ecosystem"], "*compose.yml")
            assert list(folder.glob(name)), update


def test_the_hooks_are_the_projects_own_tools(tmp_path: Path) -> None:
    (repository,) = loaded(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"  # so that there is one version of each, the locked one
    hooks = {hook["id"]: shlex.split(hook["entry"]) for hook in repository["hooks"]}
    assert hooks.pop("imports")[0].endswith("lint-imports")  # of the whole project
    program, *_, target = hooks.pop("lock")
    assert program == "make"
    assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)

    file = tmp_path / "untidy.py"
    file.write_text('import os\nx:int=""\n')
    (tmp_path / ".venv").symlink_to(processes.BIN.parent)
    for name, words in hooks.items():
        run = subprocess.run([*words, file.name], cwd=tmp_path, text=True, capture_output=True)
        assert run.returncode == (1 if name == "ty" else 0), run.stdout + run.stderr
    assert file.read_text() == 'x: int = ""\n'


def test_the_devcontainer_has_what_it_names() -> None:
    container = json.loads((DEVCONTAINER / "devcontainer.json").read_text())
    services = yaml.safe_load((DEVCONTAINER / container["dockerComposeFile"]).read_text())["services"]
    machine = services[container["service"]]
    assert machine["volumes"] == [f"..:{container['workspaceFolder']}:cached"]
    assert hosts(machine["environment"]) <= set(services) == {*machine["depends_on"], container["service"]}
    made = re.fullmatch(r"make setup tools EXTRAS='([a-z ]+)'", container["postCreateCommand"])
    assert made
    known = re.findall(
        r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text().split("[project.optional-", 1)[1], re.MULTILINE
    )
    assert set(made[1].split()) <= set(known)


def test_npms_packages_are_pinned_and_come_from_nowhere_else() -> None:
    folder = ROOT / "clients" / "typescript"
    package = json.loads((folder / "package.json").read_text())
    versions = package["dependencies"] | package["devDependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions.values())
    locked = json.loads((folder / "package-lock.json").read_text())["packages"]
    assert {name: locked[f"node_modules/{name}"]["version"] for name in versions} == versions
    for name, details in locked.items():
        assert details.get("resolved", "https://registry.npmjs.org/").startswith("https://registry.npmjs.org/"), name
        assert name == "" or details["integrity"].startswith("sha512-"), name
