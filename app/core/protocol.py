"""The server's protocol: the head of a request has a size and a time, so that nobody fills the memory or holds a place.

uvicorn with httptools has a limit for neither. A body's are in `app.core.middleware.BodyLimit`.

And it drains. A proxy may be sending a request on an idle connection at the very moment when the server closes it,
which loses that request: the proxy must not send a POST again. So an idle connection stays open for longer than a proxy
leaves it idle, and what comes on it is answered with `Connection: close`.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024  # and what one read brings beyond it
HEAD_TIMEOUT_S = 10.0  # from the connection, or the first byte of a further request, to the end of its head

KEEP_ALIVE_S = 5  # how long an unused connection is kept while the server serves; and while it drains:
IDLE_GRACE_S = 4.0  # a proxy has let go of it by then (keepalive_timeout of deploy/nginx is 2 s)
DRAINING = "draining"  # in the state that requests share: the server is about to end

TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large"  # RFC 6585, 5
TOO_SLOW = b"HTTP/1.1 408 Request Timeout"


class LimitedProtocol(HttpToolsProtocol):
    _head_bytes = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._begin_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._timer is not None:  # the head is not complete
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begin_head()

    def on_headers_complete(self) -> None:
        self._end_head()
        super().on_headers_complete()
        if self.app_state.get(DRAINING) and self.cycle is not None:
            self.cycle.keep_alive = False

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Called once the listener is closed."""
        if self.app_state.get(DRAINING) and not self._will_say_close():
            self.loop.call_later(IDLE_GRACE_S, self._close_if_idle)
        else:
            super().shutdown()

    def _will_say_close(self) -> bool:
        """Whether a request is here whose answer has not begun, and so can still tell that it is the last."""
        return self.cycle is not None and not self.cycle.response_started

    def _close_if_idle(self) -> None:
        if self._timer is not None and self._head_bytes > 0:
            return  # a head is on its way: answered, or cut by its own time
        super().shutdown()

    def _begin_head(self) -> None:
        if self._timer is None:
            self._head_bytes = 0
            self._timer = self.loop.call_later(HEAD_TIMEOUT_S, self._refuse, TOO_SLOW)

    def _end_head(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: bytes) -> None:
        self._end_head()
        if not self.transport.is_closing():
            self.transport.write(status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self.transport.close()
