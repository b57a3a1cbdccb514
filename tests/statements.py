"""What an application asks its database."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from fastapi import FastAPI
from sqlalchemy import event

_listening: ContextVar[list[str] | None] = ContextVar("listening", default=None)


@contextmanager
def statements(app: FastAPI) -> Generator[list[str]]:
    """The statements of both of its engines, as they come: those of the caller's requests, none of the jobs'."""
    seen: list[str] = []
    engines = [app.state.database.engine.sync_engine, app.state.database.read_engine.sync_engine]

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if _listening.get() is seen:
            seen.append(statement)

    reader = app.state.database.read
    fast, reader.fast = reader.fast, None  # events of SQLAlchemy see no fast reads
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    token = _listening.set(seen)
    try:
        yield seen
    finally:
        reader.fast = fast
        _listening.reset(token)
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)
