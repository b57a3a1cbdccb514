"""Database addresses as people write them, and the asynchronous driver behind each."""

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "mysql": "mysql+asyncmy",
    "mariadb": "mysql+asyncmy",
}


def async_url(address: str) -> URL:
    """The address with its driver: `postgres://h/x` is `postgresql+asyncpg://h/x`.

    Raises:
        ValueError: not an address, or of a database that cannot be used.
    """
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise ValueError("not a database address") from None
    scheme = url.drivername.partition("+")[0]
    if scheme not in DRIVERS:
        raise ValueError(f"'{scheme}' is not a supported database")
    if scheme == "sqlite" and url.database in (None, "", ":memory:"):
        raise ValueError("SQLite in memory is another database for each connection")
    if scheme != "sqlite" and not url.database:
        raise ValueError("names no database")
    url = url.set(drivername=DRIVERS[scheme])
    if scheme.startswith("postgres"):
        return _with_asyncpg_names(url)
    return url


def _with_asyncpg_names(url: URL) -> URL:
    """libpq's query parameters (hosts hand them out with their addresses) under the names that asyncpg takes."""
    query = dict(url.query)
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    query.pop("channel_binding", None)
    query.pop("pgbouncer", None)
    return url.set(query=query)


def is_behind_pgbouncer(address: str) -> bool:
    """Whether it ends in `?pgbouncer=true`, as hosts of PostgreSQL write the address of their pool."""
    return make_url(address).query.get("pgbouncer") == "true"
