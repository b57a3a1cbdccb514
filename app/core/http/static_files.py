"""What browsers load: /static/swagger/swagger-ui.0123456789abcdef.css, files under names that hold their hash.

A name never gets other bytes, so browsers and CDNs keep it for a year (RFC 8246). A file is hashed when it is first
asked for or named in a page; every process finds the same hash, so none needs to be told.
"""

import posixpath
import re
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, Response

from app.core.config import Settings
from app.core.errors import NotFound
from app.core.policy import public

PREFIX = "/static"
# The first part of a name, and the package and folder that it stands for.
FOLDERS = {"admin": ("sqladmin", "statics"), "app": ("app", "static"), "swagger": ("fastapi_swagger", "resources")}
MEDIA_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
FOR_A_YEAR = {
    "Cache-Control": "public, max-age=31536000, immutable",
    # A page may load them from a CDN's address, fonts with CORS: they are the same for everybody.
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
_HASHED = re.compile(r"(?P<stem>.+)\.(?P<hash>[0-9a-f]{16})(?P<suffix>\.\w+)")
_REFERENCE = re.compile(r"url\(([\"']?)(?![\"']?(?:data:|#|/))([^)\"'?#]+)([^)\"']*)\1\)")


class StaticFile(NamedTuple):
    path: Path
    hash: str
    content: bytes | None  # where it is not the file's own


def add_static_files(app: FastAPI) -> None:
    @app.api_route(PREFIX + "/{name:path}", methods=["GET", "HEAD"], include_in_schema=False)
    @public
    async def static_file(name: str, request: Request) -> Response:
        match = _HASHED.fullmatch(name)
        plain = f"{match['stem']}{match['suffix']}" if match else ""
        if match is None or plain not in _paths() or (file := _file(plain)).hash != match["hash"]:
            raise NotFound
        headers = {**FOR_A_YEAR, "ETag": f'"{file.hash}"'}
        if file.hash in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        media_type = MEDIA_TYPES[file.path.suffix]
        if file.content is not None:
            return Response(file.content, media_type=media_type, headers=headers)
        return FileResponse(file.path, media_type=media_type, headers=headers)


def static_url(request: Request, name: str) -> str:
    """The address of `swagger/swagger-ui.css`: on STATIC_URL, or here."""
    settings: Settings = request.app.state.settings
    root = request.scope.get("app_root_path", request.scope.get("root_path", ""))  # the first below a mount
    return f"{settings.static_url or root}{PREFIX}/{_hashed(name)}"


def static_source(settings: Settings) -> str:
    """Where static files come from, as a policy names it (CSP Level 3, 2.3.1)."""
    parts = urlsplit(settings.static_url)
    return f"{parts.scheme}://{parts.netloc}" if settings.static_url else "'self'"


def _hashed(name: str) -> str:
    stem, suffix = posixpath.splitext(name)
    return f"{stem}.{_file(name).hash}{suffix}"


@cache
def _paths() -> dict[str, Path]:
    """The files that there are, by their names: nothing else is served, whatever a request's path says."""
    found: dict[str, Path] = {}
    for first, (package, folder) in FOLDERS.items():
        spec = find_spec(package)  # which does not import it
        for root in spec.submodule_search_locations or () if spec else ():
            files = (Path(root) / folder).rglob("*")
            found |= {f"{first}/{path.relative_to(Path(root) / folder).as_posix()}": path for path in files}
    return {name: path for name, path in found.items() if path.suffix in MEDIA_TYPES}


@cache
def _file(name: str) -> StaticFile:
    path = _paths()[name]
    content = path.read_bytes()
    own = _with_hashed_references(name, content.decode()).encode() if path.suffix == ".css" else None
    return StaticFile(path, sha256(own or content).hexdigest()[:16], own)


def _with_hashed_references(name: str, style: str) -> str:
    """The style sheet, its fonts and pictures under their hashed names."""

    def hashed(match: re.Match[str]) -> str:
        other = posixpath.normpath(posixpath.join(posixpath.dirname(name), match[2]))
        if other not in _paths():
            return match[0]
        return f"url({posixpath.join(posixpath.dirname(match[2]), posixpath.basename(_hashed(other)))})"

    return _REFERENCE.sub(hashed, style)
