"""The registry of /api/v1: one line per feature, sorted."""

from fastapi import APIRouter

from app.api_keys.router import router as api_keys
from app.audit.router import router as audit
from app.auth.router import router as auth
from app.examples.router import router as examples
from app.jobs.router import router as jobs
from app.users.router import router as users

PREFIX = "/api/v1"


class Features:
    """Their routers. The application includes them one by one: FastAPI matches the routes of one router in between more
    slowly."""

    def __init__(self) -> None:
        self.routers: list[APIRouter] = []

    def include_router(self, router: APIRouter) -> None:
        self.routers.append(router)


router = Features()
router.include_router(api_keys)
router.include_router(audit)
router.include_router(auth)
router.include_router(examples)
router.include_router(jobs)
router.include_router(users)
