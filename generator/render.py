"""The files of an entity: templates, the imports that they use, and ruff's hand."""

import ast
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from app.cli.report import Fault
from generator import names
from generator.columns import Column, columns_of
from generator.entity import Entity

TEMPLATES = Path(__file__).parent / "templates"
MODULES = ("__init__", "models", "schemas", "dependencies", "router")

# Where each name of the generated code comes from.
_SOURCES = {
    "collections.abc": "Sequence",
    "datetime": "UTC date datetime",
    "decimal": "Decimal",
    "typing": "Annotated Any Literal",
    "uuid": "UUID",
    "fastapi": "Depends Query",
    "pydantic": "Field StrictBool",
    "pytest": "",
    "sqlalchemy": "BigInteger Double ForeignKey Index JSON String false true",
    "sqlalchemy.orm": "Mapped mapped_column",
    "app.auth.dependencies": "CurrentUser Superuser",
    "app.core.columns": "ExactDecimal LongText",
    "app.core.database": "Base DbSession ReadSession Row",
    "app.core.ownership": "Entity Owned lock_row read_row require_owner require_visible visible_to",
    "app.core.pagination": "ListQuery OwnedQuery Page",
    "app.core.policy": "public",
    "app.core.routing": "IfMatch Router",
    "app.core.schemas": "Email Int32 Int64 Json RequestSchema RowSchema Url UtcDatetime places reference unchanged",
    "tests.factories": "Actor",
    "tests.rows": "row",
}
_IMPORTS = {name: f"from {module} import {name}" for module, all_ in _SOURCES.items() for name in all_.split()}
_IMPORTS |= {"sql": "from sqlalchemy import text as sql", "pytest": "import pytest"}


def files(entity: Entity, root: Path) -> dict[str, str]:
    """Paths below the root and their text."""
    texts = {f"app/{entity.folder}/{module}.py": _module(entity, module) for module in MODULES}
    texts[entity.test_file] = _module(entity, "tests")
    return {path: formatted(text, path, root) for path, text in texts.items()}


def _module(entity: Entity, name: str) -> str:
    body = _templates().get_template(f"{name}.py.jinja").render(_context(entity))
    return with_imports(body, _imports(entity))


