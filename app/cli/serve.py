"""`app serve`: what `make run` runs."""

import os
import socket

import typer
import uvicorn

from app.cli.migrate import migrated
from app.cli.report import Fault
from app.core.config import Settings
from app.core.environment import load_settings
from app.core.protocol import LimitedProtocol

SHUTDOWN_TIMEOUT_S = 30


def run() -> None:
    settings = load_settings()
    _require_free_port(settings)
    migrated(settings)
    _say_where(settings)
    uvicorn.run(
        "app.main:app",
        http=LimitedProtocol,
        host=settings.host,
        port=settings.port,
        workers=settings.web_concurrency,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        server_header=False,
        log_config=None,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
    )


def _require_free_port(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            raise Fault(
                "port",
                f"cannot listen on {settings.host}:{settings.port} ({os.strerror(error.errno or 0)}). "
                f"Stop what listens there, or choose another: make run PORT={settings.port + 1}",
                argument="PORT",
                exit_code=1,
            ) from None


def _say_where(settings: Settings) -> None:
    host = "localhost" if settings.host in ("127.0.0.1", "0.0.0.0", "::", "::1") else settings.host
    address = f"http://{host}:{settings.port}"
    docs = f"  Docs      {address}/docs\n" if settings.docs_enabled else ""
    typer.echo(
        f"\n{settings.app_name} on {address}  ({settings.url.get_backend_name()}, {settings.environment})\n"
        f"{docs}"
        f"  Try       curl -X POST {address}/api/v1/auth/register -H 'Content-Type: application/json' "
        '-d \'{"email": "you@example.com", "password": "correct horse"}\'\n'
        "  Next      .venv/bin/app create-superuser --email you@example.com\n"
    )
