"""The table of `make mutate` is about the code as it is. What the tests notice is `make mutate`'s to say."""

import ast
from collections import Counter
from functools import cache

import pytest

from tests import processes
from tests.mutations import DEFENCES
from tests.mutations.defence import Defence


@cache
def functions(file: str) -> set[str]:
    tree = ast.parse((processes.ROOT / file).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("defence", DEFENCES, ids=str)
def test_a_defence_is_in_its_file_once_and_its_tests_are_there(defence: Defence) -> None:
    code = (processes.ROOT / defence.file).read_text()
    assert code.count(defence.text) == 1
    if defence.file.endswith(".py"):
        ast.parse(code.replace(defence.text, defence.without))
    for test in defence.tests:
        file, _, name = test.partition("::")
        assert name in functions(file), test


def test_each_defence_has_a_name_of_its_own() -> None:
    assert len(DEFENCES) >= 30
    assert [name for name, count in Counter(map(str, DEFENCES)).items() if count > 1] == []
