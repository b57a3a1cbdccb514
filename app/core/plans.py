"""What SQLAlchemy worked out about a read when it ran it first, to run it again without working it out anew.

The text, how values become the driver's and how the driver's become ours are SQLAlchemy's own: only the way there is
shorter (a GET of one row costs a quarter).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import nsmallest
from types import SimpleNamespace
from typing import Any

from sqlalchemy import CursorResult, Select
from sqlalchemy.sql.elements import BindParameter

Process = Callable[[Any], Any] | None
AnySelect = Select[*tuple[Any, ...]]

MAX_PLANS = 500  # as many as SQLAlchemy keeps; a list has one for each set of filters and each order


class Row(SimpleNamespace):
    """What a `ReadSession` gives: a row's columns as attributes, for reading only."""


class Plan:
    used_at = 0  # counted in uses of the engine's plans

    def __init__(self, result: CursorResult[Any]) -> None:
        """Of a read that SQLAlchemy has just run."""
        context: Any = result.context
        compiled = context.compiled
        self.sql: str = context.statement
        self._compiled = compiled
        processors: dict[str, Process] = compiled._bind_processors  # noqa: SLF001
        self._binds: list[tuple[str, Process]] = [(name, processors.get(name)) for name in compiled.positiontup or ()]
        self._constants = _constants(context)
        self._names = tuple(result.keys())
        metadata: Any = result._metadata  # noqa: SLF001
        self._processes = [(index, one) for index, one in enumerate(metadata._processors) if one is not None]  # noqa: SLF001

    def parameters(self, values: Mapping[str, Any], extracted: Sequence[BindParameter[Any]] | None) -> list[Any]:
        """In the statement's order: `values` of one that is built once, else those that stand in it.

        Raises where one is left out, or is none of its type.
        """
        if extracted is None:
            found = {**self._constants, **values}
        else:
            found = self._compiled.construct_params(extracted_parameters=extracted)
        return [found[name] if process is None else process(found[name]) for name, process in self._binds]

    def rows(self, records: Iterable[Iterable[Any]]) -> list[Row]:
        names = self._names
        if not self._processes:
            return [Row(**dict(zip(names, record, strict=True))) for record in records]
        rows = []
        for record in records:
            values = list(record)
            for index, process in self._processes:
                values[index] = process(values[index])
            rows.append(Row(**dict(zip(names, values, strict=True))))
        return rows


def _constants(context: Any) -> dict[str, Any]:
    """What stands in the statement itself: what SQLAlchemy compiled may be another's, of the same form.

    A value that each read has to bring is none of them.
    """
    compiled = context.compiled
    key = context.invoked_statement._generate_cache_key()  # noqa: SLF001
    found = compiled.construct_params(extracted_parameters=key.bindparams if key else None, _check=False)
    brought = {name for bind, name in compiled.bind_names.items() if bind.required}
    return {name: value for name, value in found.items() if name not in brought}


class Plans:
    """Those of one engine. Where there are too many, those go that were not asked for lately."""

    def __init__(self) -> None:
        self._plans: dict[Any, Plan] = {}
        self._uses = 0

    def name_of(
        self, statement: AnySelect, values: Mapping[str, Any]
    ) -> tuple[Any, Sequence[BindParameter[Any]] | None]:
        """The name of a statement's plan, None where it has none, and the values that stand in the statement.

        A statement that is built once for all requests takes its values beside it, and is its plan's name itself.
        """
        if values:
            return statement, None
        key = statement._generate_cache_key()  # noqa: SLF001 - as SQLAlchemy's own examples of caching do
        return (key.key, key.bindparams) if key else (None, None)

    def get(self, name: Any) -> Plan | None:
        plan = self._plans.get(name)
        if plan is not None:
            plan.used_at = self._uses = self._uses + 1
        return plan

    def learn(self, name: Any, result: CursorResult[Any]) -> None:
        """Nothing of a statement whose text depends on its values, an IN of so many."""
        compiled: Any = getattr(result.context, "compiled", None)
        if compiled is None or compiled.post_compile_params or compiled.literal_execute_params:
            return
        if name is None or name in self._plans:
            return
        if len(self._plans) >= MAX_PLANS:
            for unused in nsmallest(MAX_PLANS // 10, self._plans, key=lambda one: self._plans[one].used_at):
                del self._plans[unused]
        plan = self._plans[name] = Plan(result)
        plan.used_at = self._uses
