"""What docs/ADMIN.md shows is written into a project and looked at."""

import subprocess
import sys
from pathlib import Path

from tests.clones import Clone
from tests.e2e.pages import blocks
from tests.factories import SECRET

LOOK = """
import asyncio
from tests import factories
from tests.admin_pages import visitor
from app.main import create_app

async def look():
    app = create_app()
    async with app.router.lifespan_context(app):
        superuser = await factories.superuser(app)
        row = (await superuser.http.post("/api/v1/todos", json={"title": "Look here"})).json()
        admin = await visitor(superuser)
        print((await admin.get("/admin/todo/list")).text)
        print((await admin.delete("/admin/todo/delete", row["id"])).status_code)

asyncio.run(look())
"""


def renamed(code: str) -> str:
    """Under a name that no project has."""
    return code.replace("Todo", "Quokka").replace("todo", "quokka")


def test_a_view_of_ones_own(tmp_path: Path) -> None:
    line, view, registry = (renamed(code) for code in blocks("docs/ADMIN.md", "python"))
    quick = {"ENVIRONMENT": "test", "SECRET_KEY": SECRET, "BCRYPT_ROUNDS": "4", "RATE_LIMIT_ENABLED": "false"}
    clone = Clone.make(tmp_path / "clone", **quick)
    assert clone.app("add", "Quokka", "title:str(200)", "notes:text?", "done:bool=false")["ok"]
    written = clone.folder / "app" / "admin.py"
    added = line.splitlines()[1]
    assert written.read_text().count(f"{added}\n") == 1
    head, _, code = view.partition("\n")
    (clone.folder / head.removeprefix("# ")).write_text(code)
    lines = [line for line in registry.splitlines()[1:] if line]
    model = "from app.quokkas.models import Quokka\n"
    written.write_text(written.read_text().replace(model, f"{lines[0]}\n").replace(f"{added}\n", f"{lines[1]}\n"))
    clone.ok("ruff", "check", "--fix", "--quiet", "--no-cache", "app/admin.py")
    clone.check()
    run = subprocess.run(
        [sys.executable, "-c", renamed(LOOK)], cwd=clone.folder, env=clone.env, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert "Is it done?" in run.stdout
    assert "Look here" in run.stdout
    assert "Updated at" not in run.stdout
    assert run.stdout.splitlines()[-1] == "403"
