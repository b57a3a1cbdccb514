"""The router that every feature uses: FastAPI's, with what each route of the contract owes its clients.

Who may call it has to be said. Strict JSON, the ETag of a row's answer and Idempotency-Key on POST come by themselves:
no feature can forget them.
"""

import sys
from collections.abc import Callable
from typing import Any

import fastapi.utils
from fastapi import APIRouter, Request
from fastapi.dependencies.models import Dependant
from fastapi.responses import Response
from fastapi.routing import APIRoute

from app.core import idempotency
from app.core.database import get_db
from app.core.errors import (
    AppError,
    BadRequest,
    Conflict,
    ContentTooLarge,
    Forbidden,
    NotFound,
    PreconditionFailed,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    documented,
)
from app.core.etag import etag_of
from app.core.policy import is_declared, is_public
from app.core.rate_limit import rate_limits_of
from app.core.retries import Handler, retried
from app.core.schemas import RowSchema
from app.core.strict_json import StrictRequest

_asks_pydantic_v1 = fastapi.utils.annotation_is_pydantic_v1


def _is_of_pydantic_v1(annotation: Any) -> bool:
    """Where nobody has imported pydantic.v1 nothing is of it; FastAPI would import it to ask: 3 % of a start."""
    return "pydantic.v1" in sys.modules and _asks_pydantic_v1(annotation)


fastapi.utils.annotation_is_pydantic_v1 = _is_of_pydantic_v1  # ty: ignore[invalid-assignment]


class Route(APIRoute):
    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        options["responses"] = _errors(path, endpoint, options) | (options.get("responses") or {})
        takes_key = "POST" in (options.get("methods") or ()) and idempotency.may_be_stored(endpoint)
        if takes_key and not is_public(endpoint):
            options["openapi_extra"] = {"parameters": [idempotency.PARAMETER]} | (options.get("openapi_extra") or {})
        super().__init__(path, endpoint, **options)
        if not is_declared(endpoint, self.dependant):
            raise RuntimeError(f"{path}: {self.name} neither takes CurrentUser or Superuser nor says @public")
        if not is_public(endpoint) or any(rate_limits_of(self.dependant)):
            self.responses = documented(TooManyRequests) | self.responses

    def get_route_handler(self) -> Callable[[Request], Any]:
        handle = super().get_route_handler()
        may_be_stored = idempotency.may_be_stored(self.endpoint)
        is_row = isinstance(self.response_model, type) and issubclass(self.response_model, RowSchema)
        answers_a_row = is_row and may_be_stored  # no later GET gives the bytes that showed a secret
        takes_key = "POST" in (self.methods or ()) and may_be_stored
        run = retried if _has_transaction(self.dependant) else _once

        async def strict(request: Request) -> Response:
            request = StrictRequest(request.scope, request.receive)
            request.check_length()
            request.check_query()
            if takes_key and idempotency.HEADER in request.headers:
                response = await run(lambda request: idempotency.answer_once(handle, request), request)
            else:
                response = await run(handle, request)
            if answers_a_row and response.status_code < 300:
                response.headers["ETag"] = etag_of(bytes(response.body))
            return response

        return strict


def _has_transaction(dependant: Dependant) -> bool:
    return dependant.call is get_db or any(map(_has_transaction, dependant.dependencies))


async def _once(handle: Handler, request: Request) -> Response:
    """For a route that only reads: there is nothing that a database would have rolled back."""
    return await handle(request)


def _errors(path: str, endpoint: Callable[..., Any], options: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """What a client of this route has to expect, for the API's document."""
    methods = set(options.get("methods") or ("GET",))
    errors: list[type[AppError]] = [] if is_public(endpoint) else [Unauthorized, Forbidden]
    if path.endswith("}"):
        errors.append(NotFound)
    if methods & {"POST", "PUT", "PATCH", "DELETE"}:
        errors += [BadRequest, Conflict, ContentTooLarge]
    if methods & {"PUT", "PATCH", "DELETE"}:
        errors.append(PreconditionFailed)
    return documented(*errors, Unavailable)


class Router(APIRouter):
    def __init__(self, *, prefix: str = "", tags: list[str] | None = None) -> None:
        super().__init__(prefix=prefix, tags=list(tags or []), route_class=Route)
