"""The admin's pages: sqladmin's, behind the doors of `app.auth.admin`, with writes and errors of the house's own.
It reads by connections that cannot write, and nothing of it is imported before somebody looks at /admin."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jinja2
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response
from sqladmin import Admin
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import async_sessionmaker
from starlette.applications import Starlette
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount, Route, Router

from app.core.admin import fields, forms, references
from app.core.admin.address import address
from app.core.admin.views import EntityView
from app.core.config import Settings
from app.core.db.errors import is_taken
from app.core.errors import Conflict, Invalid, NotFound
from app.core.http.pages import HEADERS
from app.core.http.static_files import static_source, static_url
from app.core.http.strict_json import StrictRequest
from app.core.security import DecryptionError, decrypt, encrypt

ELSEWHERE = {"statics", "login", "logout", "file_download", "file_preview"}  # are the house's, or are not there
MOST_DELETED = 100  # as many as a page shows
ERROR = "what a list in the admin is to say"


class Site(Admin):
    def __init__(self, app: FastAPI, views: Sequence[type[EntityView]]) -> None:
        super().__init__(
            Starlette(),
            session_maker=async_sessionmaker(app.state.database.read_engine, expire_on_commit=False),
            title=app.title,
            templates_dir=str(Path(__file__).with_name("templates")),
        )
        self._settings: Settings = app.state.settings
        shared: dict[str, Any] = self.templates.env.globals
        shared["static"] = _static
        for view in views:
            self.add_view(view)
        self._routes = [
            route for route in self.admin.routes if isinstance(route, Route) and route.name not in ELSEWHERE
        ]
        self._urls = Router([Mount("/admin", routes=self._routes, name="admin")])

    async def answer(self, request: Request, path: str) -> Response:
        """The page at /admin/{path}. The request may be tried again: its body is kept."""
        body = await request.body()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        root = address(request)
        where = {"root_path": root, "app_root_path": root.removesuffix("/admin"), "path": f"{root}/{path}"}
        scope = {**request.scope, **where, "router": self._urls, "path_params": {}}
        if self._settings.environment == "production":
            scope["scheme"] = "https"  # a proxy that ends TLS may not have said so, and pages link to each other
        for route in self._routes:
            match, found = route.matches(scope)
            if match is Match.FULL:
                response = await route.endpoint(StrictRequest({**scope, **found}, receive))
                response.headers.update(HEADERS | {"Content-Security-Policy": _policy(self._settings)})
                return response
        raise NotFound

    async def list(self, request: Request) -> Response:
        """An error is shown when it is this site's own, and not what somebody wrote into a link."""
        query = [(name, value) for name, value in request.query_params.multi_items() if name != "error"]
        if told := request.query_params.get("error"):
            with suppress(DecryptionError):
                query.append(("error", decrypt(told, ERROR, self._settings)))
        scope = {**request.scope, "query_string": urlencode(query).encode()}
        return await super().list(StrictRequest(scope, request.receive))

    async def create(self, request: Request) -> Response:
        await self._create(request)
        view = self._view(request)
        placed = references.placed_by(view.model, view.create_schema)
        help_of = {references.OWNER: fields.OWNER_HELP}
        more = {name: fields.text_field(name, help_of.get(name, "")) for name in placed}
        before = forms.of_nothing(view.model, view.create_schema)
        form = fields.make_form(view.model, view.create_schema, more)(
            await _sent(request),
            data=before | {f"{fields.PREFIX}{references.OWNER}": request.state.admin_user.email},
        )
        context: dict[str, Any] = {"form": form}
        body = (
            forms.checked(form, view.model, view.create_schema, forms.digests(before))
            if request.method == "POST"
            else None
        )
        typed = {name: form[f"{fields.PREFIX}{name}"].data or "" for name in placed}
        if body and (row := await _tried(view.insert(request, body, typed), context)):
            return await self._saved(request, view, row)
        return await self._form(request, view, view.create_template, context)

    async def edit(self, request: Request) -> Response:
        await self._edit(request)
        view, pk = self._view(request), request.path_params["pk"]
        row = await view.get_object_for_edit(request)
        if row is None:
            raise NotFound
        before = forms.of_row(row, view.update_schema)
        form = fields.make_form(view.model, view.update_schema)(
            await _sent(request), data=before | {fields.SEEN: forms.digests(before)}
        )
        context: dict[str, Any] = {"form": form, "obj": row}
        seen = form[fields.SEEN].data
        body = forms.checked(form, view.model, view.update_schema, seen) if request.method == "POST" else None
        if body and not body.model_fields_set:
            return await self._saved(request, view, row)
        if body and (changed := await _tried(view.change(request, pk, body), context)):
            return await self._saved(request, view, changed)
        return await self._form(request, view, view.edit_template, context)

    async def delete(self, request: Request) -> Response:
        pks = request.query_params.get("pks", "").split(",")
        if pks == [""] or len(pks) > MOST_DELETED:
            raise Invalid("query", "pks", f"1 to {MOST_DELETED} rows are deleted at once")
        await self._delete(request)
        view, errors = self._view(request), {}
        for pk in dict.fromkeys(pks):
            context: dict[str, Any] = {}
            await _tried(view.remove(request, pk), context)
            errors |= dict.fromkeys(context.values())
        url = request.url_for("admin:list", identity=view.identity)
        if errors:
            url = url.include_query_params(error=encrypt("; ".join(errors), ERROR, self._settings))
        return PlainTextResponse(str(url))

    def _view(self, request: Request) -> Any:
        return self._find_model_view(request.path_params["identity"])

    async def _form(self, request: Request, view: Any, template: str, context: dict[str, Any]) -> Response:
        status = 200 if request.method == "GET" else 422
        if context["form"].form_errors:
            context["error"] = "; ".join(context["form"].form_errors)
        return await self.templates.TemplateResponse(request, template, {"model_view": view, **context}, status)

    async def _saved(self, request: Request, view: Any, row: Any) -> Response:
        form = await request.form()
        return RedirectResponse(self.get_save_redirect_url(request, form, view, row), 303)


async def _sent(request: Request) -> FormData | None:
    """Raises Invalid for a file: no field takes one."""
    form = await request.form()
    if not all(isinstance(value, str) for _, value in form.multi_items()):
        await form.close()
        raise Invalid("body", "form", "No file is taken here")
    return form or None


async def _tried(writing: Any, context: dict[str, Any]) -> Any:
    """What was written; or None, and the page's error, or its form's, says why not."""
    try:
        return await writing
    except Invalid as error:
        detail: Any = error.detail
        if "form" in context:
            forms.complain(context["form"], detail[0]["loc"][1], message=error.message)
        else:
            context["error"] = error.message
    except IntegrityError as error:
        if not is_taken(error):
            raise
        context["error"] = Conflict.default
    except HTTPException as error:
        context["error"] = str(error.detail)
    return None


def _policy(settings: Settings) -> str:
    files = static_source(settings)
    return (
        f"default-src 'none'; connect-src 'self'; font-src {files}; img-src {files} data:; script-src {files}; "
        f"style-src {files}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


@jinja2.pass_context
def _static(context: Any, name: str) -> str:
    return static_url(context["request"], name)
