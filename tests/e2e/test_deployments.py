"""The pages of docs/deployment: each says the same things of its own place, and the overview leads to each."""

import re
import subprocess

import pytest

from tests.e2e.pages import blocks
from tests.processes import ROOT

FOLDER = ROOT / "docs" / "deployment"
PAGES = sorted(path.name for path in FOLDER.glob("*.md"))
SECTIONS = ["Cost", "Commands", "Roll back", "Rotate secrets", "Back up and restore", "Unchecked"]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_what_every_page_says(page: str) -> None:
    text = (FOLDER / page).read_text()
    titles, bodies = re.findall(r"^## (.+)$", text, re.MULTILINE), re.split(r"^## .+$", text, flags=re.MULTILINE)[1:]
    assert titles == SECTIONS
    assert all(len(body.split()) > 10 for body in bodies)
    assert re.search(r"\(\w+\s20\d\d;\s+approximate,\s+unverified", bodies[0])
    assert re.search(r"```bash\n", bodies[1])


@pytest.mark.parametrize("page", PAGES)
def test_what_its_commands_name_is_there(page: str) -> None:
    """The files and folders of deploy/, also in blocks that no test can run."""
    for name in re.findall(r"\bdeploy/[\w/.-]*\w", (FOLDER / page).read_text()):
        assert list(ROOT.glob(f"{name}*")), name


@pytest.mark.parametrize("page", PAGES)
def test_its_commands_are_bash(page: str) -> None:
    """Whole at least: what they are told to is a cloud's."""
    script = "".join(blocks(f"docs/deployment/{page}", "bash"))
    run = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True)
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize("page", PAGES)
def test_its_commands_say_where_each_variable_comes_from(page: str) -> None:
    script = "".join(blocks(f"docs/deployment/{page}", "bash"))
    used = set(re.findall(r"\$\{?([A-Z][A-Z_]*)\b", script))
    assert used <= set(re.findall(r"\b([A-Z][A-Z_]*)=", script))


def test_the_overview_leads_to_each() -> None:
    rows = re.findall(r"^\| \[.+?\]\(deployment/(.+?)\)", (ROOT / "docs" / "DEPLOYMENT.md").read_text(), re.MULTILINE)
    assert sorted(rows) == PAGES
    assert len(PAGES) >= 7
