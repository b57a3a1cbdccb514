"""The kinds of fields: how each is stored, sent and answered, in the words of the code that is generated."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from uuid import UUID

MAX_LENGTH = 10_000  # of a str(n): MySQL's rows end at 65,535 bytes, of which a character takes four
MAX_INDEXED_LENGTH = 500  # PostgreSQL's index rows end at 2,704 bytes, MySQL's at 3,072
MAX_SORTED_LENGTH = 255  # several of them fit into a list's cursor
MAX_ENUM_LENGTH = 50
MAX_URL_LENGTH = 2000
MAX_DIGITS = 15

INT32 = (-(2**31), 2**31 - 1)
INT64 = (-(2**63), 2**63 - 1)


class BadKind(ValueError):
    """What is wrong with a kind's arguments or with a default; the text says what is accepted."""


@dataclass(frozen=True)
class Default:
    """A default in a body's schema, in the model, and in the database itself."""

    schema: str
    model: str
    server: str

    @property
    def migration(self) -> str:
        return re.sub(r"^(true|false)\b", r"sa.\1", self.server).replace("sql(", "sa.text(", 1)


@dataclass(frozen=True)
class Shape:
    python: str
    migration: str
    default: Callable[[str], Default]
    column: str = ""  # empty where the annotation says it
    request: str = ""  # empty where it is the Python type
    is_constrained: bool = False  # the request's type gets a name of its own
    is_enum: bool = False
    filters: bool = False
    sorts: bool = True
    searches: bool = False
    not_indexed_because: str = ""
    not_unique_because: str = ""
    samples: tuple[str, ...] = ()  # as JSON answers them
    bad: tuple[str, ...] = ()


def no_default(_text: str) -> Default:
    raise BadKind("no default")


def quoted(text: str) -> str:
    """The text as a Python string, which it holds no quote or backslash to disturb."""
    return f'"{text}"'


def _literal(text: str) -> Default:
    return Default(quoted(text), quoted(text), quoted(text))


def _bounds(argument: str, least: int, most: int, what: str) -> tuple[int, int]:
    """`5`, `1..5`, `1..` or `..5`."""
    match = re.fullmatch(r"(-?\d*)\.\.(-?\d*)", argument)
    try:
        low, high = (int(match[1] or least), int(match[2] or most)) if match else (least, int(argument))
    except ValueError:
        raise BadKind(f"{what}, not {argument}") from None
    if not least <= low <= high <= most:
        raise BadKind(f"{what}, between {least} and {most}, not {argument}")
    return low, high


def _text_samples(low: int, high: int) -> tuple[str, ...]:
    return tuple(quoted(word[:high].ljust(low, "x")) for word in ("First", "Second")) if high else ()


def _plain_text(text: str, low: int, high: int) -> str:
    if not low <= len(text) <= high:
        raise BadKind(f"{low} to {high} characters" + ("" if low == 0 else f"; for none: ({0}..{high})"))
    if not re.fullmatch(r"[\w .,+/@#!-]*", text):
        raise BadKind("letters, digits, spaces and . , + - / _ @ # !; set any other in the code")
    return text


def _str(argument: str) -> Shape:
    low, high = _bounds(argument, 0, MAX_LENGTH, "str(n) or str(least..most)")
    if ".." not in argument:
        low = 1
    if high < max(low, 1):
        raise BadKind("str(n) for 1 to n characters, n from 1")
    too_long = f"only up to {MAX_INDEXED_LENGTH} characters can be indexed" if high > MAX_INDEXED_LENGTH else ""
    least = f"min_length={low}, " if low else ""
    return Shape(
        python="str",
        column=f"String({high})",
        migration=f"sa.String(length={high})",
        request=f"Annotated[str, Field({least}max_length={high})]",
        is_constrained=True,
        default=lambda text: _literal(_plain_text(text, low, high)),
        sorts=high <= MAX_SORTED_LENGTH,
        searches=True,
        not_indexed_because=too_long,
        samples=_text_samples(low, high),
        bad=(*(['""'] if low else []), f'"x" * {high + 1}'),
    )


def _text(argument: str) -> Shape:
    low, high = _bounds(argument, 0, 1_000_000, "text or text(most)") if argument else (0, 1_000_000)
    least = f"min_length={low}, " if low else ""

    def default(text: str) -> Default:
        plain = _plain_text(text, low, high)
        return Default(quoted(plain), quoted(plain), f"sql(\"('{plain}')\")")  # MySQL's TEXT takes an expression only

    return Shape(
        python="str",
        column="LongText",
        migration="LongText()",
        request=f"Annotated[str, Field({least}max_length={high})]" if argument else "",
        is_constrained=bool(argument),
        default=default,
        sorts=False,
        searches=True,
        not_indexed_because="text cannot be indexed on every database; str(n) can",
        samples=_text_samples(low, high),
        bad=("5",),
    )


_INTEGERS = {"int": "Int32", "bigint": "Int64"}


def _integer(name: str, argument: str, limits: tuple[int, int], column: str, migration: str) -> Shape:
    low, high = _bounds(argument, *limits, f"{name} or {name}(least..most)") if argument else limits
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


def _int(argument: str) -> Shape:
    return _integer("int", argument, INT32, "", "sa.Integer()")


def _bigint(argument: str) -> Shape:
    return _integer("bigint", argument, INT64, "BigInteger", "sa.BigInteger()")


def _float(argument: str) -> Shape:
    _takes_nothing("float", argument)

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


def _decimal(argument: str) -> Shape:
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


