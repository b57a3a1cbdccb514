"""Text, and what is written as text: strings, enums, addresses, UUIDs and JSON."""

import re
from uuid import UUID

from app.core.schemas import MAX_URL_LENGTH
from generator.shape import BadKind, Default, Shape, bounds, literal, quoted, takes_nothing

MAX_LENGTH = 10_000  # of a str(n): MySQL's rows end at 65,535 bytes, of which a character takes four
MAX_INDEXED_LENGTH = 500  # PostgreSQL's index rows end at 2,704 bytes, MySQL's at 3,072
MAX_SORTED_LENGTH = 255  # several of them fit into a list's cursor
MAX_ENUM_LENGTH = 50


def str_kind(argument: str) -> Shape:
    low, high = bounds(argument, 0, MAX_LENGTH, "str(n) or str(least..most)")
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
        default=lambda text: literal(plain_text(text, low, high)),
        sorts=high <= MAX_SORTED_LENGTH,
        searches=True,
        not_indexed_because=too_long,
        samples=_text_samples(low, high),
        bad=(*(['""'] if low else []), f'"x" * {high + 1}'),
    )


def text_kind(argument: str) -> Shape:
    low, high = bounds(argument, 0, 1_000_000, "text or text(most)") if argument else (0, 1_000_000)
    least = f"min_length={low}, " if low else ""

    def default(text: str) -> Default:
        plain = plain_text(text, low, high)
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


def enum_kind(argument: str) -> Shape:
    values = [value.strip() for value in argument.split(",")] if argument else []
    bad = [value for value in values if not re.fullmatch(rf"[A-Za-z0-9][\w .-]{{0,{MAX_ENUM_LENGTH - 1}}}", value)]
    if not values or bad or len(set(values)) != len(values):
        found = f"; {bad[0]!r} is none" if bad else "; one is there twice" if values else ""
        raise BadKind(f"enum(one,two): values of letters, digits, spaces and . _ -, each once{found}")

    def default(text: str) -> Default:
        if text not in values:
            raise BadKind(f"one of {', '.join(values)}")
        return literal(text)

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


def email_kind(argument: str) -> Shape:
    takes_nothing("email", argument)

    def default(text: str) -> Default:
        from pydantic_core import PydanticCustomError

        from app.core.schemas import normalize_email

        try:
            return literal(plain_text(normalize_email(text), 1, 255))
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


def url_kind(argument: str) -> Shape:
    most = bounds(argument, 10, MAX_URL_LENGTH, "url or url(most)")[1] if argument else MAX_URL_LENGTH

    def default(text: str) -> Default:
        from pydantic import TypeAdapter, ValidationError

        from app.core.schemas import Url

        try:
            url = TypeAdapter(Url).validate_python(text)
        except ValidationError:
            url = ""
        if not re.fullmatch(r"[\w:.,+/@#!?=&-]+", url) or len(url) > most:
            raise BadKind("an address, like https://example.com/") from None
        return literal(url)

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


def uuid_kind(argument: str) -> Shape:
    takes_nothing("uuid", argument)

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


def json_kind(argument: str) -> Shape:
    takes_nothing("json", argument)

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


def _text_samples(low: int, high: int) -> tuple[str, ...]:
    return tuple(quoted(word[:high].ljust(low, "x")) for word in ("First", "Second")) if high else ()


def plain_text(text: str, low: int, high: int) -> str:
    if not low <= len(text) <= high:
        raise BadKind(f"{low} to {high} characters" + ("" if low == 0 else f"; for none: ({0}..{high})"))
    if not re.fullmatch(r"[\w .,+/@#!-]*", text) or text != text.strip():
        raise BadKind("letters, digits, spaces and . , + - / _ @ # !; set any other in the code")
    return text
