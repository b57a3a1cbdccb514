"""The errors that an answer can be, and how each becomes JSON: `{"detail": ...}`."""

import logging
from collections.abc import Mapping
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from app.core.db.errors import DatabaseAway, describe, is_passing, is_taken

logger = logging.getLogger("app.errors")

RETRY_AFTER_S = 1
RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer"}}}

# A field's name in an error is the client's own text; this much of it is enough to find it.
MAX_NAME_LENGTH = 64


class AppError(HTTPException):
    """An error with its status; raise a subclass of it anywhere, and the client hears it."""

    status: ClassVar[int] = 500
    default: ClassVar[str] = "Internal Server Error"
    default_headers: ClassVar[Mapping[str, str] | None] = None
    documented_headers: ClassVar[Mapping[str, Any] | None] = None

    def __init__(self, detail: Any = None) -> None:
        super().__init__(self.status, detail or self.default, dict(self.default_headers or {}))


class BadRequest(AppError):
    status = 400
    default = "The body cannot be read"


class Unauthorized(AppError):
    status = 401
    default = "Not authenticated"
    default_headers = {"WWW-Authenticate": "Bearer"}  # RFC 6750, section 3
    documented_headers = {"WWW-Authenticate": {"description": "Bearer", "schema": {"type": "string"}}}


class Forbidden(AppError):
    status = 403
    default = "Not authorized to access this resource"


class NotFound(AppError):
    status = 404
    default = "Not found"


class RequestTimeout(AppError):
    status = 408
    default = "The body did not arrive in time"
    default_headers = {"Connection": "close"}


class Conflict(AppError):
    status = 409
    default = "The request conflicts with what is stored"


class PreconditionFailed(AppError):
    status = 412
    default = "The resource has changed since: read it again and repeat with its new ETag"


class ContentTooLarge(AppError):
    status = 413
    default = "Content Too Large"  # as Starlette has it


class TooManyRequests(AppError):
    status = 429
    default = "Too many requests, try again later"
    documented_headers = RETRY_AFTER

    def __init__(self, retry_after: int, detail: Any = None) -> None:
        super().__init__(detail)
        self.headers = {**(self.headers or {}), "Retry-After": str(retry_after)}  # seconds (RFC 6585, 4)


class Unavailable(AppError):
    status = 503
    default = "Temporarily unavailable, try again"
    default_headers = {"Retry-After": str(RETRY_AFTER_S)}
    documented_headers = RETRY_AFTER


class Invalid(AppError):
    """A 422 for one field, in the shape that FastAPI's own have."""

    status = 422

    def __init__(self, place: str, field: str, message: str, kind: str = "value_error") -> None:
        super().__init__([{"type": kind, "loc": [place, field], "msg": message}])
        self.message = message


def documented(*errors: type[AppError]) -> dict[int | str, dict[str, Any]]:
    """The errors as OpenAPI's responses; app/core/http/openapi.py has the schema."""
    schema = {"$ref": "#/components/schemas/HTTPError"}
    return {
        error.status: {"description": error.default, "content": {"application/json": {"schema": schema}}}
        | ({"headers": error.documented_headers} if error.documented_headers else {})
        for error in errors
    }


def add_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(DBAPIError, _database_error)
    app.add_exception_handler(PoolTimeoutError, _unavailable)
    app.add_exception_handler(DatabaseAway, _unavailable)


def render(error: HTTPException) -> Response:
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return render(error)


async def _validation_error(_request: Request, error: Exception) -> Response:
    """FastAPI's list without the input: it may be a password, NaN or a lone surrogate (which would be a 500)."""
    assert isinstance(error, RequestValidationError)
    detail = [
        {"type": fault["type"], "loc": [_printable(part) for part in fault["loc"]], "msg": _message(fault)}
        for fault in error.errors()
    ]
    return JSONResponse({"detail": detail}, 422)


def _printable(part: str | int) -> str | int:
    if isinstance(part, int):
        return part
    return part[:MAX_NAME_LENGTH].encode("utf-8", "replace").decode()


def _message(fault: Mapping[str, Any]) -> str:
    if fault["type"] == "json_invalid":
        return f"{fault['msg']}: {fault['ctx']['error']}"
    return fault["msg"]


async def _database_error(request: Request, error: Exception) -> Response:
    """409 for a unique or foreign key, 503 for what passes; the rest is a bug, which is a logged 500."""
    assert isinstance(error, DBAPIError)
    if is_taken(error):
        logger.warning("the database refused a row", extra={"error": describe(error)})
        return render(Conflict())
    if not is_passing(error):
        raise error
    return await _unavailable(request, error)


async def _unavailable(_request: Request, error: Exception) -> Response:
    logger.error("cannot be served now", extra={"error": describe(error)})
    return render(Unavailable())
