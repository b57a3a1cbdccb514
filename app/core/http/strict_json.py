"""Requests that two parsers would read differently, or that no database could store, are refused before an endpoint.

FastAPI parses JSON with Python's lenient parser: of two fields of one name the last wins, NaN and 1e400 are numbers.
RFC 8259 and I-JSON (RFC 7493) know neither. NUL is refused by PostgreSQL's text, a lone surrogate by UTF-8.
"""

import json
import math
import re
from typing import Any

from fastapi import Request
from starlette.datastructures import FormData
from starlette.middleware.body_limit import MAX_BODY_SIZE_SCOPE_KEY

from app.core.errors import ContentTooLarge, Invalid
from app.core.schemas import UNSTORABLE

# Either can only come as an escape: raw ones are not JSON, or not UTF-8. Most bodies have none and are not walked.
_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
UNSTORABLE_MESSAGE = "Must not contain NUL or a lone surrogate"


class StrictRequest(Request):
    async def json(self) -> Any:
        if not hasattr(self, "parsed"):
            self.parsed = parse(await self.body())
        return self.parsed

    async def form(self, **limits: Any) -> FormData:  # ty: ignore[incompatible-method-override]
        await self.body()  # kept: the fingerprint of an Idempotency-Key is taken of it afterwards
        form = await super().form(**limits)
        for name, value in form.multi_items():
            if isinstance(value, str) and UNSTORABLE.search(name + value):
                raise Invalid("body", "form", UNSTORABLE_MESSAGE, "unstorable")
        return form

    def check_length(self) -> None:
        """For an endpoint that reads no body: without it, it would run before the answer becomes 413."""
        limit = self.scope.get(MAX_BODY_SIZE_SCOPE_KEY)
        if limit is None:  # a request without a body
            return
        announced = self.headers.get("content-length", "0")
        if not announced.isdecimal() or int(announced[:20]) > limit:
            raise ContentTooLarge


def parse(body: bytes) -> Any:
    """The value of a JSON text.

    Raises:
        json.JSONDecodeError: not JSON, a field twice, or a number beyond a double's range.
        Invalid: a string that cannot be stored.
    """
    text = body.decode()
    value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
    if _SUSPECT.search(body) and _is_unstorable(value):
        raise Invalid("body", "string", UNSTORABLE_MESSAGE, "unstorable")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise json.JSONDecodeError("Duplicate field", "", 0)
    return members


def _no_constant(name: str) -> None:
    raise json.JSONDecodeError("Not a JSON number", name, 0)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise json.JSONDecodeError("Number out of range", "", 0)
    return number


def _is_unstorable(value: Any) -> bool:
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            if UNSTORABLE.search(part):
                return True
        elif isinstance(part, dict):
            waiting += part.keys()
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    return False
