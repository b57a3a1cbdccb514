"""`app serve`: what `make run` runs."""

import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from errno import EACCES, EADDRINUSE
from tempfile import TemporaryDirectory

from app.cli.migrate import migrated
from app.cli.report import Fault, say
from app.core.config import Settings
from app.core.config_faults import right
from app.core.environment import load_settings
from app.core.metrics import SHARED_FOLDER
from app.core.server import make_config, serve


def run() -> None:
    settings = load_settings()
    _require_free_port(settings)
    migrated(settings)
    _say_where(settings)
    config = make_config(
        "app.main:app",
        host=settings.host,
        port=settings.port,
        workers=settings.web_concurrency,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        drain_seconds=settings.drain_seconds,
        keep_alive_seconds=settings.keep_alive_seconds,
    )
    with _shared_metrics(settings):
        serve(config)


@contextmanager
def _shared_metrics(settings: Settings) -> Generator[None]:
    """Several workers write what they counted into files of one folder, so that any of them can tell it all."""
    if settings.web_concurrency == 1 or SHARED_FOLDER in os.environ:
        yield
        return
    with TemporaryDirectory(prefix="metrics-") as folder:
        os.environ[SHARED_FOLDER] = folder
        yield


def _require_free_port(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            where = f"cannot listen on {settings.host}:{settings.port} ({error.strerror})"
            if error.errno not in (EADDRINUSE, EACCES):
                raise Fault("host", f"{where}. {right(settings, 'host')}", argument="HOST", exit_code=1) from None
            raise Fault(
                "port",
                f"{where}. Stop what listens there, or choose another: make run PORT={settings.port + 1}",
                argument="PORT",
                exit_code=1,
            ) from None


def _say_where(settings: Settings) -> None:
    host = "localhost" if settings.host in ("127.0.0.1", "0.0.0.0", "::", "::1") else settings.host
    address = f"http://{host}:{settings.port}"
    docs = f"  Docs      {address}/docs\n" if settings.docs_enabled else ""
    admin = f"  Admin     {address}/admin/\n" if settings.admin_enabled else ""
    say(
        False,
        f"\n{settings.app_name} on {address}  ({settings.url.get_backend_name()}, {settings.environment})\n"
        f"{docs}{admin}"
        f"  Try       curl -X POST {address}/api/v1/auth/register -H 'Content-Type: application/json' "
        '-d \'{"email": "you@example.com", "password": "correct horse"}\'\n'
        "  Next      .venv/bin/app create-superuser --email you@example.com\n",
    )
