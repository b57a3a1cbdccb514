"""The ASGI application of each worker of `app serve`: the app with client addresses from proxies and with draining."""

import asyncio
import gc
import os
import signal

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware


def create() -> ProxyHeadersMiddleware:
    """The factory that Granian calls in each worker."""
    from app.main import app

    gc.freeze()  # what was imported stays: no collection walks through it again
    settings = app.state.settings
    return ProxyHeadersMiddleware(
        Draining(app, settings.drain_seconds),  # ty: ignore[invalid-argument-type] - uvicorn types ASGI by itself
        trusted_hosts=settings.forwarded_allow_ips,
    )


class Draining:
    """Delays the stop on SIGTERM by `seconds`: requests are served, and /health/ready returns 503.

    Each response meanwhile has `Connection: close`. A proxy loses a request that it sends on an idle connection at the
    moment the server closes it, so connections are closed by a response before the server stops.
    """

    def __init__(self, app: FastAPI, seconds: int) -> None:
        self.app = app
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" and self.seconds:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._drain)
        if scope["type"] == "http" and self._is_draining and scope["http_version"].startswith("1"):
            send = _closing(send)
        await self.app(scope, receive, send)

    @property
    def _is_draining(self) -> bool:
        return self.app.state.readiness.is_draining

    def _drain(self) -> None:
        """SIGINT then makes Granian stop the worker, as SIGTERM would have."""
        if not self._is_draining:
            self.app.state.readiness.is_draining = True
            asyncio.get_running_loop().call_later(self.seconds, os.kill, os.getpid(), signal.SIGINT)


def _closing(send: Send) -> Send:
    async def send_closing(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["Connection"] = "close"
        await send(message)

    return send_closing
