"""What happens to every request before it is routed, and to every answer: pure ASGI."""

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Sequence

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.config import Settings
from app.core.errors import AppError, ContentTooLarge, RequestTimeout, render
from app.core.observability.logs import request_id, route_template
from app.core.observability.metrics import METHODS, RequestMetrics
from app.core.rate_limit import POLICY_HEADER, STATE_HEADER, rate_limit_headers

logger = logging.getLogger("app.access")

BODY_TIMEOUT_S = 30.0  # 35 KB a second for MAX_BODY_BYTES
# They make no link and no redirect, and who asks them (Prometheus, a balancer, a probe) asks by address.
FOR_ANY_HOST = frozenset({"/health/live", "/health/ready", "/metrics"})
SAFE_REQUEST_ID = re.compile(rb"[A-Za-z0-9-]{1,64}")
EXPOSED_HEADERS = [
    "ETag",
    "Link",
    "Location",
    POLICY_HEADER,
    STATE_HEADER,
    "Retry-After",
    "X-Request-ID",
    "X-Total-Count",
]


def add_middleware(app: FastAPI, settings: Settings, metrics: RequestMetrics) -> None:
    """The last that is added is the first that a request meets."""
    app.add_middleware(BodyLimit, max_body_size=settings.max_body_bytes)
    if settings.allowed_hosts:
        app.add_middleware(AllowedHosts, hosts=settings.allowed_hosts)
    app.add_middleware(Requests, metrics=metrics, https=settings.environment == "production")
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_credentials=True,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "If-Match", "Idempotency-Key", "X-Request-ID"],
            expose_headers=EXPOSED_HEADERS,
            max_age=600,
        )


# OWASP's headers for a JSON API (REST Security Cheat Sheet); a route's own value of one is kept.
SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
HTTPS_HEADERS = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}


class Requests:
    """Gives each request its id, its log line, its metrics and the headers of its response; an unhandled error is a
    500 without details."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics, *, https: bool) -> None:
        self.app = app
        self.metrics = metrics
        headers = SECURITY_HEADERS | (HTTPS_HEADERS if https else {})
        self.headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, _one_line(send))
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        identifier = _request_id(scope)
        token = request_id.set(identifier)
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                sent = message["headers"]
                names = {name for name, _ in sent}
                own = [header for header in self.headers if header[0] not in names]
                limits = rate_limit_headers(scope)
                message["headers"] = [*sent, *own, (b"x-request-id", identifier.encode()), *limits]
            await send(message)

        try:
            # A route's regular expression ends in $, which matches before a last newline too: a proxy that closes
            # /metrics does not close /metrics%0A.
            app = NOT_FOUND if scope["path"].endswith("\n") else self.app
            await app(scope, receive, send_with_headers)
        except Exception:
            logger.exception("unhandled error", extra={"route": route_template(scope), **_user(scope)})
            if status:
                raise  # the response has begun: only closing the connection tells the client
            await render(AppError())(scope, receive, send_with_headers)
        finally:
            self._record(scope, status, time.perf_counter() - started)
            request_id.reset(token)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        """The request's metrics and log line."""
        route, method = route_template(scope), scope["method"]
        self.metrics.counted.durations.labels(method if method in METHODS else "OTHER", route, status).observe(seconds)
        if self.metrics.otel_durations is not None:
            self.metrics.observe_otel(scope, route, status, seconds)
        if logger.isEnabledFor(logging.INFO):
            # The path as it came over the wire: decoded, it could hold a line break. No query: it may hold a secret.
            path = scope.get("raw_path", b"").partition(b"?")[0].decode("ascii", "replace")
            fields = {"status": status, "duration_ms": round(seconds * 1000, 1), **_user(scope)}
            logger.info("%s %s", method, path, extra=fields)


NOT_FOUND = render(HTTPException(404))


def _request_id(scope: Scope) -> str:
    """The client's X-Request-ID where it is harmless, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and SAFE_REQUEST_ID.fullmatch(value):
            return value.decode()
    return uuid.uuid4().hex


def _user(scope: Scope) -> dict[str, int]:
    user_id = scope.get("state", {}).get("user_id")
    return {} if user_id is None else {"user_id": user_id}


def _one_line(send: Send) -> Send:
    """A start that the settings let fail says why in one line; Starlette sends a traceback, which a bug still does."""

    async def send_one_line(message: Message) -> None:
        if message["type"] == "lifespan.startup.failed":
            _, found, reason = message["message"].rpartition("app.core.db.migrations.StartupError: ")
            if found:
                message["message"] = reason.strip()
        await send(message)

    return send_one_line


class AllowedHosts:
    """Refuses a Host that is not ours: links and redirects are made of it. `*.example.com` allows subdomains."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self.app = app
        self.names = {host.lower() for host in hosts if not host.startswith("*")}
        self.suffixes = tuple(host[1:].lower() for host in hosts if host.startswith("*"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] in ("http", "websocket")
            and not self._is_allowed(Headers(scope=scope).get("host", ""))
            and scope["path"] not in FOR_ANY_HOST
        ):
            await render(HTTPException(400, "Unknown host"))(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _is_allowed(self, host: str) -> bool:
        name = re.sub(r":\d*$", "", host).lower()
        return name in self.names or (bool(self.suffixes) and name.endswith(self.suffixes))


class BodyLimit:
    """Starlette's limit of a body, with a timeout, and 413 as JSON.

    A route's or a router's own `max_body_size` replaces the default, whether it is larger or smaller.
    """

    def __init__(self, app: ASGIApp, max_body_size: int) -> None:
        self.app = app
        self.limited = RequestBodyLimitMiddleware(app, max_body_size)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _has_no_body(scope):
            await self.app(scope, receive, send)
            return
        is_complete = is_refused = False
        deadline = asyncio.get_running_loop().time() + BODY_TIMEOUT_S

        async def receive_in_time() -> Message:
            nonlocal is_complete
            if is_complete:  # what comes now is that the client goes away
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise RequestTimeout from None
            is_complete = message["type"] == "http.request" and not message.get("more_body", False)
            return message

        async def send_json(message: Message) -> None:
            nonlocal is_refused
            if message["type"] == "http.response.start" and _is_plain_413(message):
                is_refused = True
                await render(ContentTooLarge())(scope, receive, send)
            elif not is_refused:
                await send(message)

        await self.limited(scope, receive_in_time, send_json)


def _is_plain_413(message: Message) -> bool:
    return message["status"] == 413 and Headers(raw=message["headers"]).get("content-type", "").startswith("text/plain")


def _has_no_body(scope: Scope) -> bool:
    """Whether there is none for sure (RFC 9112, 6.3)."""
    if scope["method"] != "GET" or scope["http_version"] != "1.1":
        return False
    return not any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])
