"""PgBouncer in transaction mode: each transaction may run on another of its connections to the server.

So nothing may be left in a session for later, no prepared statement either; and what a session is told elsewhere when
it begins (its limits, its time zone) is told to each transaction, in the message that begins it.
https://www.pgbouncer.org/features.html
"""

from collections.abc import Mapping
from typing import Any


def driver_options(settings: Mapping[str, str]) -> dict[str, Any]:
    """Of asyncpg's and SQLAlchemy's caches of prepared statements, and the class of its connections."""
    return {
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
        "prepared_statement_name_func": str,  # no name: the next statement takes its place
        "connection_class": _connection_class(settings),
    }


def _connection_class(settings: Mapping[str, str]) -> type:
    from asyncpg import Connection

    local = " ".join(f"SET LOCAL {name} = '{value}';" for name, value in settings.items())

    class PooledConnection(Connection):
        async def execute(self, query: str, *args: Any, **options: Any) -> str:
            if query.startswith("BEGIN"):
                query += local
            return await super().execute(query, *args, **options)

    return PooledConnection
