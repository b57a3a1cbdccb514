"""The names that the project has given out already: read from its files, which need not be importable for that."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from app.cli.report import Fault
from generator.entity import Entity

Node = TypeVar("Node", bound=ast.AST)


@dataclass(frozen=True)
class Taken:
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
