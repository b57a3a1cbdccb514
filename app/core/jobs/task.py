"""What a task is: an async function with a decorator, its arguments checked, its failures counted."""

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, Concatenate, Generic, ParamSpec, get_type_hints, overload

from pydantic import BaseModel, ConfigDict, create_model
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.config import Settings
from app.core.database import Database, Reader

P = ParamSpec("P")

MAX_ATTEMPTS = 12  # with BACKOFF_S over about three hours: an outage of the mail server is outlived
TIMEOUT_S = 60.0
BACKOFF_S = 5.0
MAX_PERIODIC_ATTEMPTS = 3
MAX_PERIOD = timedelta(days=1)  # shorter than a finished row is kept, which says that a period had its run


class FailedForGood(Exception):
    """Raised by a task that would fail again: it is not tried again, and stays as a dead row."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a task is given. `db` begins a transaction at its first statement, which commits when the task returns.

    SQLite has one writer: read with `read` and call other servers before `db` is used, not while it waits.
    """

    key: str  # the same at every attempt, and no other job's: what makes a call to another server idempotent
    attempt: int  # from 1
    db: AsyncSession
    database: Database  # for transactions of one's own
    settings: Settings

    @property
    def read(self) -> Reader:
        return self.database.read


Handler = Callable[Concatenate[Job, P], Awaitable[None]]


@dataclass(frozen=True)
class Task(Generic[P]):
    name: str
    handler: Handler[P]
    max_attempts: int
    timeout_s: float
    backoff_s: float
    every: timedelta | None = None

    @cached_property
    def _arguments(self) -> type[BaseModel]:
        hints = get_type_hints(self.handler, include_extras=True)
        fields: dict[str, Any] = {
            name: (hints[name], ... if parameter.default is parameter.empty else parameter.default)
            for name, parameter in _parameters(self.handler).items()
        }
        return create_model(self.name, __config__=ConfigDict(extra="forbid", hide_input_in_errors=True), **fields)

    def dump(self, *args: P.args, **arguments: P.kwargs) -> dict[str, Any]:
        """The arguments as JSON has them. Raises TypeError or ValidationError where the task would not take them."""
        bound = inspect.signature(self.handler).bind(None, *args, **arguments).arguments
        named = dict(list(bound.items())[1:])
        return self._arguments.model_validate(named).model_dump(mode="json")

    def load(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as the handler's annotations have them. Raises ValidationError where they are no such."""
        return dict(self._arguments.model_validate(arguments))


# By name. A row outlives the process that wrote it: a task that is renamed leaves its rows to fail.
TASKS: dict[str, Task[...]] = {}


@overload
def task(handler: Handler[P], /) -> Task[P]: ...


@overload
def task(
    *, max_attempts: int = MAX_ATTEMPTS, timeout_s: float = TIMEOUT_S, backoff_s: float = BACKOFF_S
) -> Callable[[Handler[P]], Task[P]]: ...


def task(
    handler: Handler[P] | None = None,
    /,
    *,
    max_attempts: int = MAX_ATTEMPTS,
    timeout_s: float = TIMEOUT_S,
    backoff_s: float = BACKOFF_S,
) -> Task[P] | Callable[[Handler[P]], Task[P]]:
    """Make an async function a task: `@task`, or `@task(max_attempts=3)`. Its first parameter is the `Job`.

    Args:
        max_attempts: after so many failures it stays as a dead row.
        timeout_s: what takes longer has failed. A process that dies is noticed only when this has passed.
        backoff_s: the wait after the first failure; it doubles with each, up to an hour.
    """

    def register(handler: Handler[P]) -> Task[P]:
        return _registered(Task(_name(handler), handler, max_attempts, timeout_s, backoff_s))

    return register if handler is None else register(handler)


def periodic(every: timedelta, *, timeout_s: float = TIMEOUT_S) -> Callable[[Handler[[]]], Task[[]]]:
    """Have a task run once in each period, however many processes there are; one that fails is tried three times.

    Raises:
        ValueError: a period longer than MAX_PERIOD.
    """
    if not timedelta(0) < every <= MAX_PERIOD:
        raise ValueError(f"a period is longer than nothing and at most {MAX_PERIOD}")

    def register(handler: Handler[[]]) -> Task[[]]:
        return _registered(Task(_name(handler), handler, MAX_PERIODIC_ATTEMPTS, timeout_s, BACKOFF_S, every))

    return register


def _registered(task: Task[P]) -> Task[P]:
    if not inspect.iscoroutinefunction(task.handler):
        raise TypeError(f"{task.name}: a task is an async def function")
    for name, parameter in _parameters(task.handler).items():
        if parameter.annotation is parameter.empty or parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            raise TypeError(f"{task.name}: {name} must be a plain parameter with a type")
    if TASKS.setdefault(task.name, task).handler.__module__ != task.handler.__module__:
        raise ValueError(f"{task.name}: there is another task of that name")
    TASKS[task.name] = task
    return task


def _parameters(handler: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The handler's parameters after the job."""
    return dict(list(inspect.signature(handler).parameters.items())[1:])


def _name(handler: Callable[..., Any]) -> str:
    """`auth.send_welcome` for app/auth/tasks.py."""
    module = re.sub(r"^app\.|\.tasks$", "", handler.__module__)
    return f"{module}.{getattr(handler, '__qualname__', type(handler).__name__)}"
