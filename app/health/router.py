"""Whether this process is alive, whether it can serve, and what it has served."""

from typing import Literal

from fastapi import Request, Response

from app.core.config import AppSettings
from app.core.errors import NotFound
from app.core.observability.metrics import RequestMetrics
from app.core.policy import public
from app.core.routing import Router
from app.core.schemas import AnswerSchema
from app.health.readiness import Readiness, Ready

router = Router(tags=["health"])


class Live(AnswerSchema):
    status: Literal["ok"] = "ok"


@router.get("/health/live")
@public
async def live() -> Live:
    """Whether the process answers; when it does not, restart it."""
    return Live()


@router.get("/health/ready", responses={503: {"model": Ready}})
@public
async def ready(request: Request, response: Response) -> Ready:
    """Whether to send requests here: 503 without the database, before its migrations, and while it is being stopped.

    `degraded` serves, without Redis or the broker or with every connection to the database in use.
    """
    readiness: Readiness = request.app.state.readiness
    answer = Ready(status="draining", checks={}) if readiness.is_draining else await readiness.look()
    if answer.status in ("unavailable", "draining"):
        response.status_code = 503
    return answer


@router.get("/metrics", include_in_schema=False)
@public
async def metrics(request: Request, settings: AppSettings) -> Response:
    """What this process, and those beside it, have counted, for Prometheus."""
    if not settings.metrics_enabled:
        raise NotFound
    counted: RequestMetrics = request.app.state.metrics
    counted.note_pools(request.app.state.pools())
    text, media_type = counted.exposition(await request.app.state.backlog.look())
    return Response(text, media_type=media_type)
