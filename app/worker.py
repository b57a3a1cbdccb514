"""The Celery app: `celery -A app.worker worker`, or `app worker`, which migrates first."""

from app import models as models
from app import tasks as tasks
from app.core.config import SettingsError
from app.core.environment import load_settings
from app.core.jobs.worker import make_worker
from app.state import build

settings = load_settings()
if not settings.celery_broker_url:
    raise SettingsError("CELERY_BROKER_URL: not set, so the server runs its jobs itself and needs no worker")

celery = make_worker(settings, build)
