"""One field, as it is typed: `title:str(200)`, `notes:text?`, `priority:enum(low,high)=low`, `project:ref(Project)`."""

import re
from dataclasses import dataclass, replace
from functools import cached_property

from app.cli.report import Fault
from generator import names
from generator.kinds import ACCEPTED, KINDS
from generator.shape import BadKind, Default, Shape

_FIELD = re.compile(
    r"(?P<name>[^:]*):(?P<kind>\w*)(\((?P<argument>.*?)\))?(?P<marks>[?!^]*)(=(?P<default>.*))?", re.DOTALL
)


@dataclass(frozen=True)
class Field:
    """What was typed; what is generated from it is derived."""

    text: str
    name: str
    kind: str
    argument: str
    is_optional: bool
    is_unique: bool
    is_indexed: bool
    default_text: str | None

    @property
    def is_reference(self) -> bool:
        return self.kind == "ref"

    @property
    def column(self) -> str:
        """The column's and the attribute's name: a reference's ends with `_id`."""
        return f"{self.name}_id" if self.is_reference and not self.name.endswith("_id") else self.name

    @cached_property
    def shape(self) -> Shape:
        return KINDS[self.kind](self.argument)

    @property
    def default(self) -> Default | None:
        return None if self.default_text is None else self.shape.default(self.default_text)

    def to(self, target: str) -> "Field":
        """The reference, to the entity by its class's name."""
        return replace(self, argument=target, text=self.text.replace(f"({self.argument})", f"({target})", 1))

    @property
    def is_required(self) -> bool:
        return not self.is_optional and self.default_text is None


def parse_field(text: str, entity: str) -> Field:
    """Raises Fault: what is wrong with the field, and what is accepted."""
    match = _FIELD.fullmatch(text)
    if match is None:
        raise Fault(
            "field", f"not a field. Accepted: name:type, with ? ! ^ and =default after it: {ACCEPTED}", argument=text
        )
    marks = match["marks"]
    field = Field(
        text=text,
        name=match["name"],
        kind=match["kind"],
        argument=(match["argument"] or "").strip(),
        is_optional="?" in marks,
        is_unique="!" in marks,
        is_indexed="^" in marks,
        default_text=match["default"],
    )
    names.check_field_name(field.name, entity)
    if field.column != field.name:
        names.check_field_name(field.column, entity)
    if field.kind not in {*KINDS, "ref"}:
        raise Fault("type", f"{field.kind or 'nothing'} is no type. Accepted: {ACCEPTED}", argument=text)
    if len(set(marks)) != len(marks):
        raise Fault("field", "each of ? ! ^ once", argument=text)
    (_check_reference if field.is_reference else _check_shape)(field)
    return field


def _check_reference(field: Field) -> None:
    if not re.fullmatch(r"[A-Za-z]\w*", field.argument):
        raise Fault("reference", "Accepted: ref(Other), an entity that is there", argument=field.text)
    if field.default_text is not None:
        raise Fault("default", "a reference has no default; ref(Other)? may be left out", argument=field.text)


def _check_shape(field: Field) -> None:
    try:
        shape = field.shape
    except BadKind as error:
        raise Fault("type", f"Accepted: {error}", argument=field.text) from None
    try:
        _ = field.default
    except BadKind as error:
        raise Fault("default", f"the default does not fit. Accepted: {error}", argument=field.text) from None
    if (field.is_unique or field.is_indexed) and shape.not_indexed_because:
        raise Fault("index", shape.not_indexed_because, argument=field.text)
    if field.is_unique and field.default_text is not None:
        raise Fault("default", "a unique field has no default: the second row would be refused", argument=field.text)
    if field.is_unique and shape.not_unique_because:
        raise Fault("index", shape.not_unique_because, argument=field.text)
