"""The server's protocol: the head of a request has a size and a time, so that nobody fills the memory or holds a place.

uvicorn with httptools has a limit for neither. A body's are in `app.core.middleware.BodyLimit`. What follows a body
(trailers) is limited likewise, and read as nothing: uvicorn takes it for headers, which a proxy never saw as such.

And it drains. A proxy may be sending a request on an idle connection at the very moment when the server closes it,
which loses that request: the proxy must not send a POST again. So an idle connection stays open for longer than a proxy
leaves it idle, and what comes on it is answered with `Connection: close`.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024  # and what its first and its last read bring beyond it
HEAD_TIMEOUT_S = 10.0  # from the connection, or the first byte of a further request, to the end of its head

# How long an unused connection is kept while the server drains (KEEP_ALIVE_SECONDS while it serves): a proxy has let go
# of it by then (keepalive_timeout of deploy/nginx is 2 s), or has been told by /health/ready.
IDLE_GRACE_S = 4.0
DRAINING = "draining"  # in the state that requests share: the server is about to end

TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large"  # RFC 6585, 5
TOO_SLOW = b"HTTP/1.1 408 Request Timeout"
CONTINUE = b"HTTP/1.1 100 "


class JoinedWrites:
    """A transport for one answer that writes its head together with the first of its body.

    uvicorn writes them one after the other: two calls of the system, and a process that is killed between them leaves a
    proxy with half an answer, which it cannot ask another process for.
    """

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head: bytes | None = None
        self._has_begun = False

    def write(self, data: bytes) -> None:
        if not self._has_begun:
            if data.startswith(CONTINUE):  # which asks for the body, and is not the answer yet
                self._transport.write(data)
                return
            self._has_begun = True
            self._head = data
            self._loop.call_soon(self.flush)  # a body that is streamed comes later, and that of a HEAD never
            return
        if self._head is not None:
            self._head, data = None, self._head + data
        self._transport.write(data)

    def flush(self) -> None:
        if self._head is not None:
            self._head, data = None, self._head
            self._transport.write(data)

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()


class LimitedProtocol(HttpToolsProtocol):
    """What it has to say itself it says between two answers: in one it would be taken for a part of it."""

    _is_in_message = False  # in its head, its body, or what follows that
    _is_in_head = False
    # Of the head, without those of the read in which it began: a body may have been before it. After the head, what has
    # come since the last of the body: the frames of its chunks, and trailers.
    _head_bytes = 0
    _timer: asyncio.TimerHandle | None = None
    _last_words: Callable[[], None] | None = None  # for after the answer that is owed; nothing more is read

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        if self._last_words is not None:
            return
        self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head:
            self._limit_head()
        elif self._is_in_message and self._head_bytes > MAX_HEAD_BYTES:
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._unset_keepalive_if_required()
        self._is_in_message = self._is_in_head = True
        self._head_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_in_head:  # else it is a trailer (RFC 9110, 6.5.1)
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._is_in_message = False
        if not self._owes_answer():  # which did not wait for the whole of it: only now is the connection unused
            self._stop_timer()
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._is_in_head = False
        self._stop_timer()
        if self.cycle is not None:
            transport: Any = JoinedWrites(self.transport, self.loop)
            self.cycle.transport = transport
        if self.app_state.get(DRAINING) and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._last_words is not None:
            self._say_last(self._last_words)
        elif self._is_in_head and not self._owes_answer():
            self._unset_keepalive_if_required()
            self._limit_head()
        elif self._is_in_message and not self._owes_answer():
            self._start_timer()

    def send_400_response(self, msg: str) -> None:
        """Of what is no HTTP: a head, or the body of a request that is here."""
        if not self._is_in_head and self._owes_answer():
            if self.pipeline or self.cycle.response_started:
                self.transport.close()
            else:
                super().send_400_response(msg)  # it is the answer
        else:
            self._say_last(partial(super().send_400_response, msg))

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
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
        if not self._is_in_head:  # else a request is on its way: answered, or cut by its own time
            super().shutdown()

    def _owes_answer(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _limit_head(self) -> None:
        """Of a head that is half here. While its client waits for an earlier answer it has all the time."""
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(TOO_LARGE)
        elif not self._owes_answer():
            self._start_timer()

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(HEAD_TIMEOUT_S, self._end)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        """The time is over: of a head, or of the rest of a request that has its answer."""
        if self._is_in_message and not self._is_in_head:
            self.transport.close()
        else:
            self._refuse(TOO_SLOW)

    def _refuse(self, status: bytes) -> None:
        self._stop_timer()
        self._say_last(partial(self._write_refusal, status))

    def _write_refusal(self, status: bytes) -> None:
        self.transport.write(status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        self.transport.close()

    def _say_last(self, words: Callable[[], None]) -> None:
        if self._owes_answer():
            self._last_words = words
        elif not self.transport.is_closing():
            if self.cycle is not None:
                answered: Any = self.cycle.transport
                answered.flush()
            words()