def with_imports(body: str, imports: dict[str, str]) -> str:
    """The module with the imports of the names that it uses, after its docstring."""
    module = ast.parse(body)
    made = {node.id for node in ast.walk(module) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    used = {node.id for node in ast.walk(module) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    made |= {node.name for node in ast.walk(module) if isinstance(node, ast.ClassDef)}
    lines = sorted({imports[name] for name in used - made if name in imports})
    end = module.body[0].end_lineno or 1
    text = body.splitlines(keepends=True)
    return "".join([*text[:end], "\n", *(f"{line}\n" for line in lines), "\n", *text[end:]])


def _imports(entity: Entity) -> dict[str, str]:
    own, parent = f"app.{entity.folder}", entity.parent
    classes = [f"{entity.name}{kind}" for kind in ("Create", "Query", "Response", "Update")]
    others = {target.name: target for _, target in entity.references if target.name != entity.name}
    return (
        _IMPORTS
        | {other.name: f"from app.{other.folder}.models import {other.name}" for other in others.values()}
        | {entity.name: f"from {own}.models import {entity.name}"}
        | {name: f"from {own}.schemas import {name}" for name in classes}
        | {name: f"from {own}.dependencies import {name}" for name in (entity.row_alias, entity.locked_alias)}
        | ({parent.row_alias: f"from app.{parent.folder}.dependencies import {parent.row_alias}"} if parent else {})
    )


def _context(e: Entity) -> dict[str, Any]:
    columns = columns_of(e)
    own = [column for column in columns if not column.is_parent]
    noun = e.noun.replace("_", " ")
    return {
        "e": e,
        "columns": columns,
        "own": own,
        "noun": noun,
        "nouns": e.nouns.replace("_", " "),
        "a_noun": names.article(noun),
        "unique": [[*(["user_id"] if e.is_owned else []), column.name] for column in own if column.is_unique],
        "sortable": ["id", *(column.name for column in own if column.is_sorted), "created_at", "updated_at"],
        "searchable": [column.name for column in own if column.is_searched],
        **_parent_context(e),
        **_endpoint_context(e),
        **_test_context(e, own),
    }


def _parent_context(e: Entity) -> dict[str, Any]:
    if e.parent is None:
        return {"id_parameters": f"{e.noun}_id: int", "below": "", "list_below": ""}
    column = f"{e.parent.noun}_id"
    return {
        "parent_nouns": e.parent.nouns.replace("_", " "),
        "a_parent": names.article(e.parent.noun.replace("_", " ")),
        "id_parameters": f"{column}: int, {e.noun}_id: int",
        "below": f", {column}={column}",
        "list_below": f".where({e.name}.{column} == {e.parent.noun}.id)",
    }


def _endpoint_context(e: Entity) -> dict[str, Any]:
    by_target: dict[str, list[str]] = {}
    for field, target in e.references:
        by_target.setdefault(target.name, []).append(f"{field.column}=body.{field.column}")
    caller = f"user: {'CurrentUser' if e.is_owned else 'Superuser'}"
    unnamed = [] if e.is_owned else ["_: Superuser"]
    parent = [f"{e.parent.noun}: {e.parent.row_alias}"] if e.parent else []
    # Everybody may have a parent that everybody may read; what stands below it is its owner's.
    requires_owner = e.parent is not None and e.is_owned and e.parent.is_public
    names_user = bool(by_target) or requires_owner or (e.is_owned and not e.parent)
    owner = (f"user_id={e.parent.noun}.user_id" if e.parent else "user_id=user.id") if e.is_owned else ""
    below = f"{e.parent.noun}_id={e.parent.noun}.id" if e.parent else ""
    reading = [] if e.is_public else [caller]
    return {
        "caller": caller,
        "locked": "owned" if e.is_owned else "locked",
        "create_requires_owner": requires_owner,
        "list_requires_owner": requires_owner and not e.is_public,
        "references": [
            f"await require_visible(db, user, {name}, {', '.join(columns)})" for name, columns in by_target.items()
        ],
        "created_with": "".join(f"{part}, " for part in (owner, below) if part),
        "create_parameters": [
            *parent, f"body: {e.name}Create", *([caller] if names_user else unnamed), "db: DbSession"
        ],
        "list_parameters": [
            *parent, f"query: Annotated[{e.name}Query, Query()]", *reading, "read: ReadSession", "page: Page"
        ],
        "update_parameters": [
            f"{e.noun}: {e.locked_alias}", f"body: {e.name}Update", *([caller] if by_target else []), "db: DbSession"
        ],
    }  # fmt: skip


def _test_context(e: Entity, own: list[Column]) -> dict[str, Any]:
    actor = "user" if e.is_owned else "superuser"
    url = e.nouns.upper()
    column = f"{e.parent.noun}_id" if e.parent else ""
    same = f'{column}=first["{column}"], ' if e.parent else ""
    varying = [column for column in own if len(column.samples) > 1]
    return {
        "actor": actor,
        "url": url,
        "a_test_noun": names.article(e.noun.replace("_", " ")).replace(" ", "_"),
        "row_url": f"{{{url}.format(**{e.noun})}}/{{{e.noun}['id']}}" if e.parent else f"{{{url}}}/{{{e.noun}['id']}}",
        "second_url": f"{{{url}.format(**second)}}/{{second['id']}}" if e.parent else f"{{{url}}}/{{second['id']}}",
        "collection_url": f"{url}.format(**first)" if e.parent else url,
        "changed": next((column for column in own if column.samples), None),
        "filtered": [column for column in varying if column.is_filter and not column.is_float],
        "same_parent": same,
    }


@cache
def _templates() -> Any:
    try:
        import jinja2
    except ModuleNotFoundError:
        raise _missing("jinja2") from None
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - it is Python that is written
    )
    environment.filters["quoted"] = lambda text: f'"{text}"'
    return environment


def formatted(text: str, path: str, root: Path) -> str:
    """The text as `make format` leaves it at this path."""
    sorted_ = _ruff(["check", "--select", "I,RUF100", "--fix", "--quiet", "--stdin-filename", path, "-"], text, root)
    return _ruff(["format", "--quiet", "--stdin-filename", path, "-"], sorted_, root)


def _ruff(words: list[str], text: str, root: Path) -> str:
    beside_python = Path(sys.executable).with_name("ruff")
    program = str(beside_python) if beside_python.exists() else shutil.which("ruff")
    if program is None:
        raise _missing("ruff")
    run = subprocess.run([program, *words], input=text, cwd=root, text=True, capture_output=True)  # noqa: S603, PLW1510
    if run.returncode != 0:
        raise Fault("format", f"ruff refuses the code: {run.stderr.strip().splitlines()[0]}", exit_code=1)
    return run.stdout


def _missing(tool: str) -> Fault:
    right = "make setup, or pip install jinja2 ruff"
    return Fault("missing_tool", f"{tool} is not installed. Right: {right}", exit_code=1)
