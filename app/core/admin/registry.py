"""What the admin shows: `admin.add(Todo)`, or a view of one's own."""

import importlib
import re
from types import new_class
from typing import Any

from app.core.admin.fields import fields_of, label_of
from app.core.admin.views import EntityView

SCHEMAS = ("create", "update", "response", "query")
LISTS = ("column_list", "column_details_list")


class Registry:
    def __init__(self) -> None:
        self._added: list[type] = []

    def add(self, entity: type) -> None:
        """An entity's model, or a subclass of EntityView that says what is special about one."""
        self._added.append(entity)

    def views(self) -> list[type[EntityView]]:
        """Fresh classes: sqladmin keeps in them what is one site's."""
        return [_view_of(entity) for entity in self._added]


def _view_of(entity: Any) -> type[EntityView]:
    base, model = (entity, entity.model) if issubclass(entity, EntityView) else (EntityView, entity)
    schemas = {f"{kind}_schema": _schema(base, model, kind) for kind in SCHEMAS}
    labels = {"column_labels": {name: label_of(name) for name in _shown(model, schemas)} | dict(base.column_labels)}
    defaults = _names(model) | _columns(base, model, schemas)
    attributes = schemas | labels | {name: value for name, value in defaults.items() if not _says(base, name)}
    view = new_class(f"{model.__name__}View", (base,), {"model": model}, lambda body: body.update(attributes))
    for name in _keys(view.column_searchable_list):
        if name not in model.__table__.columns:
            raise LookupError(f"app/admin.py: {base.__name__} searches {name}, which is no column of {model.__name__}")
    return view


def _says(base: Any, name: str) -> bool:
    """A list of no columns is none: sqladmin would show them all."""
    return name in base.said and (name not in LISTS or bool(getattr(base, name)))


def _columns(base: Any, model: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    """What is shown, sorted and searched, as the schemas say, without what the view hides."""
    shown, query = _shown(model, schemas), schemas["query_schema"]
    hidden, hidden_in_details = _keys(base.column_exclude_list), _keys(base.column_details_exclude_list)
    found = {
        "column_list": [name for name in shown if name not in hidden],
        "column_details_list": [name for name in shown if name not in hidden_in_details],
        "column_sortable_list": [name for name in query.sortable if name in shown and name not in hidden],
        "column_searchable_list": [name for name in query.searchable if name in shown and name not in hidden],
        "column_default_sort": ("id", True),  # the newest first
    }
    if not all(found[name] for name in LISTS):
        raise LookupError(f"app/admin.py: {base.__name__} hides every column")
    return found


def _shown(model: Any, schemas: dict[str, Any]) -> list[str]:
    return [name for name in schemas["response_schema"].model_fields if name in model.__mapper__.column_attrs]


def _keys(columns: Any) -> list[str]:
    return [column if isinstance(column, str) else column.key for column in columns]


def _names(model: Any) -> dict[str, str]:
    """`Example item` and `Example items`, by the names of the class and its table."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", model.__name__).capitalize()
    return {"name": name, "name_plural": model.__tablename__.replace("_", " ").capitalize()}


def _schema(base: Any, model: Any, kind: str) -> Any:
    """What the API takes or shows: the view's own, or the class of that name in the `schemas.py` beside the model."""
    own = getattr(base, f"{kind}_schema")
    if own is None and _is_wanted(base, kind):
        module = importlib.import_module(f"{model.__module__.rpartition('.')[0]}.schemas")
        own = getattr(module, f"{model.__name__}{kind.capitalize()}", None)
        if own is None:
            raise _missing(kind, f"{module.__name__} has no {model.__name__}{kind.capitalize()}")
    if own is not None and kind in ("create", "update"):
        for name, field in own.model_fields.items():
            if field.is_required() and name not in fields_of(model, own):
                raise _missing(kind, f"{own.__name__} requires {name}, which is no column of {model.__name__}")
    return own


def _is_wanted(base: Any, kind: str) -> bool:
    return {"create": base.can_create, "update": base.can_edit}.get(kind, True)


def _missing(kind: str, why: str) -> LookupError:
    return LookupError(f"app/admin.py: {why}; a view of one's own may name another as {kind}_schema")
