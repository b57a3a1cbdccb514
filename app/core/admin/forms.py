"""A form made of a schema: what is typed goes through the same rules as what is sent to the API."""

import json
from datetime import datetime
from hashlib import blake2b
from typing import Any

from pydantic import BaseModel, ValidationError
from sqlalchemy import JSON, Boolean, Column, DateTime, String
from wtforms import Form

from app.core.admin.fields import PREFIX, fields_of, kind_of
from app.core.errors import Invalid
from app.core.http.strict_json import parse

LENGTH_WITHOUT_SECONDS = len("2026-01-02T03:04")  # as browsers send a full minute


def of_row(row: Any, schema: type[BaseModel]) -> dict[str, Any]:
    """What the form of a row shows."""
    columns = type(row).__table__.columns
    return {f"{PREFIX}{name}": _shown(columns[name], getattr(row, name)) for name in fields_of(type(row), schema)}


def of_nothing(model: Any, schema: type[BaseModel]) -> dict[str, Any]:
    """What the form of a new row shows: the defaults."""
    fields = {name: field for name, field in fields_of(model, schema).items() if not field.is_required()}
    columns = model.__table__.columns
    return {
        f"{PREFIX}{name}": _shown(columns[name], field.get_default(call_default_factory=True, validated_data={}))
        for name, field in fields.items()
    }


def digests(shown: dict[str, Any]) -> str:
    """What a page remembers of the values that it shows, to tell later which of them somebody touched."""
    return json.dumps({name: _digest(value) for name, value in shown.items()})


def checked(form: Form, model: Any, schema: type[BaseModel], seen: str) -> BaseModel | None:
    """What was typed where it differs from what was seen, as the schema takes it; None when a field says what is wrong.

    What nobody touched is not sent: another's change of it stays, and so does what a field cannot show whole (a
    datetime's microseconds).
    """
    values, before = {}, _read(seen)
    for name, field in fields_of(model, schema).items():
        column = model.__table__.columns[name]
        typed = _typed(column, form[f"{PREFIX}{name}"].data)
        is_untouched = before.get(f"{PREFIX}{name}", NOTHING) == _digest(typed)
        if is_untouched and not (field.is_required() and issubclass(kind_of(column), String)):
            continue
        try:
            values[name] = _value(column, typed)
        except (ValueError, RecursionError):
            complain(form, name, message="Not JSON")
        except Invalid as error:
            complain(form, name, message=error.message)
    try:
        body = schema.model_validate(values)
    except ValidationError as error:
        for fault in error.errors(include_input=False, include_url=False):
            complain(form, *fault["loc"][:1], message=fault["msg"])
    return None if form.errors else body


def complain(form: Form, *name: object, message: str) -> None:
    """At the field of that name; at the form when it has none."""
    field = form[f"{PREFIX}{name[0]}"] if name and f"{PREFIX}{name[0]}" in form else None
    if field is None:
        form.form_errors.append(message)
    elif not field.errors:
        field.errors = [message]


def _digest(value: Any) -> str:
    return blake2b(str(value or "").encode(), digest_size=8).hexdigest()


NOTHING = _digest(None)


def _read(seen: str) -> dict[str, Any]:
    try:
        found = parse(seen.encode())
    except (ValueError, RecursionError, Invalid):
        return {}
    return found if isinstance(found, dict) else {}


def _shown(column: Column[Any], value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower() if column.nullable else value
    if issubclass(kind_of(column), JSON):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, datetime):
        return value.replace(microsecond=0, tzinfo=None).isoformat()
    return str(value).replace("\r\n", "\n")


def _typed(column: Column[Any], text: Any) -> Any:
    """As the field showed it, where the browser only writes it in another way."""
    if not isinstance(text, str):
        return text
    is_minute = issubclass(kind_of(column), DateTime) and len(text) == LENGTH_WITHOUT_SECONDS
    return f"{text}:00" if is_minute else text.replace("\r\n", "\n")


def _value(column: Column[Any], typed: Any) -> Any:
    """Raises ValueError for what is no JSON."""
    kind = kind_of(column)
    if typed == "":
        return None if column.nullable else ""
    if issubclass(kind, DateTime):
        return f"{typed}Z"
    if issubclass(kind, Boolean) and isinstance(typed, str):
        return {"true": True, "false": False}.get(typed, typed)
    return parse(typed.encode()) if issubclass(kind, JSON) else typed
