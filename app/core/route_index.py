"""Finds a request's route with one regular expression for each method.

FastAPI tries its routes one after another, those of included routers several times: with 40 of them a sixth of what a
read costs, and more with each entity. What is not found here (404, 405, a slash too many, a mount) is left to it.
"""

import asyncio
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from fastapi import FastAPI
from fastapi.routing import APIRoute, RouteContext, _EffectiveRouteContext, _IncludedRouter
from fastapi.telemetry._api import _route_selected
from starlette.convertors import PathConvertor, StringConvertor
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class _Target(NamedTuple):
    app: ASGIApp
    scope: dict[str, Any]  # what FastAPI adds to a request's
    name: str | None  # for telemetry
    parameters: list[tuple[str, int]]  # of the path, and the groups of the expression that hold them


class _Table(NamedTuple):
    """Of one method: the paths of all routes in their order, and by its group what stands there."""

    paths: re.Pattern[str]
    targets: dict[int | None, _Target | None]  # None: not to be called from here


class RouteIndex:
    """What routes a request in the place of FastAPI's router; held to its choice by a test, but for a newline."""

    def __init__(self, app: FastAPI) -> None:
        self._router = app.router
        self._tables: dict[str, _Table | None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].endswith("\n"):
            # The routes' expressions end in $, which is before a last newline, too: a proxy that closes /metrics does
            # not know that /metrics%0A is the same.
            await self._router.not_found(scope, receive, send)
            return
        if scope["type"] != "http" or self._tables is None or _is_below_another(scope):
            await self._router.app(scope, receive, send)
            if scope["type"] == "http" and self._tables is None:  # all routes are there
                await asyncio.sleep(0)  # the first answer is written at the end of the loop's turn
                routes = list(_contexts(self._router.routes, limits_forms=bool(self._router.form_limits)))
                self._tables = {method: _table(method, routes) for method in METHODS}
            return
        target = self._find(scope, self._tables.get(scope["method"]))
        if target is None:
            await self._router.app(scope, receive, send)
            return
        scope["router"] = self._router
        scope.update(target.scope)
        _route_selected(scope=scope, path=target.name)
        await target.app(scope, receive, send)

    @staticmethod
    def _find(scope: Scope, table: _Table | None) -> _Target | None:
        match = table.paths.match(scope["path"]) if table else None
        target = table.targets[match.lastindex] if table and match else None
        if target is not None and match is not None:
            scope["path_params"] = {name: match[group] for name, group in target.parameters}
        return target


def _is_below_another(scope: Scope) -> bool:
    """Whether an application around this one has found it: what it has noted of that stays."""
    return bool(scope.get("root_path") or "router" in scope or scope.get("path_params"))


class _Route(NamedTuple):
    context: RouteContext
    limits_forms: bool  # a router that it is in does, and tells the request on its way down


def _contexts(routes: Iterable[BaseRoute | _EffectiveRouteContext], *, limits_forms: bool) -> Iterator[_Route]:
    """As FastAPI's own `iter_route_contexts`, which tells nothing of the routers."""
    for route in routes:
        if isinstance(route, _IncludedRouter):
            is_limited = limits_forms or bool(route.include_context.form_limits)
            yield from _contexts(route.effective_candidates(), limits_forms=is_limited)
        elif isinstance(route, _EffectiveRouteContext):
            yield _Route(RouteContext(route.original_route, route), limits_forms)
        else:
            yield _Route(RouteContext(route), limits_forms)


def _table(method: str, routes: Iterable[_Route]) -> _Table | None:
    alternatives: list[str] = []
    targets: dict[int | None, _Target | None] = {}
    group = 1
    for route, limits_forms in routes:
        pattern: re.Pattern[str] | None = getattr(route, "path_regex", None)
        if pattern is None:
            return None  # a host's, which may match anything
        if route.methods and method not in route.methods:
            continue
        alternatives.append(f"({re.sub(r'[(][?]P<[^>]*>', '(', pattern.pattern)})")
        targets[group] = None if limits_forms else _target(route, pattern, group)
        group += pattern.groups + 1
    return _Table(re.compile("|".join(alternatives)), targets) if alternatives else None


def _target(route: RouteContext, pattern: re.Pattern[str], group: int) -> _Target | None:
    original = route.original_route
    if not isinstance(original, APIRoute):
        return None
    if not all(type(one) in (StringConvertor, PathConvertor) for one in route.param_convertors.values()):
        return None
    scope = {"route": original, "endpoint": route.endpoint, "route_template": route.path}
    parameters = [(name, group + index) for name, index in pattern.groupindex.items()]
    return _Target(route.app, scope, route.path_format, parameters)
