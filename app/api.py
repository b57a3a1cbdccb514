"""The registry of /api/v1: one line per feature, sorted."""

from fastapi import FastAPI

from app.api_keys.router import router as api_keys
from app.audit.router import router as audit
from app.auth.router import router as auth
from app.examples.router import router as examples
from app.jobs.router import router as jobs
from app.users.router import router as users

PREFIX = "/api/v1"


def include_features(app: FastAPI) -> None:
    app.include_router(api_keys, prefix=PREFIX)
    app.include_router(audit, prefix=PREFIX)
    app.include_router(auth, prefix=PREFIX)
    app.include_router(examples, prefix=PREFIX)
    app.include_router(jobs, prefix=PREFIX)
    app.include_router(users, prefix=PREFIX)