def _bool(argument: str) -> Shape:
    _takes_nothing("bool", argument)

    def default(text: str) -> Default:
        if text not in ("true", "false"):
            raise BadKind("true or false")
        return Default(text.capitalize(), text.capitalize(), f"{text}()")

    return Shape(
        python="bool",
        migration="sa.Boolean()",
        default=default,
        filters=True,
        not_unique_because="there would be two rows at most",
        samples=("True", "False"),
        bad=('"perhaps"',),
    )


def _date(argument: str) -> Shape:
    _takes_nothing("date", argument)

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


def _datetime(argument: str) -> Shape:
    _takes_nothing("datetime", argument)

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


def _uuid(argument: str) -> Shape:
    _takes_nothing("uuid", argument)

    def default(text: str) -> Default:
        try:
            value = UUID(text)
        except ValueError:
            raise BadKind("a UUID, like 123e4567-e89b-12d3-a456-426614174000") from None
        return Default(f'UUID("{value}")', f'UUID("{value}")', quoted(value.hex))

    return Shape(
        python="UUID",
        migration="sa.Uuid()",
        default=default,
        filters=True,
        sorts=False,
        samples=('"123e4567-e89b-12d3-a456-426614174000"', '"123e4567-e89b-12d3-a456-426614174001"'),
        bad=('"x"',),
    )


def _enum(argument: str) -> Shape:
    values = [value.strip() for value in argument.split(",")] if argument else []
    bad = [value for value in values if not re.fullmatch(rf"[A-Za-z0-9][\w .-]{{0,{MAX_ENUM_LENGTH - 1}}}", value)]
    if not values or bad or len(set(values)) != len(values):
        found = f"; {bad[0]!r} is none" if bad else "; one is there twice" if values else ""
        raise BadKind(f"enum(one,two): values of letters, digits, spaces and . _ -, each once{found}")

    def default(text: str) -> Default:
        if text not in values:
            raise BadKind(f"one of {', '.join(values)}")
        return _literal(text)

    return Shape(
        python="str",
        column=f"String({MAX_ENUM_LENGTH})",
        migration=f"sa.String(length={MAX_ENUM_LENGTH})",
        request=f"Literal[{', '.join(map(quoted, values))}]",
        is_constrained=True,
        is_enum=True,
        default=default,
        filters=True,
        samples=tuple(map(quoted, values[:2])),
        bad=('"none of them"',),
    )


def _json(argument: str) -> Shape:
    _takes_nothing("json", argument)

    def default(text: str) -> Default:
        if text not in ("{}", "[]"):
            raise BadKind("{} or []")
        return Default(text, "dict" if text == "{}" else "list", f"sql(\"('{text}')\")")

    return Shape(
        python="Any",
        column="JSON(none_as_null=True)",
        migration="sa.JSON(none_as_null=True)",
        request="Json",
        default=default,
        sorts=False,
        not_indexed_because="json cannot be indexed on every database",
        samples=('{"first": 1}', '["second", {"nested": None}]'),
    )


def _email(argument: str) -> Shape:
    _takes_nothing("email", argument)

    def default(text: str) -> Default:
        from pydantic_core import PydanticCustomError

        from app.core.schemas import normalize_email

        try:
            return _literal(_plain_text(normalize_email(text), 1, 255))
        except PydanticCustomError:
            raise BadKind("an address, like hello@example.com") from None

    return Shape(
        python="str",
        column="String(255)",
        migration="sa.String(length=255)",
        request="Email",
        default=default,
        filters=True,
        samples=('"first@example.com"', '"second@example.com"'),
        bad=('"nobody"',),
    )


def _url(argument: str) -> Shape:
    most = _bounds(argument, 10, MAX_URL_LENGTH, "url or url(most)")[1] if argument else MAX_URL_LENGTH

    def default(text: str) -> Default:
        from pydantic import TypeAdapter, ValidationError

        from app.core.schemas import Url

        try:
            url = TypeAdapter(Url).validate_python(text)
        except ValidationError:
            url = ""
        if not re.fullmatch(r"[\w:.,+/@#!?=&-]+", url) or len(url) > most:
            raise BadKind("an address, like https://example.com/") from None
        return _literal(url)

    too_long = f"only up to {MAX_INDEXED_LENGTH} characters can be indexed: url({MAX_INDEXED_LENGTH})"
    return Shape(
        python="str",
        column=f"String({most})",
        migration=f"sa.String(length={most})",
        request=f"Annotated[Url, Field(max_length={most})]" if argument else "Url",
        is_constrained=bool(argument),
        default=default,
        sorts=False,
        not_indexed_because=too_long if most > MAX_INDEXED_LENGTH else "",
        samples=('"https://a.io/1"', '"https://a.io/2"') if most >= len("https://a.io/1") else (),
        bad=('"javascript:alert(1)"',),
    )


def _takes_nothing(name: str, argument: str) -> None:
    if argument:
        raise BadKind(f"{name} takes nothing in brackets")


KINDS: dict[str, Callable[[str], Shape]] = {
    "str": _str,
    "text": _text,
    "int": _int,
    "bigint": _bigint,
    "float": _float,
    "decimal": _decimal,
    "bool": _bool,
    "date": _date,
    "datetime": _datetime,
    "uuid": _uuid,
    "enum": _enum,
    "json": _json,
    "email": _email,
    "url": _url,
}
ACCEPTED = (
    "str(200), str(0..200), text, int, int(1..5), bigint, float, decimal(10,2), bool, date, datetime, uuid, "
    "enum(low,high), json, email, url, ref(Other)"
)
