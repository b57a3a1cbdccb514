"""The fields of a form, by a schema and the columns of its model."""

from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sqlalchemy import JSON, Boolean, Column, Date, DateTime, Text
from sqlalchemy.types import TypeDecorator
from wtforms import BooleanField, Field, Form, HiddenField, SelectField, StringField, TextAreaField

PREFIX = "row_"  # a column may be called `data` or `errors`, as what a form has of its own
SEEN = "seen"  # what the other fields showed when the page was made
CONTROL = {"class": "form-control"}
OWNER_HELP = "An id or an email address"


def make_form(model: Any, schema: type[BaseModel], more: dict[str, Field] | None = None) -> type[Form]:
    """A class: the fields of the schema, below `more`."""
    fields = {name: _field(model.__table__.columns[name], schema, name) for name in fields_of(model, schema)}
    prefixed = {f"{PREFIX}{name}": field for name, field in ((more or {}) | fields).items()}
    return type("RowForm", (Form,), prefixed | {SEEN: HiddenField()})


def fields_of(model: Any, schema: type[BaseModel]) -> dict[str, FieldInfo]:
    """The columns that a schema takes: what else it takes is for its router."""
    return {name: field for name, field in schema.model_fields.items() if name in model.__table__.columns}


def text_field(name: str, help_text: str = "") -> Field:
    return StringField(label_of(name), description=help_text, render_kw=CONTROL)


def label_of(name: str) -> str:
    return "Owner" if name == "user_id" else name.replace("_", " ").capitalize()


def _field(column: Column[Any], schema: type[BaseModel], name: str) -> Field:
    label, choices = label_of(name), _choices(schema, name)
    if isinstance(column.type, Boolean):
        if not column.nullable:
            return BooleanField(label, render_kw={"class": "form-check-input"})
        choices = ["true", "false"]
    if choices:
        blank = [("", "")] if column.nullable else []
        return SelectField(
            label, choices=[*blank, *((one, one) for one in choices)], render_kw={"class": "form-select"}
        )
    kind = kind_of(column)
    if issubclass(kind, (Text, JSON)):
        return TextAreaField(label, description="JSON" if kind is JSON else "", render_kw=CONTROL | {"rows": 5})
    if issubclass(kind, DateTime):
        return StringField(label, description="UTC", render_kw=CONTROL | {"type": "datetime-local", "step": "1"})
    return StringField(label, render_kw=CONTROL | ({"type": "date"} if issubclass(kind, Date) else {}))


def kind_of(column: Column[Any]) -> type:
    type_ = column.type
    return type(type_.impl_instance if isinstance(type_, TypeDecorator) else type_)


def _choices(schema: type[BaseModel], name: str) -> list[str]:
    annotation = schema.model_fields[name].annotation
    for part in (annotation, *get_args(annotation)):
        if get_origin(part) is Literal:
            return [str(choice) for choice in get_args(part)]
    return []
