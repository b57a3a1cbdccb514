"""The lines that each column takes in the generated files."""

from dataclasses import dataclass

from generator import names
from generator.entity import Entity
from generator.fields import Field
from generator.shape import Shape, no_default

# What a schemas module imports or defines: a type of a field's own has another name.
_SCHEMA_NAMES = {
    "Annotated", "Any", "Decimal", "Email", "Field", "Int32", "Int64", "Json", "ListQuery", "Literal", "OwnedQuery",
    "RequestSchema", "RowSchema", "UTC", "UUID", "Url", "UtcDatetime",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    name: str
    shape: Shape
    alias: str  # of its type in a request
    field: Field | None = None  # None for the parent's id

    @property
    def is_parent(self) -> bool:
        return self.field is None

    @property
    def is_optional(self) -> bool:
        return self.field is not None and self.field.is_optional

    @property
    def is_unique(self) -> bool:
        return self.field is not None and self.field.is_unique

    @property
    def is_indexed(self) -> bool:
        return self.field is None or self.field.is_indexed or self.field.is_reference

    @property
    def is_filter(self) -> bool:
        is_found_by = self.field is not None and (self.field.is_unique or self.field.is_indexed)
        return self.field is not None and (self.shape.filters or is_found_by)

    @property
    def is_float(self) -> bool:
        return self.shape.python == "float"

    @property
    def is_sorted(self) -> bool:
        return self.shape.sorts

    @property
    def is_searched(self) -> bool:
        return self.shape.searches

    @property
    def samples(self) -> tuple[str, ...]:
        return self.shape.samples

    @property
    def bad(self) -> list[str]:
        return [*self.shape.bad, *([] if self.is_optional else ["None"])]

    # --- the lines

    @property
    def model(self) -> str:
        default = self.field.default if self.field else None
        arguments = [
            self.shape.column,
            f"default={default.model}, server_default={default.server}" if default else "",
            "index=True" if self.is_indexed else "",
            f"nullable={self.is_optional}" if self.shape.python == "Any" else "",
        ]
        given = ", ".join(filter(None, arguments))
        return f"{self.name}: Mapped[{self._type(self.shape.python)}]" + (f" = mapped_column({given})" if given else "")

    @property
    def migration(self) -> str:
        default = self.field.default if self.field else None
        server_default = f"server_default={default.migration}, " if default else ""
        return f'sa.Column("{self.name}", {self.shape.migration}, {server_default}nullable={self.is_optional})'

    @property
    def alias_definition(self) -> str:
        return self.shape.request if self.shape.is_constrained and not self.is_parent else ""

    @property
    def create(self) -> str:
        default = self.field.default if self.field else None
        value = f" = {default.schema}" if default else " = None" if self.is_optional else ""
        return f"{self.name}: {self._type(self._request)}{value}"

    @property
    def update(self) -> str:
        return f"{self.name}: {self._type(self._request)} = unchanged()"

    @property
    def response(self) -> str:
        return f"{self.name}: {self._type(self.alias if self.shape.is_enum else self.shape.python)}"

    @property
    def filter(self) -> str:
        words = "bool" if self.shape.python == "bool" else self._request  # a query has only words: true, 1
        return f"{self.name}: {words} | None = None"

    @property
    def answered_default(self) -> str:
        """What a test compares an answer with, or nothing where there is no default."""
        if self.field is None or self.field.is_required:
            return ""
        default = self.field.default
        if default is None:
            return "is None"
        if self.shape.python == "bool":
            return f"is {default.schema}"
        if self.shape.python == "datetime":
            return ""  # written in another form than it is answered
        return f"== {default.server if self.shape.python in ('Decimal', 'date') else _as_json(default.schema)}"

    @property
    def _request(self) -> str:
        return self.alias if self.alias_definition else self.shape.request or self.shape.python

    def _type(self, name: str) -> str:
        is_any = name == "Any"  # which None is one of
        return f"{name} | None" if self.is_optional and not is_any else name


def _as_json(source: str) -> str:
    return source.removeprefix("UUID(").removesuffix(")") if source.startswith("UUID(") else source


def columns_of(entity: Entity) -> list[Column]:
    """In the order of the table: the parent's id, then the fields."""
    columns = []
    taken = _SCHEMA_NAMES | {entity.name + kind for kind in ("Create", "Update", "Response", "Query")}
    if entity.parent:
        column = f'ForeignKey("{entity.parent.table}.id", ondelete="CASCADE")'
        shape = Shape("int", "sa.Integer()", no_default, column=column, sorts=False)
        columns.append(Column(f"{entity.parent.noun}_id", shape, "int"))
    for field in entity.fields:
        alias = names.camel(field.column)
        while alias in taken:
            alias += "Value"
        taken = taken | {alias}
        columns.append(Column(field.column, entity.shape(field), alias, field))
    return columns
