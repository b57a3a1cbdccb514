"""The lines of a feature in the registries: put in where they sort, taken out, nothing else touched."""

import ast
import re

from app.cli.report import Fault
from generator.entity import Entity
from generator.tree import Change

ADMIN = "app/admin.py"
API = "app/api.py"
MODELS = "app/models.py"

_ROUTER = re.compile(r"from (app\.\w+)\.router import router as \w+")
_INCLUDE = re.compile(r"router\.include_router\((\w+)\)")
_MODEL = re.compile(r"from (app\.[\w.]+) import [\w, ]+")
_ADDED = re.compile(r"admin\.add\((\w+)\)")


def _lines(entity: Entity) -> list[tuple[str, re.Pattern[str], str]]:
    model = f"from app.{entity.folder}.models import {entity.name}"
    return [
        (ADMIN, _MODEL, model),
        (ADMIN, _ADDED, f"admin.add({entity.name})"),
        (API, _ROUTER, f"from app.{entity.folder}.router import router as {entity.folder}"),
        (API, _INCLUDE, f"router.include_router({entity.folder})"),
        (MODELS, _MODEL, model),
    ]


def register(change: Change, entity: Entity) -> None:
    """Raises Fault when a registry has no line to sort the new one among."""
    for path, pattern, line in _lines(entity):
        change.write(path, _inserted(_read(change, path), pattern, line, path))


def unregister(change: Change, entity: Entity) -> None:
    """Raises Fault when a line is not there as it was put in; what the admin shows is the project's own choice."""
    change.write(ADMIN, _not_shown(_read(change, ADMIN), f"app.{entity.folder}."))
    for path, _, line in _lines(entity):
        if path == ADMIN:
            continue
        lines = _read(change, path).splitlines(keepends=True)
        if f"{line}\n" not in lines:
            raise Fault("changed_by_hand", f"has no line: {line}", argument=path)
        lines.remove(f"{line}\n")
        change.write(path, "".join(lines))


def _read(change: Change, path: str) -> str:
    text = change.current(path)
    if text is None:
        raise Fault("registry", "is not there", argument=path, exit_code=1)
    try:
        compile(text, path, "exec")
    except SyntaxError as error:
        why = f"is not Python: {error.msg} in line {error.lineno}"
        raise Fault("syntax", why, argument=path, exit_code=1) from None
    return text


def _not_shown(text: str, package: str) -> str:
    """The admin's registry without the models and views of a package."""
    tree = ast.parse(text)
    own = [node for node in tree.body if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(package)]
    names = "|".join(re.escape(alias.asname or alias.name) for node in own for alias in node.names)
    gone = {number for node in own for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    lines = text.splitlines(keepends=True)
    kept = [line for number, line in enumerate(lines, 1) if number not in gone]
    return "".join(line for line in kept if not names or not re.match(rf"admin\.add\(({names})\)", line))


def _inserted(text: str, pattern: re.Pattern[str], line: str, path: str) -> str:
    lines = text.splitlines(keepends=True)
    keys = {number: match[1] for number, old in enumerate(lines) if (match := pattern.fullmatch(old.strip()))}
    own = pattern.fullmatch(line)
    if not keys or own is None:
        raise Fault("registry", f"has no line like {line} to sort the new one among", argument=path, exit_code=1)
    lines[-1] = lines[-1].rstrip("\n") + "\n"
    before = [number for number, key in keys.items() if _order(key) < _order(own[1])]
    lines.insert(before[-1] + 1 if before else min(keys), f"{line}\n")
    return "".join(lines)


def _order(name: str) -> list[tuple[int, str]]:
    """As ruff sorts modules: item2 before item10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
