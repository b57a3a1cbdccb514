"""The transaction of a request: committed once the endpoint has returned, repeated when the database rolls it back.

A deadlock or a failed serialization leaves nothing of the first run behind. The next one gets the same body.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy.exc import DBAPIError
from starlette.requests import ClientDisconnect
from starlette.types import Message

from app.core.database import transaction
from app.core.db.errors import describe, is_conflict
from app.core.http.strict_json import StrictRequest

logger = logging.getLogger("app.transactions")

RETRIES = 3
FIRST_WAIT_S = 0.02

Handler = Callable[[Request], Awaitable[Response]]


async def in_transaction(handle: Handler, request: Request) -> Response:
    """The handler's response, once its writes are committed.

    An endpoint may run up to RETRIES times more: what it does outside its transaction belongs in a task.

    Raises:
        DBAPIError: the last run failed, or for a reason that another run would not change.
    """
    for number in range(RETRIES + 1):
        try:
            async with transaction(request) as request.state.db:
                return await handle(request)
        except DBAPIError as error:
            if number == RETRIES or not is_conflict(error):
                raise
            request = await _repeated(request, error)
            logger.warning("the transaction is tried again", extra={"error": describe(error)})
        await asyncio.sleep(FIRST_WAIT_S * 2**number * random.uniform(0.5, 1))  # noqa: S311 - so that victims part
    raise AssertionError


async def _repeated(request: Request, error: DBAPIError) -> Request:
    """The request with its body unread. Raises the error where the body was streamed: it is gone."""
    try:
        body = await request.body()
    except (RuntimeError, ClientDisconnect):
        raise error from None
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else await request.receive()

    return StrictRequest(request.scope, receive)
