"""The API's document, completed with what FastAPI does not know of the routes: made when it is first asked for."""

from collections.abc import Iterator
from inspect import signature
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts

from app.core.errors import NotFound, documented
from app.core.pagination import ListQuery
from app.core.policy import is_for_sessions, may_be_stored
from app.core.schemas import RowSchema

Json = dict[str, Any]

ERROR = {
    "title": "HTTPError",
    "type": "object",
    "properties": {"detail": {"title": "Detail", "type": "string"}},
    "required": ["detail"],
}
FAULT = {
    "title": "ValidationError",
    "type": "object",
    "properties": {
        "type": {"title": "Error Type", "type": "string"},
        "loc": {"title": "Location", "type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
        "msg": {"title": "Message", "type": "string"},
    },
    "required": ["type", "loc", "msg"],
}
FAULTS = {
    "title": "HTTPValidationError",
    "type": "object",
    "properties": {
        "detail": {"title": "Detail", "type": "array", "items": {"$ref": "#/components/schemas/ValidationError"}}
    },
    "required": ["detail"],
}
INVALID = {
    "description": "Validation Error",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/HTTPValidationError"}}},
}
API_KEY = {"type": "http", "scheme": "bearer", "description": "An API key: gw_..."}

ROW_HEADERS = {"ETag": {"description": "The row's version, for If-Match", "schema": {"type": "string"}}}
LIST_HEADERS = {
    "Link": {"description": 'The next page: <URL>; rel="next"; none at the end', "schema": {"type": "string"}},
    "X-Total-Count": {"description": "How many rows in all; with count=true", "schema": {"type": "integer"}},
}


def complete_openapi(app: FastAPI) -> None:
    """Let the application's document name what each answer carries. Nothing is made until somebody asks for it."""
    generate = app.openapi
    completed: list[Json] = []

    def openapi() -> Json:
        document = generate()
        if not any(document is known for known in completed):
            completed[:] = [document]  # FastAPI makes it anew when routes were added
            _complete(document, app)
        return document

    app.openapi = openapi


def _complete(document: Json, app: FastAPI) -> None:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas |= {"HTTPError": ERROR, "HTTPValidationError": FAULTS, "ValidationError": FAULT}
    components["schemas"] = dict(sorted(schemas.items()))
    components.setdefault("securitySchemes", {})["ApiKey"] = API_KEY
    for route, operation in _operations(document, app):
        answers: Json = operation["responses"]
        if "{" in (route.path or "") and "404" not in answers:
            answers["404"] = documented(NotFound)[404]
        if operation.get("parameters"):
            answers.setdefault("422", INVALID)
        for status, answer in answers.items():
            if status < "300":
                _complete_success(answer, route)
        if operation.get("security") and not is_for_sessions(route.dependant):
            operation["security"].append({"ApiKey": []})


def _complete_success(answer: Json, route: RouteContext) -> None:
    if headers := _headers(route):
        answer.setdefault("headers", {}).update(headers)
    endpoint = route.endpoint
    if endpoint and signature(endpoint).return_annotation is None and "content" in answer:
        answer["content"]["application/json"]["schema"] = {"type": "null"}  # FastAPI's {} is anything


def _operations(document: Json, app: FastAPI) -> Iterator[tuple[RouteContext, Json]]:
    for route in iter_route_contexts(app.routes):
        for method in route.methods or ():
            operation = document["paths"].get(route.path_format, {}).get(method.lower())
            if operation:
                yield route, operation


def _headers(route: RouteContext) -> Json:
    model = route.response_model
    if isinstance(model, type) and issubclass(model, RowSchema) and may_be_stored(route.endpoint):
        return ROW_HEADERS
    return LIST_HEADERS if _is_list(route.dependant) else {}


def _is_list(dependant: Dependant) -> bool:
    kinds = (field.field_info.annotation for field in dependant.query_params)
    return any(isinstance(kind, type) and issubclass(kind, ListQuery) for kind in kinds) or any(
        _is_list(part) for part in dependant.dependencies
    )
