"""What the project has already: read from its files, so that it is told even when they cannot be imported."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from app.cli.report import Fault
from generator import names
from generator.entity import Entity, Options, parse_entity
from generator.fields import Field

Node = TypeVar("Node", bound=ast.AST)

_COMMAND = re.compile(r"^app add (\w+)\n((?:    \S.*\n)+)", re.MULTILINE)


@dataclass(frozen=True)
class Project:
    root: Path

    @cached_property
    def entities(self) -> list[Entity]:
        """The entities that `app add` made, whatever has become of their files."""
        known: dict[str, Entity] = {}
        waiting = [entity for path in sorted(self.root.glob("app/*/__init__.py")) if (entity := _read(path))]
        while waiting:
            ready = [entity for entity in waiting if self._names(entity) <= known.keys() | {entity.name}]
            if not ready:
                raise Fault(
                    "unknown_entity",
                    f"refers to an entity that is not there. Mend app/{waiting[0].folder}/__init__.py",
                    argument=waiting[0].name,
                    exit_code=1,
                )
            for entity in ready:
                known[entity.name] = self._related(entity, known)
                waiting.remove(entity)
        return list(known.values())

    def _names(self, entity: Entity) -> set[str]:
        """The entities that it names."""
        named = [field.argument for field in entity.fields if field.is_reference and not entity.is_self(field)]
        return {*named, *([entity.options.parent] if entity.options.parent else [])}

    def _related(self, entity: Entity, known: dict[str, Entity]) -> Entity:
        named = [known[f.argument] for f in entity.fields if f.is_reference and not entity.is_self(f)]
        parent = known[entity.options.parent] if entity.options.parent else None
        return replace(entity, parent=parent, targets=tuple(named))

    def find(self, name: str) -> Entity | None:
        """By its class or by what its rows are called: ExampleItem is Item too."""
        exact = [entity for entity in self.entities if entity.name == name]
        by_noun = [entity for entity in self.entities if names.camel(entity.noun) == name]
        return next(iter(exact + by_noun), None)

    def get(self, name: str) -> Entity:
        return self.find(name) or self._unknown(name)

    def dependents(self, entity: Entity) -> list[str]:
        """The entities that stand below it or refer to it."""
        others = [other for other in self.entities if other.name != entity.name]
        return [other.name for other in others if entity.name in [related.name for related in other.related]]

    def check_free(self, entity: Entity) -> None:
        """Raises Fault when a name that the entity needs is taken."""
        if other := next((known for known in self.entities if known.name == entity.name), None):
            raise Fault("already_there", f"is there already, in app/{other.folder}", argument=entity.name)
        for what, where in Taken(self.root).names_of(entity).items():
            if where:
                why = f"its {what} is there already, in {where}; choose another name, or --plural and --route"
                raise Fault("already_there", why, argument=entity.name)

    def complete(self, entity: Entity) -> Entity:
        """The entity with what it names, by the classes' names. Raises Fault where that cannot be."""
        parent = self._parent(entity)
        options = replace(entity.options, parent=parent.name) if parent else entity.options
        entity = replace(entity, parent=parent, options=options)
        targets = {field: self._target(entity, field) for field in entity.fields if field.is_reference}
        fields = tuple(field.to(target.name) if (target := targets.get(field)) else field for field in entity.fields)
        if parent and (taken := next((field for field in fields if field.column == f"{parent.noun}_id"), None)):
            why = f"there is a field {taken.column} already: what stands below {parent.name} has it"
            raise Fault("duplicate_field", why, argument=taken.text)
        return replace(entity, fields=fields, targets=tuple(target for target in targets.values() if target))

    def _parent(self, entity: Entity) -> Entity | None:
        if entity.options.parent is None:
            return None
        argument = f"--parent {entity.options.parent}"
        parent = self.find(entity.options.parent) or self._unknown(argument)
        if parent.parent is not None:
            right = f"stand it below {parent.parent.name}, with a field {parent.noun}:ref({parent.name})"
            raise Fault("parent", f"{parent.name} stands below {parent.parent.name} itself; {right}", argument=argument)
        if entity.is_public and not parent.is_public:
            raise Fault("parent", f"--public-read: {parent.name} is not read by everybody itself", argument=argument)
        return parent

    def _target(self, entity: Entity, field: Field) -> Entity | None:
        """What the reference refers to, or None when it is the entity itself. Raises Fault where that cannot be."""
        if entity.is_self(field):
            if field.is_optional:
                return None
            right = f"{field.name}:ref({entity.name})?"
            raise Fault("reference", f"the first row has none to refer to. Right: {right}", argument=field.text)
        target = self.find(field.argument) or self._unknown(field.text)
        if target.is_superusers and not target.is_public and not entity.is_superusers:
            why = f"{target.name} is seen by superusers only; make it --public-read, or this --superuser-only"
            raise Fault("reference", why, argument=field.text)
        if not field.is_optional and target.is_owned and (target.is_public or entity.is_superusers):
            right = f"{field.name}:ref({target.name})?"
            why = f"deleting a {target.name} would delete what is not theirs; let the field be null. Right: {right}"
            raise Fault("reference", why, argument=field.text)
        if self.leads_to(target, entity):
            raise Fault("reference", f"{target.name} depends on {entity.name} already", argument=field.text)
        return target

    def _unknown(self, argument: str) -> NoReturn:
        there = ", ".join(sorted(entity.name for entity in self.entities)) or "none"
        raise Fault("unknown_entity", f"no entity that app add made. There are: {there}", argument=argument)

    def leads_to(self, start: Entity, end: Entity) -> bool:
        return any(other.name == end.name or self.leads_to(other, end) for other in start.related)


