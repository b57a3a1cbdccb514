"""Registries: app/api.py, app/models.py and app/tasks.py name every feature, sorted; app/admin.py is sorted, too.

They are read, not imported: they may be what keeps the application from being imported.
"""

import ast
import re
from collections.abc import Iterator, Sequence

from app.cli.checks import Check, Finding
from app.core.db.migrations import ROOT

SORT_IMPORTS = "make format"


class _Unreadable(Exception):
    """A file that cannot be read or parsed."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding


def check() -> Check:
    findings: list[Finding] = []
    for registry in (_admin, _routers, _models, _tasks):
        try:
            findings += registry()
        except _Unreadable as error:
            findings.append(error.finding)
    return Check(
        "app/api.py, app/models.py and app/tasks.py name every feature, and app/admin.py what is there", findings
    )


def _admin() -> Iterator[Finding]:
    """What the admin shows is the project's choice: an entity may be left out."""
    module = _parse("app/admin.py")
    lines = [node for node in module.body if isinstance(node, ast.ImportFrom)]
    there = {
        path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".") for path in (ROOT / "app").rglob("*.py")
    }
    for name in sorted(line.module or "" for line in lines if line.module not in there):
        yield Finding(f"app/admin.py names {name}, which is not there", "take it out of app/admin.py")
    yield from _unsorted("app/admin.py", "imports", [line.module or "" for line in lines], SORT_IMPORTS)
    added = _called_with(module, "add")
    yield from _unsorted("app/admin.py", "admin.add lines", added, "sort them by their names")
    imported = {alias.asname or alias.name for line in lines for alias in line.names}
    for name in sorted({*added} - imported):
        yield Finding(
            f"app/admin.py adds {name}, which it does not import", "import it in app/admin.py, or take it out"
        )


def _routers() -> Iterator[Finding]:
    api, main = _parse("app/api.py"), _parse("app/main.py")
    imported, included = _imported_routers(api), _called_with(api, "include_router")
    elsewhere = {*_imported_routers(main)} & {*_called_with(main, "include_router")}
    features = {path.parent.name for path in (ROOT / "app").glob("*/router.py")} - elsewhere
    for name in sorted(features):
        lines = [] if name in imported else [f"from app.{name}.router import router as {name}"]
        lines += [] if name in included else [f"router.include_router({name})"]
        if lines:
            yield Finding(f"app/api.py lacks {name}", f"add to app/api.py: {'; '.join(lines)}")
    for name in sorted({*imported} - features - elsewhere):
        yield Finding(f"app/api.py names {name}, and there is no app/{name}/router.py", "take it out of app/api.py")
    yield from _unsorted("app/api.py", "imports", imported, SORT_IMPORTS)
    yield from _unsorted("app/api.py", "include_router lines", included, "sort them by their features' names")


def _models() -> Iterator[Finding]:
    files = {path.relative_to(ROOT) for path in (ROOT / "app").glob("*/**/models.py")}
    there = {".".join(path.with_suffix("").parts) for path in files}
    lines = [node for node in _parse("app/models.py").body if isinstance(node, ast.ImportFrom)]
    imported = [line.module or "" for line in lines]
    for module in sorted(there - {*imported}):
        yield Finding(f"app/models.py lacks {module}", f"add to app/models.py: from {module} import its models")
    for module in sorted(name for name in {*imported} - there if name.endswith(".models")):
        yield Finding(f"app/models.py names {module}, which is not there", "take it out of app/models.py")
    yield from _unsorted("app/models.py", "imports", imported, SORT_IMPORTS)


def _tasks() -> Iterator[Finding]:
    there = {path.parent.name for path in (ROOT / "app").glob("*/tasks.py")}
    lines = [ast.unparse(node) for node in _parse("app/tasks.py").body if isinstance(node, ast.ImportFrom)]
    matches = (re.fullmatch(r"from app\.(\w+) import tasks as \1", line) for line in lines)
    imported = [match[1] for match in matches if match]
    for name in sorted(there - {*imported}):
        yield Finding(f"app/tasks.py lacks {name}", f"add to app/tasks.py: from app.{name} import tasks as {name}")
    for name in sorted({*imported} - there):
        yield Finding(f"app/tasks.py names {name}, and there is no app/{name}/tasks.py", "take it out of app/tasks.py")
    yield from _unsorted("app/tasks.py", "imports", imported, SORT_IMPORTS)


def _parse(name: str) -> ast.Module:
    try:
        return ast.parse((ROOT / name).read_bytes(), name)
    except OSError as error:
        raise _Unreadable(Finding(f"{name} cannot be read ({error.strerror})", f"git restore {name}")) from None
    except (SyntaxError, ValueError) as error:  # ValueError: a null byte, before Python 3.12
        line = getattr(error, "lineno", None) or 1
        finding = Finding(f"{name} does not parse: {getattr(error, 'msg', error)}", f"correct line {line} of {name}")
        raise _Unreadable(finding) from None


def _imported_routers(module: ast.Module) -> list[str]:
    """The features of the lines `from app.<feature>.router import router as <feature>`."""
    lines = [ast.unparse(node) for node in module.body if isinstance(node, ast.ImportFrom)]
    matches = (re.fullmatch(r"from app\.(\w+)\.router import router as \1", line) for line in lines)
    return [match[1] for match in matches if match]


def _called_with(module: ast.Module, method: str) -> list[str]:
    """The names that `.<method>(<name>)` is called with."""
    calls = [node for node in ast.walk(module) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    included = [call for call in calls if getattr(call.func, "attr", "") == method and call.args]
    names = [(call.lineno, call.args[0].id) for call in included if isinstance(call.args[0], ast.Name)]
    return [name for _, name in sorted(names)]


def _unsorted(file: str, what: str, names: Sequence[str], mend: str) -> Iterator[Finding]:
    if list(names) != sorted(names, key=_natural):
        yield Finding(f"{file}: the {what} are not sorted", mend)


def _natural(name: str) -> list[list[str | int]]:
    """The order that Ruff gives imports: `item2` before `item10`."""
    parts = (re.split(r"(\d+)", part) for part in name.split("."))
    return [[int(piece) if piece.isdecimal() else piece for piece in pieces] for pieces in parts]
