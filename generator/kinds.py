"""The kinds of fields: how each is stored, sent and answered, in the words of the code that is generated.

Numbers, booleans, dates and times are here; text_kinds.py has what is written as text.
"""

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation

from app.core.columns import ExactDecimal
from app.core.database import MAX_BIG_INTEGER, MAX_INTEGER
from generator import text_kinds
from generator.shape import BadKind, Default, Shape, bounds, quoted, takes_nothing

INT32 = (-MAX_INTEGER - 1, MAX_INTEGER)
INT64 = (-MAX_BIG_INTEGER - 1, MAX_BIG_INTEGER)
MAX_DIGITS = ExactDecimal.MAX_PRECISION


def int_kind(argument: str) -> Shape:
    return _integer("int", argument, INT32, "", "sa.Integer()")


def bigint_kind(argument: str) -> Shape:
    return _integer("bigint", argument, INT64, "BigInteger", "sa.BigInteger()")


_INTEGERS = {"int": "Int32", "bigint": "Int64"}


def _integer(name: str, argument: str, limits: tuple[int, int], column: str, migration: str) -> Shape:
    low, high = bounds(argument, *limits, f"{name} or {name}(least..most)") if argument else limits
    if argument and ".." not in argument:
        raise BadKind(f"{name}({argument}): say both ends, like {name}(1..{argument})")

    def default(text: str) -> Default:
        if not re.fullmatch(r"[+-]?\d{1,20}", text) or not low <= int(text) <= high:
            raise BadKind(f"a whole number from {low} to {high}")
        return Default(str(int(text)), str(int(text)), quoted(str(int(text))))

    first = min(max(low, 1), high)
    return Shape(
        python="int",
        column=column,
        migration=migration,
        request=f"Annotated[int, Field(ge={low}, le={high})]" if argument else _INTEGERS[name],
        is_constrained=bool(argument),
        default=default,
        filters=True,
        samples=(str(first), str(first + 1)) if first < high else (str(first),),
        bad=(str(low - 1), str(high + 1), '"x"'),
    )


def float_kind(argument: str) -> Shape:
    takes_nothing("float", argument)

    def default(text: str) -> Default:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise BadKind("a number, like 1.5")
        return Default(repr(number), repr(number), quoted(repr(number)))

    return Shape(
        python="float",
        column="Double",
        migration="sa.Double()",
        default=default,
        samples=("1.5", "2.5"),
        bad=('"x"',),
    )


def decimal_kind(argument: str) -> Shape:
    match = re.fullmatch(r"(\d+), *(\d+)", argument)
    precision, scale = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 0 <= scale < precision <= MAX_DIGITS:
        raise BadKind(f"decimal(digits,places), up to {MAX_DIGITS} digits in all, fewer places: decimal(10,2)")

    def default(text: str) -> Default:
        try:
            number = Decimal(text)
            fits = number.is_finite() and abs(number) < 10 ** (precision - scale)
            written = str(number.quantize(Decimal(1).scaleb(-scale))) if fits else ""
        except InvalidOperation:
            written = ""
        if not written or Decimal(written) != number:
            raise BadKind(f"a number of up to {precision - scale} digits before and {scale} after the point")
        return Default(f'Decimal("{written}")', f'Decimal("{written}")', quoted(written))

    one, two = (f'"{number}.{"5".ljust(scale, "0")}"' if scale else f'"{number}"' for number in (1, 2))
    return Shape(
        python="Decimal",
        column=f"ExactDecimal({precision}, {scale})",
        migration=f"ExactDecimal({precision}, {scale})",
        request=f"Annotated[Decimal, Field(max_digits={precision}, decimal_places={scale}), places({scale})]",
        is_constrained=True,
        default=default,
        samples=(one, two),
        bad=(f'"{10 ** (precision - scale)}"', f'"0.{"1" * (scale + 1)}"', '"NaN"'),
    )


def bool_kind(argument: str) -> Shape:
    takes_nothing("bool", argument)

    def default(text: str) -> Default:
        if text not in ("true", "false"):
            raise BadKind("true or false")
        return Default(text.capitalize(), text.capitalize(), f"{text}()")

    return Shape(
        python="bool",
        request="StrictBool",
        migration="sa.Boolean()",
        default=default,
        filters=True,
        not_unique_because="there would be two rows at most",
        samples=("True", "False"),
        bad=('"true"', "0.0", "1"),
    )


def date_kind(argument: str) -> Shape:
    takes_nothing("date", argument)

    def default(text: str) -> Default:
        try:
            day = date.fromisoformat(text)
        except ValueError:
            raise BadKind("a day, like 2026-01-31") from None
        source = f"date({day.year}, {day.month}, {day.day})"
        return Default(source, source, quoted(day.isoformat()))

    return Shape(
        python="date",
        migration="sa.Date()",
        default=default,
        filters=True,
        samples=('"2026-01-02"', '"2026-01-03"'),
        bad=('"2026-13-01"',),
    )


def datetime_kind(argument: str) -> Shape:
    takes_nothing("datetime", argument)

    def default(text: str) -> Default:
        try:
            moment = datetime.fromisoformat(text).astimezone(UTC) if re.search(r"(Z|[+-]\d\d:\d\d)$", text) else None
        except (ValueError, OverflowError):
            moment = None
        if moment is None:
            raise BadKind("a moment with its zone, like 2026-01-31T12:00:00Z")
        parts = (moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second, moment.microsecond)
        source = f"datetime({', '.join(map(str, parts))}, tzinfo=UTC)"
        return Default(source, source, quoted(f"{moment:%Y-%m-%d %H:%M:%S.%f}"))

    return Shape(
        python="datetime",
        migration="UTCDateTime()",
        request="UtcDatetime",
        default=default,
        samples=('"2026-01-02T03:04:05Z"', '"2026-01-02T03:04:06Z"'),
        bad=('"2026-01-02T03:04:05"', '"soon"'),
    )


KINDS: dict[str, Callable[[str], Shape]] = {
    "str": text_kinds.str_kind,
    "text": text_kinds.text_kind,
    "int": int_kind,
    "bigint": bigint_kind,
    "float": float_kind,
    "decimal": decimal_kind,
    "bool": bool_kind,
    "date": date_kind,
    "datetime": datetime_kind,
    "uuid": text_kinds.uuid_kind,
    "enum": text_kinds.enum_kind,
    "json": text_kinds.json_kind,
    "email": text_kinds.email_kind,
    "url": text_kinds.url_kind,
}
ACCEPTED = (
    "str(200), str(0..200), text, int, int(1..5), bigint, float, decimal(10,2), bool, date, datetime, uuid, "
    "enum(low,high), json, email, url, ref(Other)"
)
