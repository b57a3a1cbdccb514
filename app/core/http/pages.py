"""Pages for browsers, from templates: they load nothing, run nothing, and say so in their policy."""

import base64
import re
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi.responses import HTMLResponse

if TYPE_CHECKING:
    from jinja2 import Environment

# The only picture is the icon, an empty one. Forms are sent here only, with their Origin: "no-referrer" would hide that
# (Fetch, 3.2).
GUARD = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "same-origin"}


def page(template: str, status: int = 200, **context: Any) -> HTMLResponse:
    """The template, below app/, with its own style sheet and no script."""
    answer = HTMLResponse(_templates().get_template(template).render(context), status, HEADERS)
    styles = inline_hashes(bytes(answer.body), b"style")
    answer.headers["Content-Security-Policy"] = f"{GUARD}; style-src {styles}"
    return answer


def inline_hashes(body: bytes, tag: bytes) -> str:
    """What a page's own scripts or styles are allowed by: their hashes (CSP Level 3, 2.3.1)."""
    texts = re.findall(rb"<" + tag + rb">(.*?)</" + tag + rb">", body, re.DOTALL)
    return " ".join(f"'sha256-{base64.b64encode(sha256(text).digest()).decode()}'" for text in texts)


@cache
def _templates() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(Path(__file__).parents[2]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
