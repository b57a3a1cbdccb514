"""The docs page: Swagger UI from the package's own files, so that it works offline and under a strict CSP."""

import base64
import re
from hashlib import sha256
from importlib.resources import files

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response

from app.core.errors import NotFound
from app.core.policy import public

OPENAPI_URL = "/openapi.json"
ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}
_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def add_docs(app: FastAPI) -> None:
    @app.get(OPENAPI_URL, include_in_schema=False)
    @public
    async def openapi() -> JSONResponse:
        return JSONResponse(app.openapi())

    @app.get("/docs", include_in_schema=False)
    @public
    async def docs(request: Request) -> HTMLResponse:
        root = request.scope.get("root_path", "")
        page = get_swagger_ui_html(
            openapi_url=f"{root}{OPENAPI_URL}",
            title=app.title,
            swagger_js_url=f"{root}/docs/swagger-ui-bundle.js",
            swagger_css_url=f"{root}/docs/swagger-ui.css",
            swagger_favicon_url=f"{root}/docs/favicon-32x32.png",
            swagger_ui_parameters={"persistAuthorization": True, "displayRequestDuration": True},
        )
        page.headers["Content-Security-Policy"] = _policy(bytes(page.body))
        return page

    @app.get("/docs/{name}", include_in_schema=False)
    @public
    async def asset(name: str) -> Response:
        if name not in ASSETS:
            raise NotFound
        path = files("fastapi_swagger") / "resources" / name
        return FileResponse(str(path), media_type=ASSETS[name], headers={"Cache-Control": "public, max-age=86400"})


def _policy(page: bytes) -> str:
    """Only the page's own script runs: it is named by its hash (CSP Level 3)."""
    hashes = (base64.b64encode(sha256(script).digest()).decode() for script in _INLINE_SCRIPT.findall(page))
    scripts = " ".join(f"'sha256-{value}'" for value in hashes)
    return (
        f"default-src 'none'; connect-src 'self'; img-src 'self' data:; script-src 'self' {scripts}; "
        "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
    )
