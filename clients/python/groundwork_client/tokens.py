"""The tokens of a session, sent with each request and renewed when they are refused."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Generator
from typing import Any

import httpx

REFRESH = "/api/v1/auth/refresh"


class Tokens(httpx.Auth):
    """A refresh token is good once, and one that is sent again ends its session: of many requests one renews."""

    def __init__(self, base_url: str, access_token: str | None) -> None:
        self.access_token = access_token
        self.refresh_token: str | None = None
        self._base_url = base_url.rstrip("/")
        self._lock = threading.Lock()
        self._async_lock = asyncio.Lock()

    def keep(self, pair: dict[str, Any]) -> None:
        self.access_token, self.refresh_token = pair["access_token"], pair["refresh_token"]

    def forget(self) -> None:
        self.access_token = self.refresh_token = None

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        sent = self._sign(request)
        response = yield request
        if not self._may_renew(response, sent):
            return
        with self._lock:
            if self.access_token == sent:
                answer = yield self._renewal()
                answer.read()
                self._renewed(answer)
        if self._sign(request):
            yield request

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        sent = self._sign(request)
        response = yield request
        if not self._may_renew(response, sent):
            return
        async with self._async_lock:
            if self.access_token == sent:
                answer = yield self._renewal()
                await answer.aread()
                self._renewed(answer)
        if self._sign(request):
            yield request

    def _sign(self, request: httpx.Request) -> str | None:
        if self.access_token:
            request.headers["Authorization"] = f"Bearer {self.access_token}"
        return self.access_token

    def _may_renew(self, response: httpx.Response, sent: str | None) -> bool:
        return response.status_code == 401 and sent is not None and self.refresh_token is not None

    def _renewal(self) -> httpx.Request:
        return httpx.Request("POST", self._base_url + REFRESH, json={"refresh_token": self.refresh_token})

    def _renewed(self, answer: httpx.Response) -> None:
        """With a 401 the session has ended; anything else, a 503 say, leaves the tokens for another try."""
        if answer.status_code == 200:
            self.keep(answer.json())
        elif answer.status_code == 401:
            self.forget()
