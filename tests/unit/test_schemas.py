"""The types that bodies share: what they take, and that they answer as the database gives it back."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from app.core.columns import ExactDecimal
from app.core.schemas import MAX_JSON_DEPTH, Int32, Int64, Json, Url, UtcDatetime, places

Price = Annotated[Decimal, Field(max_digits=6, decimal_places=2), places(2)]


def nested(depth: int) -> Any:
    return [nested(depth - 1)] if depth else "leaf"


@pytest.mark.parametrize(
    ("kind", "value", "answered"),
    [
        (UtcDatetime, "2026-01-02T03:04:05.678901+02:00", datetime(2026, 1, 2, 1, 4, 5, 678901, tzinfo=UTC)),
        (Price, "1.5", Decimal("1.50")),
        (Price, -0.0, Decimal("0.00")),
        (Price, 1e3, Decimal("1000.00")),
        (Url, "HTTPS://Example.com", "https://example.com/"),
        (Json, {"a": [1, 2.5, "x", None, True]}, {"a": [1, 2.5, "x", None, True]}),
        (Json, nested(MAX_JSON_DEPTH - 1), nested(MAX_JSON_DEPTH - 1)),
        (Json, 2**63 - 1, 2**63 - 1),
        (Int32, 2**31 - 1, 2**31 - 1),
        (Int64, -(2**63), -(2**63)),
    ],
)
def test_what_is_taken(kind: Any, value: Any, answered: Any) -> None:
    taken = TypeAdapter(kind).validate_python(value)
    assert taken == answered
    assert str(taken) == str(answered)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (UtcDatetime, "2026-01-02T03:04:05"),
        (UtcDatetime, "0001-01-01T00:00:00+14:00"),
        (UtcDatetime, "9999-12-31T23:59:59-14:00"),
        (Price, "1.234"),
        (Price, "12345.00"),
        (Price, "NaN"),
        (Url, "javascript:alert(1)"),
        (Url, "ftp://example.com/"),
        (Url, 5),
        (Url, f"https://example.com/{'x' * 2000}"),
        (Json, None),
        (Json, nested(MAX_JSON_DEPTH)),
        (Json, {"a": 2**63}),
        (Int32, 2**31),
        (Int64, 2**63),
    ],
)
def test_what_is_refused(kind: Any, value: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(value)


@pytest.mark.parametrize("text", ["0.00001", "9999999999.99999", "-1234567890.12345"])
def test_a_decimal_of_sqlite_comes_back_exactly(text: str) -> None:
    """As a double it has any 15 digits."""
    from sqlalchemy.dialects import sqlite

    kind = ExactDecimal(15, 5)
    assert kind.process_result_value(float(text), sqlite.dialect()) == Decimal(text)
    assert kind.process_result_value(None, sqlite.dialect()) is None
