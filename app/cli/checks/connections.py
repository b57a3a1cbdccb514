"""Connections: the server allows as many as an instance opens."""

from sqlalchemy import text

from app.cli.checks import Check, Finding
from app.cli.checks.database import ask
from app.cli.checks.settings import quiet_settings
from app.core.config import Settings
from app.core.database import Database
from app.core.settings.database_url import is_behind_pgbouncer

# What is left to those who are no superuser (https://www.postgresql.org/docs/current/runtime-config-connection.html).
# MySQL and MariaDB keep their superusers' one connection beside what they name.
ALLOWED = {
    "postgresql": "SELECT current_setting('max_connections')::int"
    " - current_setting('superuser_reserved_connections')::int"
    " - coalesce(current_setting('reserved_connections', true), '0')::int",
    "mysql": "SELECT @@max_connections",
}
POOLS = 2


def check() -> Check:
    settings = quiet_settings()
    backend = settings.url.get_backend_name()
    if backend not in ALLOWED:
        return Check(f"{backend} is a file, and has no limit")
    if is_behind_pgbouncer(settings.database_url):
        return Check("PgBouncer shares the server's out")
    allowed = ask(settings, _allowed)
    wanted = settings.web_concurrency * POOLS * settings.pool_size
    if wanted <= allowed:
        instances = "instance fits" if allowed // wanted == 1 else "instances fit"
        return Check(f"{wanted} of {allowed}: {allowed // wanted} such {instances}")
    return Check("", [_too_many(settings, wanted, allowed)])


async def _allowed(database: Database) -> int:
    async with database.read_engine.connect() as connection:
        statement = text(ALLOWED[connection.engine.url.get_backend_name()])
        return (await connection.execute(statement)).scalar_one()


def _too_many(settings: Settings, wanted: int, allowed: int) -> Finding:
    message = (
        f"DB_POOL_SIZE: {settings.web_concurrency} x {POOLS} pools of {settings.pool_size} open {wanted} connections, "
        f"and the server allows {allowed}"
    )
    fitting = allowed // (settings.web_concurrency * POOLS)
    right = f"DB_POOL_SIZE={fitting}" if fitting else f"DB_POOL_SIZE=1 and WEB_CONCURRENCY={max(allowed // POOLS, 1)}"
    return Finding(message, f"in .env or the environment, {right}; or raise the server's max_connections")
