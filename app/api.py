"""The registry of /api/v1: one line per feature, sorted."""

from app.api_keys.router import router as api_keys
from app.audit.router import router as audit
from app.auth.router import router as auth
from app.core.routing import Features
from app.examples.router import router as examples
from app.jobs.router import router as jobs
from app.users.router import router as users

PREFIX = "/api/v1"

router = Features()
router.include_router(api_keys)
router.include_router(audit)
router.include_router(auth)
router.include_router(examples)
router.include_router(jobs)
router.include_router(users)
