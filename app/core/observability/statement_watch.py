"""In development: a log line for a statement that is slow, and for one that a request runs over and over (N+1).

With its text and its route, and never a parameter. Elsewhere nothing of it is there.
"""

import logging
import re
import time
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

from fastapi import FastAPI
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.config import Settings
from app.core.observability.logs import route_template

logger = logging.getLogger("app.database")

SLOW_S = 0.1
MANY = 5  # on a page of a hundred rows it would be a hundred

MAX_LENGTH = 1000

_LITERAL = re.compile(r"'(?:[^']|'')*'?")
_SPACE = re.compile(r"\s+")

STARTED = "statement_started"  # of the connection, which has one statement at a time


class Asked:
    """What a request has asked its database: how often each statement, and for how long."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.statements: dict[str, list[float]] = {}

    def tell(self) -> None:
        for statement, seconds in self.statements.items():
            if len(seconds) >= MANY:
                fields = {"times": len(seconds), **_fields(statement, sum(seconds), self.scope)}
                logger.warning("a request runs one statement many times (N+1)", extra=fields)


_asked: ContextVar[Asked | None] = ContextVar("asked", default=None)


def watch_statements(app: FastAPI, engines: Iterable[AsyncEngine], settings: Settings) -> None:
    if settings.environment == "development":
        app.add_middleware(StatementWatch)
        for engine in engines:
            _watch(engine)


class StatementWatch:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        asked = Asked(scope)
        token = _asked.set(asked)
        try:
            await self.app(scope, receive, send)
        finally:
            _asked.reset(token)
            asked.tell()


def _watch(engine: AsyncEngine) -> None:
    def begin(connection: Connection, *_: Any) -> None:
        connection.info[STARTED] = time.perf_counter()

    def end(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        seconds = time.perf_counter() - connection.info.pop(STARTED)
        asked = _asked.get()
        if asked is not None:
            asked.statements.setdefault(statement, []).append(seconds)
        if seconds >= SLOW_S:
            logger.warning("a slow statement", extra=_fields(statement, seconds, asked.scope if asked else None))

    event.listen(engine.sync_engine, "before_cursor_execute", begin)
    event.listen(engine.sync_engine, "after_cursor_execute", end)


def _fields(statement: str, seconds: float, scope: Scope | None) -> dict[str, Any]:
    route = {"route": f"{scope['method']} {route_template(scope)}"} if scope is not None else {}  # else a job's
    return {"duration_ms": round(seconds * 1000, 1), **route, "statement": shape(statement)}


def shape(statement: str) -> str:
    """The statement in one line. It has placeholders where its parameters go; a text that was written into it is taken
    out, too."""
    return _SPACE.sub(" ", _LITERAL.sub("'...'", statement)).strip()[:MAX_LENGTH]
