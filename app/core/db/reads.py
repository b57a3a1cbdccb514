"""Reads without a transaction, through SQLAlchemy: every database, and what fast reads leave out."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncEngine

AnySelect = Select[*tuple[Any, ...]]


class Row(SimpleNamespace):
    """What a `ReadSession` returns: the columns of a row as attributes, read-only."""


class Reads:
    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    async def rows(self, statement: AnySelect, values: Mapping[str, Any]) -> list[Row]:
        async with self.engine.connect() as connection:
            result = await connection.execute(statement, values or None)
            names = tuple(result.keys())
            return [Row(**dict(zip(names, row, strict=True))) for row in result]

    @property
    def pools(self) -> dict[str, tuple[int, int]]:
        """Connections in use, and how many there may be, of each further pool by its name."""
        return {}

    async def close(self) -> None:
        await self.engine.dispose()
