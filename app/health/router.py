"""Whether this process is alive, whether it can serve, and what it has served."""

from typing import Literal

from fastapi import Request, Response
from pydantic import BaseModel

from app.core.config import AppSettings
from app.core.database import Database
from app.core.errors import NotFound
from app.core.migrations import is_behind
from app.core.policy import public
from app.core.routing import Router

router = Router(tags=["health"])


class Live(BaseModel):
    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    status: Literal["ok", "unavailable"]
    checks: dict[str, str]


@router.get("/health/live")
@public
async def live() -> Live:
    """Whether the process answers; when it does not, restart it."""
    return Live()


@router.get("/health/ready", responses={503: {"model": Ready}})
@public
async def ready(request: Request, response: Response) -> Ready:
    """Whether the database answers and is at the code's revision; while not, send requests elsewhere."""
    checks = await _check(request.app.state.database)
    if any(state != "ok" for state in checks.values()):
        response.status_code = 503
        return Ready(status="unavailable", checks=checks)
    return Ready(status="ok", checks=checks)


async def _check(database: Database) -> dict[str, str]:
    try:
        behind = await is_behind(database)
    except Exception as error:  # noqa: BLE001 - whatever the driver raises: not ready
        return {"database": type(error).__name__}
    return {"database": "ok", "migrations": "behind" if behind else "ok"}


@router.get("/metrics", include_in_schema=False)
@public
async def metrics(request: Request, settings: AppSettings) -> Response:
    """Counts and durations for Prometheus."""
    if not settings.metrics_enabled:
        raise NotFound
    text, media_type = request.app.state.metrics.exposition()
    return Response(text, media_type=media_type)
