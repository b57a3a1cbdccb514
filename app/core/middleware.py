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
from app.core.logs import request_id
from app.core.metrics import RequestMetrics, route_template
from app.core.quota import POLICY_HEADER, STATE_HEADER
from app.core.rate_limit import rate_limit_headers

logger = logging.getLogger("app.access")

BODY_TIMEOUT_S = 30.0  # 35 KB a second for MAX_BODY_BYTES
# They make no link and no redirect, and who asks them (Prometheus, a balancer, a probe) asks by address.
FOR_ANY_HOST = frozenset({"/health/live", "/health/ready", "/metrics"})
SAFE_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
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
    app.add_middleware(Requests, metrics=metrics)
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
    app.add_middleware(SecurityHeaders, https=settings.environment == "production")


class Requests:
    """Gives each request its id and its log line, and turns what nobody caught into a 500 that tells nothing."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, _one_line(send))
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        identifier = Headers(scope=scope).get("x-request-id", "")
        if not SAFE_REQUEST_ID.fullmatch(identifier):
            identifier = uuid.uuid4().hex
        token = request_id.set(identifier)
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = {"x-request-id": identifier, **rate_limit_headers(scope)}
                added = [(name.lower().encode(), value.encode()) for name, value in own.items()]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except Exception:
            logger.exception("unhandled error", extra={"route": route_template(scope), **_user(scope)})
            if status:
                raise  # the answer has begun: only cutting the connection tells the client
            await render(AppError())(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - started
            self.metrics.observe(scope, status, seconds)
            _log(scope, status, seconds)
            request_id.reset(token)


def _log(scope: Scope, status: int, seconds: float) -> None:
    if not logger.isEnabledFor(logging.INFO):
        return
    # The path as it came over the wire: decoded, it could hold a line break. No query: it may hold a secret.
    path = scope.get("raw_path", b"").partition(b"?")[0].decode("ascii", "replace")
    fields = {"status": status, "duration_ms": round(seconds * 1000, 1), **_user(scope)}
    logger.info("%s %s", scope["method"], path, extra=fields)


def _user(scope: Scope) -> dict[str, int]:
    user_id = scope.get("state", {}).get("user_id")
    return {} if user_id is None else {"user_id": user_id}


def _one_line(send: Send) -> Send:
    """A start that the settings let fail says why in one line; Starlette sends a traceback, which a bug still does."""

    async def send_one_line(message: Message) -> None:
        if message["type"] == "lifespan.startup.failed":
            _, found, reason = message["message"].rpartition("app.core.migrations.StartupError: ")
            if found:
                message["message"] = reason.strip()
        await send(message)

    return send_one_line


class SecurityHeaders:
    """OWASP's headers for a JSON API (REST Security Cheat Sheet); a route's own Cache-Control and CSP are kept."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self.app = app
        headers = {
            "Cache-Control": "no-store",
            "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }
        if https:
            headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
        self.headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = message["headers"]
                names = {name for name, _ in sent}
                message["headers"] = [*sent, *(header for header in self.headers if header[0] not in names)]
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


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
