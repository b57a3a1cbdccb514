"""Which requests are traced, what is told of errors, and what is said when the extras are not there."""

import os
import sys
from collections.abc import Callable
from functools import cache
from itertools import islice
from typing import Any

import pytest

from app.core.config import SettingsError
from app.core.observability.logs import format_exception
from app.core.observability.metrics import _is_alive
from app.core.observability.sentry import _chain, reporting_errors
from app.core.observability.telemetry import open_telemetry
from app.core.observability.telemetry_sdk import Sampling
from tests.factories import settings

LOW, HIGH = "4bf92f3577b34da6" + "0" * 15 + "1", "4bf92f3577b34da6" + "f" * 16


@cache
def sampling(sampler: str, share: float) -> Sampling:
    return Sampling(settings(otel_traces_sampler=sampler, otel_traces_sampler_arg=share))


def is_traced(sampler: str, share: float = 1, parent: str | None = None) -> bool:
    headers = [(b"host", b"x"), *([(b"traceparent", parent.encode())] if parent is not None else [])]
    return not sampling(sampler, share).leaves_out({"type": "http", "headers": headers})


def parent(trace: str = LOW, flags: str = "01") -> str:
    return f"00-{trace}-00f067aa0ba902b7-{flags}"


@pytest.mark.parametrize(
    ("sampler", "expected"),
    [
        ("always_on", (True, True, True)),
        ("always_off", (False, False, False)),
        ("parentbased_always_on", (True, False, True)),
        ("parentbased_always_off", (True, False, False)),
    ],
)
def test_a_sampler_goes_by_the_caller_or_not(sampler: str, expected: tuple[bool, ...]) -> None:
    assert tuple(is_traced(sampler, parent=sent) for sent in (parent(), parent(flags="00"), None)) == expected


def test_a_share_is_the_same_traces_everywhere() -> None:
    assert is_traced("traceidratio", 0.5, parent(LOW, "00"))
    assert not is_traced("traceidratio", 0.5, parent(HIGH, "01"))
    assert is_traced("parentbased_traceidratio", 0.5, parent(HIGH, "01"))


def test_a_share_of_what_nobody_traces_yet() -> None:
    assert 400 < sum(is_traced("parentbased_traceidratio", 0.5) for _ in range(1000)) < 600
    assert not any(is_traced("parentbased_traceidratio", 0) for _ in range(100))


@pytest.mark.parametrize("sent", ["", "nonsense", parent() + "x", parent()[:-1], "ff" * 40])
def test_what_is_no_parent_is_none(sent: str) -> None:
    assert is_traced("parentbased_always_on", parent=sent)
    assert not is_traced("parentbased_always_off", parent=sent)


@pytest.mark.parametrize(
    ("package", "ask", "message"),
    [
        (
            "opentelemetry.exporter",
            lambda: open_telemetry(settings(otel_exporter_otlp_endpoint="http://h:4318")),
            r"OTEL_EXPORTER_OTLP_ENDPOINT: .* is not installed\. Right: make setup EXTRAS=telemetry",
        ),
        (
            "sentry_sdk",
            lambda: reporting_errors(settings(sentry_dsn="https://key@h/1")),
            r"SENTRY_DSN: sentry_sdk is not installed\. Right: make setup EXTRAS=sentry",
        ),
    ],
)
def test_an_extra_that_is_not_installed_is_told(
    monkeypatch: pytest.MonkeyPatch, package: str, ask: Any, message: str
) -> None:
    for name in [
        package,
        "app.core.observability.telemetry_sdk",
        *[name for name in sys.modules if name.startswith(package)],
    ]:
        if name in sys.modules and name.startswith("app."):
            monkeypatch.delitem(sys.modules, name)
        else:
            monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SettingsError, match=message):
        ask()


def raised(raise_it: Callable[[], None]) -> BaseException:
    try:
        raise_it()
    except LookupError as error:
        return error
    raise AssertionError("nothing was raised")


def its_own_cause() -> None:
    error = LookupError("There is none")
    raise error from error


def two_that_caused_each_other() -> None:
    first, second = LookupError("first"), KeyError("second")
    first.__cause__, second.__cause__ = second, first
    raise first


def a_chain_of_twenty() -> None:
    """Each with the one before as its cause, and as what it was raised in the handling of."""
    error = LookupError("the first")
    for number in range(20):
        try:
            raise error
        except LookupError as cause:
            error = LookupError(str(number))
            error.__context__ = error.__cause__ = cause
    raise error


CHAINS = {its_own_cause: 1, two_that_caused_each_other: 2, a_chain_of_twenty: 21}


@pytest.mark.parametrize(("chain", "length"), CHAINS.items())
def test_an_error_is_told_once_whatever_caused_what(chain: Callable[[], None], length: int) -> None:
    error = raised(chain)
    assert format_exception((type(error), error, error.__traceback__)).count("Traceback") == length
    assert len(list(islice(_chain({"exc_info": (type(error), error, error.__traceback__)}), 100))) == length


def test_the_number_of_a_process_may_be_anothers_by_now(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_ours(_pid: int, _signal: int) -> None:
        raise PermissionError

    assert _is_alive(os.getpid())
    monkeypatch.setattr(os, "kill", not_ours)
    assert not _is_alive(1)
