"""What is the same for every kind of field: its shape in the generated code, its default, and what is wrong with it."""

import re
from collections.abc import Callable
from dataclasses import dataclass


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


def literal(text: str) -> Default:
    return Default(quoted(text), quoted(text), quoted(text))


def bounds(argument: str, least: int, most: int, what: str) -> tuple[int, int]:
    """`5`, `1..5`, `1..` or `..5`."""
    match = re.fullmatch(r"(-?\d*)\.\.(-?\d*)", argument)
    try:
        low, high = (int(match[1] or least), int(match[2] or most)) if match else (least, int(argument))
    except ValueError:
        raise BadKind(f"{what}, not {argument}" if argument else what) from None
    if not least <= low <= high <= most:
        raise BadKind(f"{what}, between {least} and {most}, not {argument}")
    return low, high


def takes_nothing(name: str, argument: str) -> None:
    if argument:
        raise BadKind(f"{name} takes nothing in brackets")
