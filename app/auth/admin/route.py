"""The admin's routes answer with pages, as the errors do that they raise; whoever is not signed in is shown the way.

What is wrong outside of them, a body too large or a database that is away, is answered as everywhere.
"""

from collections.abc import Callable
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from app.auth.admin import cookie
from app.auth.second_factor.challenges import OVER
from app.core.admin.address import address
from app.core.errors import Invalid, Unauthorized
from app.core.http.pages import page
from app.core.http.strict_json import UNSTORABLE_MESSAGE, StrictRequest
from app.core.http.transactions import in_transaction
from app.core.policy import is_public


class PageRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Any]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            request = StrictRequest(request.scope, request.receive)
            try:
                if b"%00" in request.scope["query_string"]:
                    raise Invalid("query", "query", UNSTORABLE_MESSAGE, "unstorable")
                return await in_transaction(handle, request)
            except RequestValidationError:
                return sign_in_page(request, 422, "Fill in every field")
            except HTTPException as error:
                response = await self._error(request, error)
                if (wait := (error.headers or {}).get("Retry-After")) is not None:
                    response.headers["Retry-After"] = wait
                return response

        return answer

    async def _error(self, request: Request, error: HTTPException) -> Response:
        if is_public(self.endpoint):
            return await _ask_again(request, error)
        if not isinstance(error, Unauthorized):
            return error_page(request, error)
        sign_in = f"{address(request)}/login"
        # A script's DELETE would follow a redirect as if that were the answer.
        see_other = request.method in ("GET", "POST")
        response = RedirectResponse(sign_in, 303) if see_other else sign_in_page(request, 401, "The session has ended")
        # Along a link from another website the cookie is not sent, but an answer that takes it away would be heard.
        if cookie.is_sent(request):
            cookie.forget(response, request)
        return response


async def _ask_again(request: Request, error: HTTPException) -> Response:
    """The form that was sent, with what is wrong: the second factor's while its challenge may be answered."""
    can_be_read = request.method == "POST" and error.status_code in (401, 403, 429)
    challenge = (await request.form()).get("challenge_token") if can_be_read else None
    if challenge and error.detail != OVER:
        return challenge_page(request, str(challenge), error.status_code, _words(error))
    return sign_in_page(request, error.status_code, _words(error))


def sign_in_page(request: Request, status: int = 200, error: str = "") -> Response:
    return page("auth/admin/pages/sign_in.html", status, **_names(request), error=error)


def challenge_page(request: Request, challenge: str, status: int = 200, error: str = "") -> Response:
    return page("auth/admin/pages/second_factor.html", status, **_names(request), error=error, challenge=challenge)


def error_page(request: Request, error: HTTPException) -> Response:
    return page("auth/admin/pages/error.html", error.status_code, **_names(request), error=_words(error))


def _words(error: HTTPException) -> str:
    return error.message if isinstance(error, Invalid) else str(error.detail)


def _names(request: Request) -> dict[str, str]:
    return {"name": request.app.title, "admin": address(request)}
