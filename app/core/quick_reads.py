"""How reads reach the database: SQLAlchemy's way, and a shorter one for drivers that can be asked directly.

The short way runs the same text and raises the same errors. It is not taken with DEBUG, nor while something listens to
the engine's event `before_cursor_execute` (telemetry, a test), nor before SQLAlchemy has run the statement once. The
engine's other events do not hear of it.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sqlalchemy import CursorResult
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.plans import AnySelect, Plan, Plans, Row

T = TypeVar("T")

IS_WANTED = "is_wanted"  # an attribute of a listener that not every statement is for: whether the next one is


def _always() -> bool:
    return True


class Reads:
    """SQLAlchemy's way."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    async def rows(self, statement: AnySelect, values: Mapping[str, Any]) -> list[Row]:
        return await self._execute(statement, values, _rows)

    async def close(self) -> None:
        await self.engine.dispose()

    async def _execute(
        self, statement: AnySelect, values: Mapping[str, Any], take: Callable[[CursorResult[Any]], T]
    ) -> T:
        """What is taken from the result while its connection is held."""
        async with self.engine.connect() as connection:
            return take(await connection.execute(statement, values or None))


def _rows(result: CursorResult[Any]) -> list[Row]:
    names = tuple(result.keys())
    return [Row(**dict(zip(names, row, strict=True))) for row in result]


class QuickReads(Reads):
    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine)
        self._plans = Plans()
        self._events: Any = engine.sync_engine.dispatch

    async def rows(self, statement: AnySelect, values: Mapping[str, Any]) -> list[Row]:
        if self.engine.echo or (self._events.before_cursor_execute and self._is_heard()):
            return await super().rows(statement, values)
        name, extracted = self._plans.name_of(statement, values)
        if (plan := self._plans.get(name)) is not None:
            try:
                parameters = plan.parameters(values, extracted)
            except Exception:  # noqa: BLE001 - SQLAlchemy raises what says it
                return await super().rows(statement, values)
            records = await self._fetch(plan, parameters)
            if records is not None:
                return plan.rows(records)

        def take(result: CursorResult[Any]) -> list[Row]:
            self._plans.learn(name, result)
            return _rows(result)

        return await self._execute(statement, values, take)

    def _is_heard(self) -> bool:
        """Whether one of those that listen to the engine's statements wants to hear of this one."""
        return any(getattr(listener, IS_WANTED, _always)() for listener in self._events.before_cursor_execute)

    async def _fetch(self, plan: Plan, parameters: list[Any]) -> Any:
        """The driver's rows, or None: SQLAlchemy's way has to be taken.

        Raises what SQLAlchemy's way raises: DBAPIError, and what connecting does.
        """
        raise NotImplementedError
