"""What a call raises when the API refuses."""

from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with what was sent (422)."""

    type: str
    loc: tuple[str | int, ...]
    msg: str


class ApiError(Exception):
    """An answer of 400 or more: its status, and what it says. `faults` has the fields of a 422."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.status = response.status_code
        told = _told(response)
        self.faults = (
            [Fault(fault["type"], tuple(fault["loc"]), fault["msg"]) for fault in told] if _is_list(told) else []
        )
        self.detail = "; ".join(fault.msg for fault in self.faults) if self.faults else str(told)
        super().__init__(f"{self.status} {self.detail}")

    @property
    def retry_after(self) -> int | None:
        """Seconds, with 429 and 503."""
        seconds = self.response.headers.get("Retry-After", "")
        return int(seconds) if seconds.isdigit() else None


class SecondFactorNeeded(Exception):
    """The password was right, and the account has a second factor: sign in with a `code`."""


def _told(response: httpx.Response) -> Any:
    try:
        return response.json()["detail"]
    except (ValueError, KeyError, TypeError):  # of a proxy, say
        return response.reason_phrase


def _is_list(told: Any) -> bool:
    return isinstance(told, list) and all({"type", "loc", "msg"} <= fault.keys() for fault in told)
