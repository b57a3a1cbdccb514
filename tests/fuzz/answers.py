"""What an answer to whatever was sent owes its client."""

import json
from collections.abc import Iterator
from typing import Any

from schemathesis import Case, Response
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

DOCUMENTED = [content_type_conformance, response_schema_conformance]

# Any operation may answer these: a parameter in the path can lead elsewhere, or to no route at all, and an end of the
# session comes at any time. The document has them where they are an operation's own.
ANYWHERE = {400, 401, 404, 405, 413, 422, 429, 503}

# The server's own answers to a URL over 64 KiB, which a long text makes when it is percent-encoded.
NO_HTTP = b"Invalid HTTP request received."
HEAD_TOO_LARGE = 431


def faults(case: Case, response: Response) -> Iterator[str]:
    """What is wrong, in a line each."""
    if response.content == NO_HTTP or response.status_code == HEAD_TOO_LARGE:
        return
    if response.status_code >= 500:
        yield f"{response.status_code}"
    if response.status_code >= 400 and not _says_why(response):
        yield f"{response.status_code} without a detail"
    try:
        case.validate_response(response, checks=_checks(response.status_code))
    except FailureGroup as group:
        for failure in group.exceptions:
            yield f"{response.status_code}: {failure.title}: {' '.join(failure.message.split())}"


def _checks(status: int) -> list[Any]:
    if status < 400:  # what breaks its schema must not be done
        return [*DOCUMENTED, status_code_conformance, negative_data_rejection]
    return DOCUMENTED if status in ANYWHERE else [*DOCUMENTED, status_code_conformance]


def _says_why(response: Response) -> bool:
    try:
        answer = json.loads(response.content)
    except ValueError:
        return False
    return isinstance(answer, dict) and bool(answer.get("detail"))
