"""Names: plurals, the words of a class name, and the names that Python, SQL and the house have taken."""

import builtins
import keyword
import re
from functools import cache

from app.cli.report import Fault

MAX_ENTITY_LENGTH = 30
MAX_FIELD_LENGTH = 40
MAX_IDENTIFIER_LENGTH = 63  # PostgreSQL's; MySQL's is 64

IRREGULAR = {
    "person": "people", "child": "children", "man": "men", "woman": "women", "mouse": "mice", "goose": "geese",
    "foot": "feet", "tooth": "teeth", "ox": "oxen", "medium": "media", "criterion": "criteria", "datum": "data",
    "quiz": "quizzes", "leaf": "leaves", "knife": "knives", "life": "lives", "wife": "wives", "shelf": "shelves",
    "half": "halves", "loaf": "loaves", "thief": "thieves", "wolf": "wolves", "hero": "heroes", "potato": "potatoes",
    "tomato": "tomatoes", "echo": "echoes", "veto": "vetoes",
}  # fmt: skip
UNCOUNTABLE = {
    "data", "equipment", "feedback", "information", "media", "metadata", "money", "news", "series", "species",
}  # fmt: skip

# What the generated modules import or call their own; a class, a variable or a field of the same name would hide it.
_MODULE_NAMES = {
    "Annotated", "Any", "Base", "BigInteger", "CurrentUser", "DbSession", "Decimal", "Depends", "Double", "Email",
    "Entity", "ExactDecimal", "Field", "ForeignKey", "IfMatch", "Index", "Int32", "Int64", "JSON", "Json", "ListQuery",
    "Literal", "LongText", "Mapped", "Owned", "OwnedQuery", "Page", "Query", "ReadSession", "RequestSchema", "Router",
    "Row", "RowSchema", "Sequence", "StrictBool", "String", "Superuser", "UTC", "UUID", "Url", "User", "UtcDatetime",
}  # fmt: skip
_VARIABLES = {
    "another", "app", "body", "changed", "db", "field", "if_match", "other", "page", "public", "query", "read",
    "response", "row", "router", "sent", "superuser", "user", "users", "value",
}  # fmt: skip
_IN_CLASS_BODIES = {
    "bool", "cls", "date", "datetime", "dict", "false", "float", "int", "list", "mapped_column", "self", "sql", "str",
    "true", "tuple", "unchanged",
}  # fmt: skip
_FOLDERS = {
    "admin", "api", "app", "auth", "cli", "core", "health", "main", "models", "router", "state", "static", "tasks",
    "users", "worker",
}  # fmt: skip


def words(name: str) -> list[str]:
    """`ExampleItem` is `example` and `item`; `APIKey` is `api` and `key`."""
    return [part.lower() for part in re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z]+[0-9]*", name)]


def camel(snake: str) -> str:
    return "".join(part.capitalize() for part in snake.split("_"))


def plural(snake: str) -> str:
    head, _, last = snake.rpartition("_")
    return f"{head}_{_plural_word(last)}" if head else _plural_word(last)


def _plural_word(word: str) -> str:
    if word in UNCOUNTABLE:
        return word
    if word in IRREGULAR:
        return IRREGULAR[word]
    if re.search(r"[^aeiou]y$", word):
        return f"{word[:-1]}ies"
    if word.endswith("sis"):
        return f"{word[:-2]}es"
    return f"{word}es" if re.search(r"(s|x|z|ch|sh)$", word) else f"{word}s"


def article(words: str) -> str:
    """`a todo`, `an item`; `a unit` and `an hour` by their sound."""
    is_vowel = re.match(r"[aeio]|u(?!ni|se|ser|til|ra)|hour|honest|heir", words)
    return f"{'an' if is_vowel else 'a'} {words}"


def check_entity_name(name: str) -> None:
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", name):
        parts = [part for part in re.split(r"[^A-Za-z0-9]+", name) if part]
        likely = "".join(part[0].upper() + part[1:] for part in parts)
        right = likely if re.fullmatch(r"[A-Z][A-Za-z0-9]*", likely) else "Todo"
        raise Fault("name", f"not the name of a class: letters and digits, like {right}", argument=name)
    if len(name) > MAX_ENTITY_LENGTH:
        raise Fault("name", f"longer than {MAX_ENTITY_LENGTH} characters", argument=name)
    snake = "_".join(words(name))
    taken = name in _MODULE_NAMES or snake in _VARIABLES
    if (
        taken
        or keyword.iskeyword(name)
        or hasattr(builtins, name)
        or keyword.iskeyword(snake)
        or hasattr(builtins, snake)
    ):
        whose = "of the house" if taken else "of Python"
        raise Fault("reserved_name", f"is a name {whose}; try {name}Record", argument=name)


def check_table_name(name: str, plural_name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", plural_name):
        raise Fault("plural", "not a plural in small letters, digits and _, like people", argument=plural_name)
    if plural_name in sql_words():
        raise Fault(
            "reserved_name", f"its table {plural_name} is a reserved word of SQL; try {name}Record", argument=name
        )


def check_folder(name: str, folder: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", folder) or keyword.iskeyword(folder):
        raise Fault("folder", "not a package's name in small letters, digits and _", argument=folder)
    if folder in _FOLDERS:
        other = f"{'_'.join(words(name))}_list"
        raise Fault("reserved_name", f"app/{folder} is the house's own; try --folder {other}", argument=name)


def check_field_name(name: str, entity: str) -> None:
    better = f"{'_'.join(words(entity))}_{name}"
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        likely = "_".join(words(name)) or "title"
        raise Fault("field_name", f"not a field's name: small letters, digits and _, like {likely}", argument=name)
    if len(name) > MAX_FIELD_LENGTH:
        raise Fault("field_name", f"longer than {MAX_FIELD_LENGTH} characters", argument=name)
    if keyword.iskeyword(name) or name in _IN_CLASS_BODIES & set(dir(builtins)):
        raise Fault("reserved_name", f"is a name of Python; try {better}", argument=name)
    if name in sql_words():
        raise Fault("reserved_name", f"is a reserved word of SQL; try {better}", argument=name)
    if name in _house_attributes() | _IN_CLASS_BODIES:
        raise Fault("reserved_name", f"is a name of the house; try {better}", argument=name)


@cache
def _house_attributes() -> set[str]:
    """What every model, body, answer and list has already."""
    from app.core.database import Base
    from app.core.ownership import Owned
    from app.core.pagination import OwnedQuery
    from app.core.schemas import RequestSchema

    names = {name for kind in (Base, Owned, OwnedQuery, RequestSchema) for name in dir(kind)}
    return names | set(OwnedQuery.model_fields) | {"id", "user_id", "created_at", "updated_at"}


@cache
def sql_words() -> set[str]:
    """PostgreSQL's reserved words, and those that the others share; a word of one database is quoted there."""
    from sqlalchemy.dialects.mysql.reserved_words import RESERVED_WORDS_MARIADB, RESERVED_WORDS_MYSQL
    from sqlalchemy.dialects.postgresql.base import RESERVED_WORDS
    from sqlalchemy.dialects.sqlite.base import SQLiteIdentifierPreparer

    mysql = RESERVED_WORDS_MARIADB | RESERVED_WORDS_MYSQL
    return set(RESERVED_WORDS) | (mysql & SQLiteIdentifierPreparer.reserved_words)
