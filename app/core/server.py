"""The server of `app serve`: uvicorn's, with an end in which nothing that a client sent is lost.

SIGTERM is a supervisor's, and drains: what is connected is answered first. SIGINT is Ctrl-C, and does not wait
for idle connections; a second one waits for nothing. A second SIGTERM changes nothing: a supervisor that signals the
whole group reaches each worker twice, and whoever is out of patience sends SIGKILL.
"""

import asyncio
import ctypes
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from types import FrameType

from uvicorn import Config, Server
from uvicorn.supervisors import multiprocess

from app.core.protocol import DRAINING, LimitedProtocol

SHUTDOWN_TIMEOUT_S = 30
STARTUP_FAILURE = 3  # the exit code that uvicorn gives it
WORKER_ANSWERS_S = 30  # or it hangs and is replaced; it starts in that time too, on a busy machine
LAST_CONNECTIONS_S = 0.1  # more than a handshake takes in one network
SHARED_LISTENER_S = 0.5  # and than the process above the workers needs to refuse connections

SO_ATTACH_FILTER = 26  # Linux, asm-generic/socket.h; Python does not name it
# What a listening socket hears: everything but a SYN, which opens a connection. In the kernel's BPF (linux/filter.h).
NO_SYN = b"".join(
    struct.pack("=HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, 13),  # load the byte of TCP's flags
        (0x45, 0, 1, 0x02),  # without SYN skip one
        (0x06, 0, 0, 0),  # drop
        (0x06, 0, 0, 0xFFFFFFFF),  # keep
    )
)


class ServerConfig(Config):
    """uvicorn's, and how long SIGTERM leaves the listener open."""

    drain_seconds: int = 0


class DrainingServer(Server):
    _drains = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            self._drains = sig == signal.SIGTERM
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """`sockets` are shared with other workers, when there are any: who has them all stops them, `Workers`."""
        if self._drains:
            self.lifespan.state[DRAINING] = True  # what requests see as theirs: /health/ready, and the protocol
            await self._wait(getattr(self.config, "drain_seconds", 0))
            if sockets is None:
                refuse_connections(listener for server in self.servers for listener in server.sockets)
            await self._wait(LAST_CONNECTIONS_S if sockets is None else SHARED_LISTENER_S)
        await super().shutdown(sockets)

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.force_exit:  # noqa: ASYNC110 - a signal's handler sets no event
                    await asyncio.sleep(0.05)


class Worker(multiprocess.Process):
    @property
    def server(self) -> Server:
        if self._server is None:
            self._server = DrainingServer(self.config)
        return self._server

    def is_alive(self, timeout: float = WORKER_ANSWERS_S) -> bool:
        """uvicorn's own would wait for the answer of one that has just died until the time is over."""
        deadline = time.monotonic() + timeout
        while self.process.is_alive() and time.monotonic() < deadline:
            if self.ping(timeout=1):
                return True
        return False


class Workers(multiprocess.Multiprocess):
    """Several processes on one port. One that dies is replaced; SIGHUP replaces them one by one, losing nothing."""

    def terminate_all(self) -> None:
        """The listener that is open here would go on taking connections, for nobody."""
        super().terminate_all()
        time.sleep(getattr(self.config, "drain_seconds", 0))
        refuse_connections(self.sockets)
        for listener in self.sockets:
            listener.close()


def serve(config: ServerConfig) -> None:
    """Until a signal; raises SystemExit when it did not start."""
    if config.workers > 1:
        multiprocess.Process = Worker  # ty: ignore[invalid-assignment]  # uvicorn has no other place for it
        Workers(config, sockets=[config.bind_socket()]).run()
        return
    config.load_app()
    server = DrainingServer(config)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def make_config(app: str, *, drain_seconds: int, keep_alive_seconds: int, **options: object) -> ServerConfig:
    config = ServerConfig(
        app,
        http=LimitedProtocol,
        server_header=False,
        log_config=None,
        timeout_keep_alive=keep_alive_seconds,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
        timeout_worker_healthcheck=WORKER_ANSWERS_S,
        **options,  # ty: ignore[invalid-argument-type]
    )
    config.drain_seconds = drain_seconds
    return config


def refuse_connections(listeners: Iterable[socket.socket]) -> None:
    """No connection is begun from now on; those that were can be accepted before the listener is closed.

    A listener that is closed resets what it has not accepted yet, with the request in it. Whom this keeps out tries
    again after a second (TCP's own), and is refused then, when it can go elsewhere. Where it is not possible (not
    Linux), the moment between the last connection and the end remains.
    """
    program = ctypes.create_string_buffer(NO_SYN, len(NO_SYN))
    words = struct.pack("HL", len(NO_SYN) // 8, ctypes.addressof(program))
    for listener in listeners:
        if sys.platform == "linux":
            with (
                suppress(OSError),
                socket.socket(fileno=os.dup(listener.fileno())) as own,
            ):  # uvloop's has no setsockopt
                own.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, words)
