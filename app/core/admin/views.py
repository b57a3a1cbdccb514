"""An entity's pages: what the API takes and shows of it, and written through the same rules."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from fastapi import Request
from markupsafe import Markup
from pydantic import BaseModel
from sqladmin import ModelView
from sqladmin.formatters import BASE_FORMATTERS
from sqlalchemy import BigInteger, ColumnElement, Integer, Select, String, cast, false, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import audit
from app.core.admin import references
from app.core.admin.fields import kind_of
from app.core.admin.options import refuse_what_does_nothing
from app.core.database import MAX_BIG_INTEGER, MAX_INTEGER, can_be_id, transaction
from app.core.errors import NotFound
from app.core.ownership import lock_row

MOST_COUNTED = 10_000  # a list ends there: what is deeper is found by searching and sorting
LONGEST_IN_A_LIST = 80
LONGEST_SEARCH = 200


def _brief(value: str) -> str:
    return value if len(value) <= LONGEST_IN_A_LIST else f"{value[:LONGEST_IN_A_LIST]}…"


def _time(value: datetime) -> Markup:
    return Markup('<span class="text-nowrap">{}</span>').format(value.isoformat(" ", "seconds").removesuffix("+00:00"))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _owner(row: Any, _: str, request: Request) -> Markup | str:
    """The account's page, where the row has an owner."""
    if row.user_id is None:
        return ""
    url = request.url_for("admin:details", identity="user", pk=row.user_id)
    return Markup('<a href="{}">{}</a>').format(url, row.user_id)


WRITTEN = {**BASE_FORMATTERS, datetime: _time, dict: _json, list: _json}


class EntityView(ModelView):
    """One entity; a subclass says what is special: `class TodoView(EntityView, model=Todo)`."""

    create_schema: ClassVar[Any] = None
    update_schema: ClassVar[Any] = None
    response_schema: ClassVar[Any] = None
    query_schema: ClassVar[Any] = None
    said: ClassVar[frozenset[str]] = frozenset()  # the names in the bodies of its classes, below this one

    icon = "fa-solid fa-table"
    can_export = can_import = False
    export_max_rows = MOST_COUNTED  # all of them are in memory at once
    page_size = 25
    page_size_options = [25, 50, 100]
    column_type_formatters = {**WRITTEN, str: _brief}
    column_type_formatters_detail = WRITTEN
    column_formatters = column_formatters_detail = {"user_id": _owner}

    def __init_subclass__(cls, **options: Any) -> None:
        """Raises TypeError for an option that would be ignored."""
        super().__init_subclass__(**options)
        cls.said = frozenset(vars(cls)).union(*(getattr(base, "said", vars(base)) for base in cls.__bases__))
        refuse_what_does_nothing(cls, cls.said)

    # --- reading: as sqladmin does it, on a connection that cannot write

    def _stmt_by_identifier(self, identifier: str) -> Select[Any]:
        return select(self.model).where(self.pk_columns[0] == self._key(identifier))

    def _key(self, text: str) -> Any:
        """Raises NotFound for what is no id."""
        try:
            key = self.pk_columns[0].type.python_type(text)
        except ValueError:
            raise NotFound from None
        if not can_be_id(key):
            raise NotFound
        return key

    async def count(self, request: Request, stmt: Select[Any] | None = None) -> int:  # noqa: ARG002 - it has no bound
        wanted = self.list_query(request)
        if term := request.query_params.get("search"):
            wanted = self.search_query(wanted, term)
        some = wanted.with_only_columns(*self.pk_columns).limit(MOST_COUNTED).subquery()
        return (await self._run_query(select(func.count()).select_from(some)))[0]

    def search_query(self, stmt: Select[Any], term: str) -> Select[Any]:
        term = term[:LONGEST_SEARCH]
        return stmt.where(
            or_(false(), *(self._matches(getattr(self.model, name), term) for name in self._search_fields))
        )

    def sort_query(self, stmt: Select[Any], request: Request) -> Select[Any]:
        """Of rows that are alike in the column none is on two pages, and none on no page."""
        return super().sort_query(stmt, request).order_by(*self.pk_columns)

    def _matches(self, column: Any, term: str) -> ColumnElement[bool]:
        kind = kind_of(column)
        if issubclass(kind, Integer):
            largest = MAX_BIG_INTEGER if issubclass(kind, BigInteger) else MAX_INTEGER
            is_one = term.isdecimal() and len(term) <= references.LONGEST_ID and int(term) <= largest
            return column == int(term) if is_one else false()
        text = column if issubclass(kind, String) else cast(column, String)
        return text.icontains(term, autoescape=True)

    # --- writing: in a transaction of the house's own, with its audit trail

    async def insert(self, request: Request, body: BaseModel, placed: Mapping[str, str]) -> Any:
        """Raises AppError, and IntegrityError for what the database refuses."""
        async with transaction(request) as db:
            values = self._values(body.model_dump())
            await references.require(db, self.model, values)
            row = self.model(**values, **await references.place(db, self.model, placed))
            db.add(row)
            await db.flush()
            self._note(db, request, "row_created", row, values)
            return row

    async def change(self, request: Request, pk: str, body: BaseModel) -> Any:
        """Raises as `insert` does."""
        async with transaction(request) as db:
            row = await self._locked(db, request, pk)
            changed = self._values(body.model_dump(exclude_unset=True))
            await references.require(db, self.model, changed)
            body.apply_to(row)  # ty: ignore[missing-attribute]
            await db.flush()
            self._note(db, request, "row_changed", row, changed)
            return row

    async def remove(self, request: Request, pk: str) -> None:
        """Raises as `insert` does."""
        async with transaction(request) as db:
            row = await self._locked(db, request, pk)
            await db.delete(row)
            await db.flush()
            self._note(db, request, "row_deleted", row, ())

    def _values(self, body: dict[str, Any]) -> dict[str, Any]:
        model: Any = self.model
        return {name: value for name, value in body.items() if name in model.__table__.columns}

    async def _locked(self, db: AsyncSession, request: Request, pk: str) -> Any:
        model: Any = self.model
        return await lock_row(db, model, self._key(pk), request.state.admin_user)

    def _note(self, db: AsyncSession, request: Request, event: audit.Event, row: Any, fields: Iterable[str]) -> None:
        about = {"entity": self.model.__name__, "row": str(row.id), "fields": sorted(fields)}
        owner, actor = getattr(row, "user_id", None), request.state.admin_user
        audit.record(db, request, event, user_id=owner, actor_id=actor.id, session_id=actor.session_id, **about)
