"""What a remembered value is made of, and what a change makes forgotten.

`example_items` is everybody's rows and `example_items:7` those of user 7. What a user sees of their own is made of
both, what everybody may see of the first alone. A row that is flushed renews its owner's group; what is changed by a
statement, or by the database itself when what it hangs on is deleted, renews everybody's.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

from app.core.db.changes import Change
from app.core.policy import Caller

Owned = str | type[Any]


def groups_of(caller: Caller | None, sources: Sequence[Owned]) -> tuple[str, ...] | None:
    """The groups of what the caller sees of the sources, or None when it is not to be remembered.

    Raises:
        ValueError: an entity whose changes are not noted.
    """
    groups: list[str] = []
    for source in sources:
        if isinstance(source, str):
            if source in models_by_table():
                raise ValueError(f'"{source}" is a table: give the model, which says how long it is cached_for')
            groups += [source, f"{source}:{caller.id if caller else 'anybody'}"]
            continue
        if not source.cached_for:
            raise ValueError(f"{source.__name__} is not cached. Right: cached_for = 30  # seconds, in its model")
        groups.append(source.__tablename__)
        if not source.public_read:
            if caller is None or caller.is_superuser:
                return None
            groups.append(f"{source.__tablename__}:{caller.id}")
    return tuple(groups)


def groups_to_renew(changes: Iterable[Change]) -> set[str]:
    return {group for change in changes for group in _renewed(change)}


def everybodys(group: str) -> str:
    return group.partition(":")[0]


def _renewed(change: Change) -> Iterator[str]:
    models = models_by_table()
    if change.table is None:
        yield from (table for table, model in models.items() if _is_cached(model))
        return
    model = models.get(change.table)
    if model is None or _is_cached(model):
        is_everybodys = change.owner is None or (model is not None and model.public_read)
        yield change.table if is_everybodys else f"{change.table}:{change.owner}"
    if change.kind == "delete":
        yield from (table for table in _hanging_on(change.table) if _is_cached(models.get(table)))


def _is_cached(model: Any) -> bool:
    return bool(getattr(model, "cached_for", None))


@cache
def models_by_table() -> dict[str, Any]:
    from app.core.database import Base

    return {mapper.class_.__tablename__: mapper.class_ for mapper in Base.registry.mappers}


@cache
def _hanging_on(table: str) -> frozenset[str]:
    """The tables whose rows the database deletes or changes by itself when a row of this one is deleted."""
    from app.core.database import Base

    found: set[str] = set()
    todo = [table]
    while todo:
        parent = todo.pop()
        for child in Base.metadata.tables.values():
            if child.name not in found and any(
                key.column.table.name == parent and key.ondelete for key in child.foreign_keys
            ):
                found.add(child.name)
                todo.append(child.name)
    return frozenset(found)
