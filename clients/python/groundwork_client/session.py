"""The connection to the API, and who is signed in on it."""

from collections.abc import Callable
from typing import Any, Self

import httpx

from .errors import ApiError, SecondFactorNeeded
from .tokens import Tokens

LOGIN = "/api/v1/auth/login"
SECOND_FACTOR = "/api/v1/auth/login/second-factor"
LOGOUT = "/api/v1/auth/logout"

AskForCode = Callable[[], str]


class Groundwork:
    """Call the functions of `groundwork_client.api` with it: `items.get_item(groundwork, 1)`.

    `code` of `sign_in` is called when the account has a second factor, and returns its six digits.
    """

    def __init__(self, base_url: str, *, api_key: str | None = None, timeout: float = 30) -> None:
        self.tokens = Tokens(base_url, api_key)
        self.http = httpx.Client(base_url=base_url, auth=self.tokens, timeout=timeout)

    def sign_in(self, email: str, password: str, code: AskForCode | None = None) -> None:
        pair = self.request("POST", LOGIN, auth=None, json={"email": email, "password": password}).json()
        if "challenge_token" in pair:
            pair = self.request("POST", SECOND_FACTOR, auth=None, json=_answer(pair, code)).json()
        self.tokens.keep(pair)

    def sign_out(self) -> None:
        self.request("POST", LOGOUT)
        self.tokens.forget()

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Any request. Raises ApiError for an answer of 400 or more."""
        return _good(self.http.request(method, url, **options))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()


class AsyncGroundwork:
    """The same for asyncio: `await items.get_item_async(groundwork, 1)`."""

    def __init__(self, base_url: str, *, api_key: str | None = None, timeout: float = 30) -> None:
        self.tokens = Tokens(base_url, api_key)
        self.http = httpx.AsyncClient(base_url=base_url, auth=self.tokens, timeout=timeout)

    async def sign_in(self, email: str, password: str, code: AskForCode | None = None) -> None:
        pair = (await self.request("POST", LOGIN, auth=None, json={"email": email, "password": password})).json()
        if "challenge_token" in pair:
            pair = (await self.request("POST", SECOND_FACTOR, auth=None, json=_answer(pair, code))).json()
        self.tokens.keep(pair)

    async def sign_out(self) -> None:
        await self.request("POST", LOGOUT)
        self.tokens.forget()

    async def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Any request. Raises ApiError for an answer of 400 or more."""
        return _good(await self.http.request(method, url, **options))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()


def _answer(challenge: dict[str, Any], code: AskForCode | None) -> dict[str, Any]:
    if code is None:
        raise SecondFactorNeeded
    return {"challenge_token": challenge["challenge_token"], "code": code()}


def _good(response: httpx.Response) -> httpx.Response:
    if response.is_error:
        raise ApiError(response)
    return response
