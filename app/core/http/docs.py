"""The docs pages: Swagger UI and ReDoc from files of our own, so that they work offline and under a strict CSP."""

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse

from app.core.http.pages import inline_hashes
from app.core.http.static_files import static_source, static_url
from app.core.policy import public

OPENAPI_URL = "/openapi.json"
ICON = "swagger/favicon-32x32.png"


def add_docs(app: FastAPI) -> None:
    @app.get(OPENAPI_URL, include_in_schema=False)
    @public
    async def openapi() -> JSONResponse:
        return JSONResponse(app.openapi())

    @app.get("/docs", include_in_schema=False)
    @public
    async def docs(request: Request) -> HTMLResponse:
        page = get_swagger_ui_html(
            openapi_url=f"{request.scope.get('root_path', '')}{OPENAPI_URL}",
            title=app.title,
            swagger_js_url=static_url(request, "swagger/swagger-ui-bundle.js"),
            swagger_css_url=static_url(request, "swagger/swagger-ui.css"),
            swagger_favicon_url=static_url(request, ICON),
            swagger_ui_parameters={"persistAuthorization": True, "displayRequestDuration": True},
        )
        return _guarded(page, request)

    @app.get("/redoc", include_in_schema=False)
    @public
    async def redoc(request: Request) -> HTMLResponse:
        page = get_redoc_html(
            openapi_url=f"{request.scope.get('root_path', '')}{OPENAPI_URL}",
            title=app.title,
            redoc_js_url=static_url(request, "app/redoc/redoc.standalone.js"),
            redoc_favicon_url=static_url(request, ICON),
            with_google_fonts=False,
        )
        return _guarded(page, request, "; worker-src blob:")  # its search runs in one


def _guarded(page: HTMLResponse, request: Request, more: str = "") -> HTMLResponse:
    """Only the page's own scripts run; both libraries style what they show by themselves."""
    files = static_source(request.app.state.settings)
    page.headers["Content-Security-Policy"] = (
        f"default-src 'none'; connect-src 'self'; img-src {files} data:; "
        f"script-src {files} {inline_hashes(bytes(page.body), b'script')}; style-src {files} 'unsafe-inline'; "
        f"base-uri 'none'; form-action 'none'; frame-ancestors 'none'{more}"
    )
    return page
