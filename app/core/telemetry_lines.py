"""Log lines as OpenTelemetry's records, each with its trace."""

import logging
from typing import Any

from opentelemetry._logs import LoggerProvider, SeverityNumber

from app.core.logs import STANDARD, RequestId

# A mail that is kept is in the log with its token, for whoever develops. What sends does not send that it could not.
NOT_SENT = ("app.mail", "opentelemetry", "urllib3", "requests")

SEVERITIES = {
    logging.DEBUG: SeverityNumber.DEBUG,
    logging.INFO: SeverityNumber.INFO,
    logging.WARNING: SeverityNumber.WARN,
    logging.ERROR: SeverityNumber.ERROR,
    logging.CRITICAL: SeverityNumber.FATAL,
}
LEFT_OUT = {*STANDARD, "trace_id"}  # the record has it as its own
PLAIN = (str, bool, int, float)


class SendLines(logging.Handler):
    def __init__(self, provider: LoggerProvider) -> None:
        super().__init__()
        self.addFilter(RequestId())
        self._logger = provider.get_logger("app")

    def emit(self, record: logging.LogRecord) -> None:
        is_requests_own = record.name == "app.access" and record.levelno == logging.INFO  # it says what its span does
        if is_requests_own or record.name.startswith(NOT_SENT):
            return
        try:
            self._send(record)
        except Exception:  # noqa: BLE001 - as logging's own handlers: a line that cannot be written fails no request
            self.handleError(record)

    def _send(self, record: logging.LogRecord) -> None:
        self._logger.emit(
            timestamp=int(record.created * 1e9),
            severity_number=SEVERITIES.get(record.levelno, SeverityNumber.UNSPECIFIED),
            severity_text=record.levelname,
            body=record.getMessage(),
            attributes={"logger": record.name, **_fields(record)},
            exception=record.exc_info[1] if record.exc_info else None,
        )


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """What the line was given beside its words."""
    extra = {name: value for name, value in vars(record).items() if name not in LEFT_OUT}
    return {name: value if isinstance(value, PLAIN) else str(value) for name, value in extra.items()}
