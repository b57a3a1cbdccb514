"""`app serve`: what `make run` runs."""

import gc
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from errno import EACCES, EADDRINUSE
from tempfile import TemporaryDirectory

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings, HTTP2Settings
from granian.log import LogLevels

from app.cli.migrate import migrated
from app.cli.report import Fault, say
from app.core.config import Settings
from app.core.environment import load_settings
from app.core.observability.metrics import SHARED_FOLDER
from app.core.observability.setup import configure_logging
from app.core.settings.faults import right

SHUTDOWN_TIMEOUT_S = 30  # for what is in flight, after DRAIN_SECONDS; then a worker is killed
MAX_HEAD_BYTES = 64 * 1024
MAX_CONNECTIONS = 8192  # of a worker, used or not; further ones wait in the listener's queue
PING_INTERVAL_S = 30  # of HTTP/2: a client that does not answer is gone

# To the root logger's handlers, as every other line. The name is the one that Granian documents.
LOGGERS = {"loggers": {"_granian": {"handlers": [], "propagate": True}, "granian.access": {"handlers": []}}}


def run() -> None:
    settings = load_settings()
    _require_free_port(settings)
    migrated(settings)
    _say_where(settings)
    configure_logging(settings)
    os.register_at_fork(after_in_child=_reset_signals)
    with _shared_metrics(settings):
        _preload()
        _serve(settings)


def _reset_signals() -> None:
    """A new worker ends on a signal until Granian handles it there; the main process's handler would drop it."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def _preload() -> None:
    """Import the app's modules before the workers fork: they share this memory, and a new worker starts at once.

    Each worker builds its own app, so no connection or thread is shared. On macOS, forking is not safe.
    """
    if sys.platform == "linux":
        import app.api
        import app.state  # noqa: F401

        multiprocessing.set_start_method("fork")  # the default until Python 3.13
        gc.freeze()  # a collection in a worker would write to the shared pages, and so copy them


def _serve(settings: Settings) -> None:
    server = Granian(
        "app.cli.worker_app:create",
        factory=True,
        interface=Interfaces.ASGI,
        address=settings.host,
        port=settings.port,
        workers=settings.web_concurrency,
        http=HTTPModes.auto if settings.http2_enabled else HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=settings.keep_alive_seconds * 1000,  # from the end of the last request
            max_buffer_size=MAX_HEAD_BYTES,
        ),
        http2_settings=HTTP2Settings(max_headers_size=MAX_HEAD_BYTES, keep_alive_interval=PING_INTERVAL_S * 1000),
        backpressure=MAX_CONNECTIONS,
        respawn_failed_workers=True,
        workers_kill_timeout=settings.drain_seconds + SHUTDOWN_TIMEOUT_S,
        log_level=LogLevels(settings.log_level.lower()),
        log_dictconfig=LOGGERS,
    )
    server.serve()


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
