"""A server that takes what OpenTelemetry's exporter (OTLP/HTTP, in protobuf) and Sentry's (envelopes) send."""

import gzip
import json
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Receiver:
    """What has come: `everything` as text, and the parts of it by what they are."""

    def __init__(self, port: int) -> None:
        self.otlp_url = f"http://127.0.0.1:{port}"
        self.sentry_dsn = f"http://key@127.0.0.1:{port}/1"
        self.headers: list[dict[str, str]] = []
        self.paths: set[str] = set()
        self.resources: list[dict[str, Any]] = []
        self.spans: list[Any] = []
        self.metrics: list[Any] = []
        self.errors: list[dict[str, Any]] = []
        self.everything = ""

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        self.headers.append(headers)
        self.paths.add(path)
        if path.endswith("/envelope/"):
            text = body.decode()
            self.everything += text
            self.errors += _events(text)
        elif path == "/v1/traces":
            for part in self._read(ExportTraceServiceRequest(), body).resource_spans:
                self.resources.append(fields(part.resource.attributes))
                self.spans += [span for scope in part.scope_spans for span in scope.spans]
        elif path == "/v1/metrics":
            for part in self._read(ExportMetricsServiceRequest(), body).resource_metrics:
                self.metrics += [metric for scope in part.scope_metrics for metric in scope.metrics]

    def _read(self, message: Any, body: bytes) -> Any:
        message.ParseFromString(body)
        self.everything += str(message)
        return message


def _events(envelope: str) -> Iterator[dict[str, Any]]:
    """Of the lines of an envelope, after its own, each second is what the one before it names."""
    _, *lines = envelope.rstrip("\n").split("\n")
    for head, body in zip(lines[::2], lines[1::2], strict=True):
        if json.loads(head)["type"] == "event":
            yield json.loads(body)


def fields(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@contextmanager
def receiving() -> Generator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            receiver.take(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002 - likewise

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(server.server_port)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
