"""Entities drawn at random, as they would be typed; the same ones for the same seed."""

import random
from dataclasses import dataclass, field

KINDS = [
    "str(200)", "str(1)", "str(0..20)", "str(3..500)", "str(1000)", "text", "text(50)", "text(2..9)", "int",
    "int(1..5)", "int(-3..3)", "int(7..7)", "bigint", "bigint(0..9000000000)", "float", "decimal(10,2)",
    "decimal(15,5)", "decimal(1,0)", "bool", "date", "datetime", "uuid", "enum(low,medium,high)", "enum(a)",
    "enum(in progress,v1.0,x-y)", "json", "email", "url", "url(100)",
]  # fmt: skip
DEFAULTS = {
    "str(200)": "Some text", "str(0..20)": "", "text": "Hello", "int": "-5", "int(1..5)": "3", "bigint": "9000000000",
    "float": "1.5", "decimal(10,2)": "1.5", "decimal(15,5)": "0.00001", "bool": "true", "date": "2024-02-29",
    "datetime": "2026-01-02T03:04:05.678901+02:00", "uuid": "123e4567-e89b-12d3-a456-426614174000",
    "enum(low,medium,high)": "medium", "enum(in progress,v1.0,x-y)": "v1.0", "json": "{}", "email": "a@example.com",
    "url": "https://example.com/a?b=c",
}  # fmt: skip
NOT_INDEXED = ("text", "json", "url", "str(1000)")
NOT_UNIQUE = ("bool", "enum", "int(7", "decimal(1,")  # too few values for two rows
NAMES = [
    "Invoice", "Category", "Box", "Child", "Analysis", "APIKey", "BlogPost", "Wolf", "Address", "Company", "Quiz",
    "Hero", "Series", "Class2", "Person", "Tax", "Ledger", "News", "LongName", "Toy", "Group",
]  # fmt: skip
FIELD_NAMES = [
    "title", "name", "type", "status", "amount", "due_at", "a", "x1", "is_done", "email_address", "url2", "decimal",
    "field", "literal", "sequence", "text", "format", "hash", "owner", "item", "position", "content",
    "version", "note", "string", "math", "rank", "role", "system", "view", "groups", "body", "value",
]  # fmt: skip


@dataclass
class Drawn:
    """The words after `app add`, and what later entities have to know of it."""

    name: str
    words: list[str] = field(default_factory=list)
    is_nested: bool = False
    is_superusers: bool = False
    is_public: bool = False


def draw(seed: int, count: int) -> list[Drawn]:
    chance = random.Random(seed)
    drawn: list[Drawn] = []
    for name in chance.sample(NAMES, count):
        drawn.append(_entity(chance, f"Drawn{name}", drawn))  # which no project has
    return drawn


def _entity(chance: random.Random, name: str, others: list[Drawn]) -> Drawn:
    one = Drawn(name, is_superusers=chance.random() < 0.15, is_public=chance.random() < 0.25)
    parents = [other for other in others if not other.is_nested]
    options = []
    if parents and chance.random() < 0.4:
        parent = chance.choice(parents)
        one.is_nested, one.is_public = True, one.is_public and parent.is_public
        options += ["--parent", parent.name]
        if parent.is_superusers:
            one.is_superusers = True
    if chance.random() < 0.2:
        options += ["--route", f"own-{name.lower()}-path"]
    options += ["--superuser-only"] * one.is_superusers + ["--public-read"] * one.is_public
    fields = chance.sample(FIELD_NAMES, chance.randint(1, 6))
    one.words = [name, *(_field(chance, one, field_name, others) for field_name in fields), *options]
    return one


def _field(chance: random.Random, one: Drawn, name: str, others: list[Drawn]) -> str:
    seen = [other for other in others if one.is_superusers or other.is_public or not other.is_superusers]
    if seen and chance.random() < 0.25:
        target = chance.choice(seen)
        must_be_optional = not target.is_superusers and (target.is_public or one.is_superusers)
        return f"{name}:ref({target.name})" + ("?" if must_be_optional else chance.choice(["", "?"]))
    if chance.random() < 0.08:
        return f"{name}:ref({one.name})?"
    kind = chance.choice(KINDS)
    can_index = not kind.startswith(NOT_INDEXED) or kind == "url(100)"
    is_unique = can_index and not kind.startswith(NOT_UNIQUE) and chance.random() < 0.15
    marks = "?" * (chance.random() < 0.3) + "!" * is_unique + "^" * (can_index and chance.random() < 0.2)
    has_default = kind in DEFAULTS and not is_unique and chance.random() < 0.4
    return f"{name}:{kind}{marks}" + (f"={DEFAULTS[kind]}" if has_default else "")