def _read(path: Path) -> Entity | None:
    """The entity whose words stand in a package's docstring."""
    docstring = ast.get_docstring(parse(path), clean=False) or ""
    match = _COMMAND.search(docstring + "\n")
    if match is None:
        return None
    lines = [line.strip() for line in match[2].splitlines()]
    options = dict(_option(line) for line in lines if line.startswith("--"))
    return parse_entity(match[1], [line for line in lines if not line.startswith("--")], Options(**options))


def _option(line: str) -> tuple[str, Any]:
    name, _, value = line.removeprefix("--").partition(" ")
    return name.replace("-", "_"), value or True


@dataclass(frozen=True)
class Taken:
    """The names that the project uses already."""

    root: Path

    def names_of(self, entity: Entity) -> dict[str, str | None]:
        """What the entity needs for itself, and the file that has it."""
        folder = f"app/{entity.folder}"
        return {
            f"class {entity.name}": self._classes.get(entity.name),
            f"table {entity.table}": self._tables.get(entity.table),
            f"path {entity.collection}": self._prefixes.get(entity.collection),
            f"folder {folder}": folder if (self.root / folder).exists() else None,
            f"file {entity.test_file}": entity.test_file if (self.root / entity.test_file).exists() else None,
            f"endpoint create_{entity.noun}": self._endpoints.get(f"create_{entity.noun}"),
            f"endpoint list_{entity.nouns}": self._endpoints.get(f"list_{entity.nouns}"),
        }

    @cached_property
    def _modules(self) -> dict[str, ast.Module]:
        paths = sorted(self.root.glob("app/*/**/*.py"))
        return {path.relative_to(self.root).as_posix(): parse(path) for path in paths}

    @cached_property
    def _classes(self) -> dict[str, str]:
        return {node.name: path for path, node in self._nodes(ast.ClassDef) if path.endswith("models.py")}

    @cached_property
    def _tables(self) -> dict[str, str]:
        return {
            str(node.value.value): path
            for path, node in self._nodes(ast.Assign)
            if ast.unparse(node.targets[0]) == "__tablename__" and isinstance(node.value, ast.Constant)
        }

    @cached_property
    def _prefixes(self) -> dict[str, str]:
        return {
            ast.literal_eval(keyword.value): path
            for path, node in self._nodes(ast.Call)
            for keyword in node.keywords
            if ast.unparse(node.func) == "Router"
            and keyword.arg == "prefix"
            and isinstance(keyword.value, ast.Constant)
        }

    @cached_property
    def _endpoints(self) -> dict[str, str]:
        return {node.name: path for path, node in self._nodes(ast.AsyncFunctionDef) if path.endswith("router.py")}

    def _nodes(self, kind: type[Node]) -> Iterator[tuple[str, Node]]:
        for path, module in self._modules.items():
            for node in ast.walk(module):
                if isinstance(node, kind):
                    yield path, node


def parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"), str(path))
    except SyntaxError as error:
        raise Fault(
            "syntax", f"is not Python: {error.msg} in line {error.lineno}", argument=str(path), exit_code=1
        ) from None
