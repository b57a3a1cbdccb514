"""A browser that tells what went wrong on its pages: what they refused to load, and what they asked others for."""

import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, Request, async_playwright

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Visit:
    """One page, and what it did."""

    page: Page
    origin: str
    complaints: list[str] = field(default_factory=list)  # the console's errors: a policy's violations are among them
    asked: list[str] = field(default_factory=list)

    @property
    def elsewhere(self) -> list[str]:
        """What was asked of anybody but the server."""
        return [url for url in self.asked if not url.startswith((f"{self.origin}/", "data:", "blob:"))]

    def hear(self) -> None:
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._note)

    def _note(self, request: Request) -> None:
        self.asked.append(request.url)


@asynccontextmanager
async def visiting(origin: str) -> AsyncGenerator[Visit]:
    """A new browser, without cookies."""
    if CHROMIUM is None:
        (pytest.fail if os.environ.get("TEST_EVERYTHING") else pytest.skip)("chromium is not installed")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            page = await browser.new_page(base_url=origin, viewport={"width": 1280, "height": 800})
            visit = Visit(page, f"{urlsplit(origin).scheme}://{urlsplit(origin).netloc}")
            visit.hear()
            yield visit
        finally:
            await browser.close()
