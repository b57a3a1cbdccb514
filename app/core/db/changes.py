"""What a transaction changed, told to whoever remembers rows: after its commit, and before anybody is answered.

Rows that the session flushes tell whose they are; an UPDATE, DELETE or INSERT of many rows only tells their table.
What is sent past the session, on `await db.connection()`, is not told: for notes that nobody remembers.
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Literal, NamedTuple

from sqlalchemy import Table, TextClause, event
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction
from sqlalchemy.orm.attributes import PASSIVE_NO_INITIALIZE, get_history
from sqlalchemy.util import await_only

Kind = Literal["insert", "update", "delete"]


class Change(NamedTuple):
    """One or more rows of a table; `owner` is None where it is not known, `table` where it may be any."""

    kind: Kind
    table: str | None
    owner: int | None


Listener = Callable[[set[Change]], Awaitable[None]]


def watched(hear: Listener) -> type[Session]:
    """A class of sessions whose changes are heard: after the commit, also when it is not known how that ended."""
    watching = type("WatchedSession", (Session,), {})
    event.listen(watching, "after_flush", _note_flush)
    event.listen(watching, "do_orm_execute", _note_statement)
    event.listen(watching, "before_commit", _note_commit)

    def tell(session: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is not None:
            return  # the end of a savepoint
        changes = session.info.pop("changes", None)
        if session.info.pop("is_commit_tried", False) and changes:
            await_only(hear(changes))  # the session is asynchronous: this runs in its greenlet

    event.listen(watching, "after_transaction_end", tell)
    return watching


def note(session: Session, change: Change) -> None:
    session.info.setdefault("changes", set()).add(change)


def _note_commit(session: Session) -> None:
    session.info["is_commit_tried"] = True


def _note_flush(session: Session, _context: Any) -> None:
    for change in _flushed(session):
        note(session, change)


def _flushed(session: Session) -> Iterator[Change]:
    rows: tuple[tuple[Kind, Any], ...] = (
        ("insert", session.new),
        ("update", session.dirty),
        ("delete", session.deleted),
    )
    for kind, changed in rows:
        for row in changed:
            for owner in _owners(row, kind):
                yield Change(kind, row.__tablename__, owner)


def _owners(row: Any, kind: Kind) -> set[int | None]:
    """Whose the row is and, where that was changed, was; an account is its own."""
    name = "id" if row.__tablename__ == "users" else "user_id"
    if name not in row.__mapper__.attrs:
        return {None}
    added, unchanged, deleted = get_history(row, name, PASSIVE_NO_INITIALIZE)
    if kind == "update" and added and not deleted:
        return {None}  # whose it was has not been read
    return {*(added or ()), *(unchanged or ()), *(deleted or ())} or {None}


def _note_statement(state: ORMExecuteState) -> None:
    if state.is_select:
        return
    statement: Any = state.statement
    if isinstance(statement, TextClause):
        note(state.session, Change("delete", None, None))  # whatever it is
    elif state.is_insert or state.is_update or state.is_delete:
        kind: Kind = "insert" if state.is_insert else "update" if state.is_update else "delete"
        table = statement.table
        note(state.session, Change(kind, table.name if isinstance(table, Table) else None, None))
