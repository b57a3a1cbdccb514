"""Services: Redis and the broker answer, when they are set."""

import asyncio

from app.cli.checks import Check, Finding
from app.cli.checks.settings import quiet_settings
from app.core.settings.service_url import answers

TIMEOUT_S = 5


def check() -> Check:
    settings = quiet_settings()
    services = {"REDIS_URL": settings.redis_url, "CELERY_BROKER_URL": settings.celery_broker_url}
    asked = {name: url for name, url in services.items() if url}
    findings = [
        Finding(
            f"{name}: nobody answers there",
            f"start its server, or correct {name} in .env or the environment; the API serves on without it",
        )
        for name, url in asked.items()
        if not asyncio.run(_answers(url))
    ]
    return Check(f"{', '.join(asked)}: they answer" if asked else "none is set", findings)


async def _answers(url: str) -> bool:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await answers(url)
    except OSError:  # TimeoutError, too
        return False
