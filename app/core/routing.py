"""The router that every feature uses: FastAPI's, with what each route of the contract owes its clients.

Who may call it has to be said. Strict JSON, the ETag of a row's answer and Idempotency-Key on POST come by themselves:
no feature can forget them.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from hashlib import blake2b
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, Request
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_dependant
from fastapi.responses import Response
from fastapi.routing import APIRoute, iter_route_contexts

from app.core.database import get_db
from app.core.errors import (
    AppError,
    BadRequest,
    Conflict,
    ContentTooLarge,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionFailed,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    documented,
)
from app.core.http import idempotency
from app.core.http.strict_json import UNSTORABLE_MESSAGE, StrictRequest
from app.core.http.transactions import in_transaction
from app.core.observability.logs import route_template
from app.core.policy import authenticator_of, is_declared, is_public, may_be_stored
from app.core.rate_limit import rate_limits_of
from app.core.schemas import RowSchema

DUMP_OPTIONS = ("by_alias", "include", "exclude", "exclude_unset", "exclude_defaults", "exclude_none")


class Route(APIRoute):
    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        options["responses"] = _errors(path, endpoint, options) | (options.get("responses") or {})
        takes_key = "POST" in (options.get("methods") or ()) and may_be_stored(endpoint)
        if takes_key and not is_public(endpoint):
            options["openapi_extra"] = {"parameters": [idempotency.PARAMETER]} | (options.get("openapi_extra") or {})
            if (authenticator := authenticator_of(get_dependant(path=path, call=endpoint))) is not None:
                options["dependencies"] = [*(options.get("dependencies") or []), Depends(_refuse_repeat(authenticator))]
        super().__init__(path, endpoint, **options)
        if not is_declared(endpoint, self.dependant):
            raise RuntimeError(f"{path}: {self.name} neither takes CurrentUser or Superuser nor says @public")
        if not is_public(endpoint) or any(rate_limits_of(self.dependant)):
            self.responses = documented(TooManyRequests) | self.responses

    def get_route_handler(self) -> Callable[[Request], Any]:
        handle = run = super().get_route_handler()
        has_transaction = _has_transaction(self.dependant)
        reads_body = bool({"POST", "PUT", "PATCH", "DELETE"} & set(self.methods or ()))
        is_stored = may_be_stored(self.endpoint)
        is_row = isinstance(self.response_model, type) and issubclass(self.response_model, RowSchema)
        has_etag = is_row and is_stored  # no later GET gives the bytes that showed a secret
        takes_key = "POST" in (self.methods or ()) and is_stored and has_transaction
        if has_transaction:
            run = partial(in_transaction, handle)
        run_idempotent = partial(in_transaction, partial(idempotency.run_idempotent, handle))

        async def answer(request: Request) -> Response:
            if b"%00" in request.scope["query_string"]:
                raise Invalid("query", "query", UNSTORABLE_MESSAGE, "unstorable")
            request = StrictRequest(request.scope, request.receive)
            if reads_body:
                request.check_length()
            is_idempotent = takes_key and idempotency.HEADER in request.headers
            response = await (run_idempotent(request) if is_idempotent else run(request))
            if has_etag and response.status_code < 300:
                response.headers["ETag"] = etag_of(bytes(response.body))
            return response

        return answer


def _refuse_repeat(authenticator: Callable[..., Any]) -> Callable[..., Any]:
    """A dependency: once its sender is known, a repeated request gets the first response, and no endpoint runs."""

    async def refuse_repeat(request: Request, _: Annotated[Any, Depends(authenticator)]) -> None:
        if idempotency.HEADER in request.headers:
            await idempotency.refuse_repeated(request)

    return refuse_repeat


def _has_transaction(dependant: Dependant) -> bool:
    return dependant.call is get_db or any(map(_has_transaction, dependant.dependencies))


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


def etag_of(body: bytes) -> str:
    """The strong validator of a representation: a hash of its bytes."""
    return f'"{blake2b(body, digest_size=12).hexdigest()}"'


class Precondition:
    """The If-Match of a request. Lock the row, then check it: of N racing writers with one ETag one goes through."""

    def __init__(self, if_match: str | None, request: Request | None = None) -> None:
        self._request = request
        # Weak as well: a proxy that compresses makes our tag weak (W/"..."), and the row behind it is the same.
        self._wanted = None if if_match is None else {tag.strip().removeprefix("W/") for tag in if_match.split(",")}

    def check(self, schema: type[RowSchema], row: Any) -> None:
        """Raises PreconditionFailed when the row, as the schema answers with it, is not what the client saw."""
        if self._wanted is None or "*" in self._wanted:
            return
        scope = self._request.scope if self._request is not None else None
        options = _dump_options(scope["app"], route_template(scope), schema) if scope is not None else {}
        if etag_of(schema.model_validate(row).model_dump_json(**options).encode()) not in self._wanted:
            raise PreconditionFailed


@lru_cache(maxsize=1000)
def _dump_options(app: FastAPI, path: str, schema: type[RowSchema]) -> dict[str, Any]:
    """How the GET of this path writes the schema, so that the bytes of both are the same."""
    for route in iter_route_contexts(app.routes):
        if route.path == path and "GET" in (route.methods or ()) and route.response_model is schema:
            return {name: getattr(route, f"response_model_{name}") for name in DUMP_OPTIONS}
    return {"by_alias": True}


async def _precondition(
    request: Request,
    if_match: Annotated[
        str | None, Header(alias="If-Match", description="The row's ETag: 412 when it has changed since")
    ] = None,
) -> Precondition:
    return Precondition(if_match, request)


IfMatch = Annotated[Precondition, Depends(_precondition)]
