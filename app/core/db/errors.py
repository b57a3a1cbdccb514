"""What a database's error means, and what of it may be told: the drivers each say it in their own way."""

from typing import Self

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

# PostgreSQL's classes: connection exception, transaction rollback, insufficient resources, lock not available,
# operator intervention (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_PASSING_SQLSTATES = ("08", "40", "53", "55P03", "57")
_PASSING_SQLITE = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN")
# The connection was killed, the server shuts down, the client has lost it.
_LOST_MYSQL = {1053, 1927, 2006, 2013, 2014, 4031}
_OUT_OF_TIME_MYSQL = {1969, 3024}  # MariaDB's, MySQL's
# Too many connections, lock wait timeout, deadlock, interrupted, no connection.
_PASSING_MYSQL = {1040, 1205, 1213, 1317, 2002, 2003, *_OUT_OF_TIME_MYSQL, *_LOST_MYSQL}
_LOST_SQLSTATES = ("08", "57P")  # connection exception; the server shuts down, or an operator ended it

_CONFLICTS = ("40001", "40P01")  # serialization failure, deadlock detected
_MYSQL_DEADLOCK = 1213

# Unique and foreign-key violations. 23001 is ON DELETE RESTRICT, and SQLite's TRIGGER too when it says so.
_TAKEN_SQLSTATES = ("23505", "23503", "23001")
_TAKEN_MYSQL = {1062, 1169, 1216, 1217, 1451, 1452, 1557, 1586, 1761, 1762}
_TAKEN_SQLITE = {f"SQLITE_CONSTRAINT_{kind}" for kind in ("UNIQUE", "PRIMARYKEY", "ROWID", "FOREIGNKEY")}
_SQLITE_FOREIGN_KEY = "FOREIGN KEY constraint failed"

# What names a connection, an account, a table or a column, and no value: PostgreSQL's classes of those, MySQL's server
# errors up to 1049 and two more, and its client's. MySQL's syntax errors quote the parameters.
_PLAIN_SQLSTATES = ("08", "28", "3D", "42", "53", "57")
_PLAIN_MYSQL = {*range(1000, 1050), 1054, 1146, *range(2000, 3000)}

# Libraries whose words can hold a row, a parameter or an input: PostgreSQL says "Failing row contains (...)".
_TALKATIVE = ("sqlalchemy", "asyncpg", "asyncmy", "sqlite3", "aiosqlite", "pydantic", "fastapi")


class DatabaseAway(ConnectionError):
    """The database cannot be connected to, or stopped answering in the middle of a statement.

    A ConnectionError, so that code that handles an unreachable server handles this one.
    """

    @classmethod
    def of(cls, error: Exception) -> Self:
        return cls(f"{type(error).__name__}: {error}")


def is_taken(error: DBAPIError) -> bool:
    """Whether the statement violates a unique or foreign key: another row is there, or a referenced one is not."""
    if (number := _mysql_number(error)) is not None:
        return number in _TAKEN_MYSQL
    if sqlstate := _sqlstate(error):
        return sqlstate in _TAKEN_SQLSTATES
    return _sqlite_name(error) in _TAKEN_SQLITE or str(error.orig) == _SQLITE_FOREIGN_KEY


def is_passing(error: DBAPIError) -> bool:
    """Whether the same request may succeed in a moment: the database is away, full, or chose another's transaction."""
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return True
    if (number := _mysql_number(error)) is not None:
        return number in _PASSING_MYSQL
    return _sqlstate(error).startswith(_PASSING_SQLSTATES) or _sqlite_name(error).startswith(_PASSING_SQLITE)


def is_lost(error: DBAPIError) -> bool:
    """Whether it was the connection that ended, not the statement that failed: another connection may answer."""
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return True
    return _mysql_number(error) in _LOST_MYSQL or _sqlstate(error).startswith(_LOST_SQLSTATES)


def is_out_of_time(error: DBAPIError) -> bool:
    """Whether the statement took longer than it may."""
    return _mysql_number(error) in _OUT_OF_TIME_MYSQL or _sqlstate(error) == "57014"


def is_conflict(error: DBAPIError) -> bool:
    """Whether the database rolled the transaction back in favour of another's: a deadlock, a failed serialization, or
    a migration that has changed what a prepared statement gives."""
    is_outdated = type(error.orig).__name__ == "InvalidCachedStatementError"  # SQLAlchemy's own, without a sqlstate
    return is_outdated or _mysql_number(error) == _MYSQL_DEADLOCK or _sqlstate(error) in _CONFLICTS


def describe(error: BaseException) -> str:
    """The error in one line without a stored or sent value in it."""
    if isinstance(error, DBAPIError):
        code = _sqlstate(error) or _sqlite_name(error)
        words = str(error.orig).partition("\n")[0] if _is_plain(error) else None
        return " ".join(" ".join(filter(None, (f"{type(error.orig).__name__}:", code, words, error.statement))).split())
    if type(error).__module__.startswith(_TALKATIVE):
        return type(error).__name__
    return f"{type(error).__name__}: {error}"


def _is_plain(error: DBAPIError) -> bool:
    if (number := _mysql_number(error)) is not None:
        return number in _PLAIN_MYSQL
    if sqlstate := _sqlstate(error):
        return sqlstate.startswith(_PLAIN_SQLSTATES)
    return isinstance(error, OperationalError)  # SQLite's: a missing table or file, a lock


def _mysql_number(error: DBAPIError) -> int | None:
    number = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return number if isinstance(number, int) else None


def _sqlstate(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _sqlite_name(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlite_errorname", None) or ""
