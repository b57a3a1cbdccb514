"""What a server sends to OpenTelemetry's collector and to Sentry, and that no secret is in it; promise 32."""

import re
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from deploy.cluster.ports import free_port
from tests import factories, processes
from tests.factories import PASSWORD
from tests.processes import ROOT
from tests.receivers import Receiver, fields, receiving

API = "/api/v1"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACED = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
PLANTED = "planted-secret-hunter2"


class Told(NamedTuple):
    receiver: Receiver
    log: str
    user_id: int
    item_id: int
    token: str


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Generator[Told]:
    """All that is sent by a server that is used, fails, and ends; of its requests one caller's are traced."""
    folder = tmp_path_factory.mktemp("told")
    with receiving() as receiver:
        env = processes.safe(
            f"sqlite:///{folder / 'app.db'}",
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.otlp_url,
            OTEL_EXPORTER_OTLP_HEADERS="x-api-key=of-the-collector",
            OTEL_SERVICE_NAME="tested",
            OTEL_TRACES_SAMPLER="parentbased_always_off",
            SENTRY_DSN=receiver.sentry_dsn,
        )
        words = ("uvicorn", "tests.telemetry_app:app")
        with processes.server(folder, env, *words, expected="unhandled error|Traceback|SQLITE_ERROR") as server:
            with server.client() as client:
                user_id, item_id, token = use(client)
        yield Told(receiver, server.log.read_text(), user_id, item_id, token)


def use(client: Any) -> tuple[int, int, str]:
    body = {"email": factories.email(), "password": PASSWORD}
    user_id = client.post(f"{API}/auth/register", json=body, headers=TRACED).json()["id"]
    token = client.post(f"{API}/auth/login", json=body, headers=TRACED).json()["access_token"]
    client.headers |= {"Authorization": f"Bearer {token}", "Cookie": f"session={PLANTED}"}
    item_id = client.post(f"{API}/items", json={"title": PLANTED}).json()["id"]
    for headers in (TRACED, {}, {"traceparent": TRACED["traceparent"][:-1] + "0"}):
        client.get(f"{API}/items/{item_id}?token={PLANTED}", headers=headers).raise_for_status()
    client.get(f"{API}/items?q={PLANTED}", headers=TRACED).raise_for_status()
    assert client.post(f"{API}/items", json={"title": 1, PLANTED: PLANTED}, headers=TRACED).status_code == 422
    for how in ("statement", "value", "local"):
        answer = client.post(f"{API}/failing/{how}?q={PLANTED}", json={"password": PLANTED}, headers=TRACED)
        assert answer.status_code == 500
    return user_id, item_id, token


def test_a_callers_trace_is_continued_and_says_whose_it_is(told: Told) -> None:
    (span,) = [span for span in told.receiver.spans if span.name == "GET /api/v1/items/{item_id}"]
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    said = fields(span.attributes)
    assert said["http.route"] == "/api/v1/items/{item_id}"
    assert said["http.response.status_code"] == 200
    assert said["user.id"] == str(told.user_id)
    assert said["request.id"] in told.log
    assert said["url.query"] == "REDACTED"
    assert {resource["service.name"] for resource in told.receiver.resources} == {"tested"}


def test_the_statements_of_a_request_are_in_its_trace(told: Told) -> None:
    spans = {span.span_id: span for span in told.receiver.spans}
    statements = [span for span in spans.values() if span.name == "SELECT"]
    assert statements
    assert {span.trace_id.hex() for span in statements} == {TRACE}
    assert all(span.parent_span_id in spans for span in statements)
    texts = {fields(span.attributes)["db.query.text"] for span in statements}
    assert any("FROM example_items" in text and "WHERE" in text for text in texts)
    (failed,) = [span for span in statements if "nowhere" in fields(span.attributes)["db.query.text"]]
    assert failed.status.code == failed.status.STATUS_CODE_ERROR


def test_what_is_not_sampled_is_not_traced_but_measured(told: Told) -> None:
    assert {span.trace_id.hex() for span in told.receiver.spans} == {TRACE}
    last: dict[str, int] = {}
    for metric in told.receiver.metrics:
        assert metric.name == "http.server.request.duration"
        for point in metric.histogram.data_points:
            said = fields(point.attributes)
            last[f"{said['http.request.method']} {said.get('http.route')}"] = point.count
    assert last["GET /api/v1/items/{item_id}"] == 3  # of which one was traced
    assert f"GET {API}/items/{told.item_id}" not in last


def test_log_lines_have_the_trace_and_are_not_sent(told: Told) -> None:
    assert f"trace_id={TRACE}" in told.log
    assert {path for path in told.receiver.paths if path.startswith("/v1/")} == {"/v1/traces", "/v1/metrics"}


def test_sentry_hears_what_failed_where_and_whose_request_it_was(told: Told) -> None:
    assert len(told.receiver.errors) == 3
    for error in told.receiver.errors:
        assert error["transaction"] == "/api/v1/failing/{how}"
        assert error["user"] == {"id": str(told.user_id)}
        assert error["tags"]["trace_id"] == TRACE
        assert error["tags"]["request_id"] in told.log
        assert error["environment"] == "test"
        assert "request" not in error
        frames = [frame for one in error["exception"]["values"] for frame in one["stacktrace"]["frames"]]
        assert "fail" in {frame["function"] for frame in frames}
        assert not any("vars" in frame for frame in frames)
    said = {(one["type"], one["value"]) for error in told.receiver.errors for one in error["exception"]["values"]}
    assert ("LookupError", "There is none") in said
    assert "ValidationError" in {kind for kind, _ in said}


@pytest.mark.parametrize("secret", [PLANTED, PASSWORD, "eyJ", "$bcrypt", "$2b$", "of-the-collector", "Bearer "])
def test_no_secret_is_in_what_is_sent(told: Told, secret: str) -> None:
    assert told.token.startswith("eyJ")
    assert "INSERT INTO example_items" not in told.receiver.everything  # it was not traced
    assert "INSERT INTO users" in told.receiver.everything
    assert secret not in told.receiver.everything
    assert secret not in told.log.replace(f"?token={PLANTED}", "")


def test_what_a_kept_mail_holds_is_in_the_log_only(told: Told) -> None:
    (token,) = re.findall("The token for it: (.*)", told.log)
    assert token not in told.receiver.everything
    assert "kept in mails" not in told.receiver.everything


def test_what_the_collector_wants_is_sent_along(told: Told) -> None:
    assert {"of-the-collector"} == {
        headers["x-api-key"] for headers in told.receiver.headers if headers["content-type"] == "application/x-protobuf"
    }


def test_a_collector_that_is_away_keeps_nobody_waiting(tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    env = processes.safe(f"sqlite:///{tmp_path / 'app.db'}", OTEL_EXPORTER_OTLP_ENDPOINT=nowhere)
    with processes.server(tmp_path, env, expected="Failed to export|Exception while exporting") as server:
        with server.client() as client:
            client.get("/health/ready").raise_for_status()
        began = time.monotonic()
    assert time.monotonic() - began < 10


def test_without_an_endpoint_nothing_of_it_is_loaded(tmp_path: Path) -> None:
    code = """
import sys
from app.main import app
assert not app._native_telemetry.enabled()
assert not [name for name in ("opentelemetry.sdk", "sentry_sdk", "prometheus_client") if name in sys.modules]
"""
    env = processes.safe(f"sqlite:///{tmp_path / 'app.db'}", FASTAPI_OTEL_AUTO_CONFIGURE="true")
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, check=True, timeout=60)
