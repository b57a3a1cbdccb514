"""A small run of the fuzzer on each database, and that it would notice. Promise 1."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from httpx2 import Request, Response

from app.main import create_app
from tests import factories
from tests.fuzz.answers import faults
from tests.fuzz.drive import fuzz

CASES = 600


@pytest.mark.usefixtures("unmeasured")
def test_drawn_requests_are_answered_as_the_document_says(backend: str, tmp_path: Path) -> None:
    report = fuzz(backend, tmp_path, CASES)
    print(f"{backend}: {report}")
    assert report.faults == {}, str(report)
    assert report.cases >= CASES
    assert len(report.succeeded) > len(report.operations) / 2, str(report)


@pytest.mark.parametrize(
    ("status", "answer", "fault"),
    [
        (500, {"json": {"detail": "Internal Server Error"}}, "500"),
        (404, {"text": "Not Found"}, "404 without a detail"),
        (422, {"json": {"error": "x"}}, "422 without a detail"),
        (200, {"json": {"access_token": 5}}, "200: Response violates schema"),
        (200, {"text": "x", "headers": {"Content-Type": "text/plain"}}, "200: Undocumented Content-Type"),
        (302, {"json": {}}, "302: Undocumented status code"),
        (404, {"json": {"detail": "Not found"}}, None),
    ],
)
def test_what_is_wrong_with_an_answer(status: int, answer: dict[str, Any], fault: str | None) -> None:
    schema = schemathesis.openapi.from_dict(create_app(factories.settings()).openapi())
    case = schema["/api/v1/auth/login"]["POST"].Case(body={"email": "a@example.com", "password": "x"})
    response = Response(status, request=Request("POST", "http://test/api/v1/auth/login"), **answer)
    response.elapsed = timedelta(0)
    found = list(faults(case, schemathesis.Response.from_any(response)))
    assert any(line.startswith(fault) for line in found) if fault else not found, found
