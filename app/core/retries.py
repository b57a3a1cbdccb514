"""A request whose transaction the database chose as a victim is run again, with nothing left of the first run."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy.exc import DBAPIError

from app.core.database import transaction
from app.core.database_errors import describe, is_conflict

logger = logging.getLogger("app.retries")

RETRIES = 3
FIRST_WAIT_S = 0.02

Handler = Callable[[Request], Awaitable[Response]]


async def retried(handle: Handler, request: Request) -> Response:
    """The handler's answer, when what it did is committed.

    A deadlock or a failed serialization is rolled back and tried up to RETRIES times more, so an endpoint may run more
    than once: what it does elsewhere than in its transaction belongs into a task.

    Raises:
        DBAPIError: it was the last try, or is of another kind.
    """
    for number in range(RETRIES + 1):
        try:
            # FastAPI ends the dependencies of scope "function" with this stack. Its own outlives the handler, and what
            # they do at their end would come after the commit.
            async with transaction(request) as request.state.transaction, AsyncExitStack() as stack:
                request.scope["fastapi_function_astack"] = stack
                return await handle(request)
        except DBAPIError as error:
            if number == RETRIES or not is_conflict(error):
                raise
            logger.warning("the transaction is tried again", extra={"error": describe(error)})
        await asyncio.sleep(FIRST_WAIT_S * 2**number * random.uniform(0.5, 1))  # noqa: S311 - so that victims part
    raise AssertionError
