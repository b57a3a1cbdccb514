"""An entity: its name, fields and options as they were typed, and every name that follows from them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from app.cli.report import Fault
from generator import names
from generator.fields import Field, parse_field
from generator.shape import Shape, no_default


@dataclass(frozen=True)
class Options:
    plural: str | None = None
    folder: str | None = None
    route: str | None = None
    parent: str | None = None
    superuser_only: bool = False
    public_read: bool = False

    @property
    def words(self) -> list[str]:
        """As they are typed."""
        values = {"plural": self.plural, "folder": self.folder, "route": self.route, "parent": self.parent}
        flags = {"superuser-only": self.superuser_only, "public-read": self.public_read}
        given = [f"--{name} {value}" for name, value in values.items() if value is not None]
        return given + [f"--{name}" for name, is_set in flags.items() if is_set]


@dataclass(frozen=True)
class Entity:
    """What was typed, with the entities that it names. Related entities are whole ones."""

    name: str
    fields: tuple[Field, ...]
    options: Options
    parent: "Entity | None" = None
    targets: tuple["Entity", ...] = ()  # what the references refer to, in the order of the fields; itself is not in it

    # --- names

    @cached_property
    def snake(self) -> str:
        return "_".join(names.words(self.name))

    @property
    def table(self) -> str:
        return self.options.plural or names.plural(self.snake)

    @property
    def folder(self) -> str:
        return self.options.folder or self.table

    @property
    def segment(self) -> str:
        """The last part of its path."""
        return (self.options.route or self.table.replace("_", "-")).strip("/")

    @property
    def collection(self) -> str:
        """Its path below /api/v1."""
        return f"{self.parent.row_path}/{self.segment}" if self.parent else f"/{self.segment}"

    @property
    def row_path(self) -> str:
        return f"{self.collection}/{{{self.noun}_id}}"

    @cached_property
    def noun(self) -> str:
        """What its rows are called in the code: the words of its name that its path has."""
        parts = names.words(self.name)
        endings = ["_".join(parts[start:]) for start in range(len(parts))]
        return next((end for end in endings if names.plural(end) == self.segment.replace("-", "_")), self.snake)

    @property
    def nouns(self) -> str:
        is_its_path = names.plural(self.noun) == self.segment.replace("-", "_")
        return names.plural(self.noun) if is_its_path else self.table

    @property
    def row_alias(self) -> str:
        return f"{names.camel(self.noun)}Row"

    @property
    def locked_alias(self) -> str:
        return f"{'Owned' if self.is_owned else 'Locked'}{names.camel(self.noun)}"

    @property
    def test_file(self) -> str:
        return f"tests/integration/test_{self.folder}.py"

    # --- who may

    @property
    def is_superusers(self) -> bool:
        return self.options.superuser_only or (self.parent is not None and self.parent.is_superusers)

    @property
    def is_owned(self) -> bool:
        return not self.is_superusers

    @property
    def is_public(self) -> bool:
        return self.options.public_read

    # --- fields

    @property
    def references(self) -> list[tuple[Field, "Entity"]]:
        others = iter(self.targets)
        return [(f, self if self.is_self(f) else next(others)) for f in self.fields if f.is_reference]

    @property
    def related(self) -> list["Entity"]:
        """What it stands below and what it refers to."""
        return [*([self.parent] if self.parent else []), *self.targets]

    def is_self(self, field: Field) -> bool:
        return field.argument in (self.name, names.camel(self.noun))

    def shape(self, field: Field) -> Shape:
        if not field.is_reference:
            return field.shape
        target = dict(self.references)[field]
        # What superusers keep is not taken away while it is referred to; what is one's own takes along what is, too.
        on_delete = "SET NULL" if field.is_optional else "RESTRICT" if target.is_superusers else "CASCADE"
        return Shape(
            python="int",
            column=f'ForeignKey("{target.table}.id", ondelete="{on_delete}")',
            migration="sa.Integer()",
            request=f'Annotated[int, reference("{target.collection}")]',
            is_constrained=True,
            default=no_default,
            filters=True,
            sorts=False,
            bad=('"x"', "0"),
        )

    @property
    def command(self) -> list[str]:
        """The words that make it, after `app add`."""
        return [self.name, *(field.text for field in self.fields), *self.options.words]

    def with_fields(self, fields: Sequence[Field], targets: Sequence["Entity"]) -> "Entity":
        return replace(self, fields=tuple(fields), targets=tuple(targets))


def parse_entity(name: str, texts: Sequence[str], options: Options) -> Entity:
    """The entity alone; its parent and what it refers to are found later. Raises Fault."""
    names.check_entity_name(name)
    if not texts:
        raise Fault("fields", "an entity has at least one field, like title:str(200)", argument=name)
    fields = tuple(parse_field(text, name) for text in texts)
    check_unique_names(fields)
    _check_options(options)
    entity = Entity(name, fields, options)
    names.check_table_name(name, entity.table)
    names.check_folder(name, entity.folder)
    return entity


def check_unique_names(fields: Sequence[Field]) -> None:
    columns = [field.column for field in fields]
    for field in fields:
        if columns.count(field.column) > 1:
            again = next(other for other in reversed(fields) if other.column == field.column)
            raise Fault("duplicate_field", f"there is a field {field.column} already", argument=again.text)


def _check_options(options: Options) -> None:
    if options.route is not None and not re.fullmatch(r"/?[a-z][a-z0-9]*(-[a-z0-9]+)*", options.route):
        raise Fault(
            "route", "not one part of a path in small letters, like my-todos", argument=f"--route {options.route}"
        )
