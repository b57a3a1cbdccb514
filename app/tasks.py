"""Every feature's tasks, sorted: what the runner and the Celery worker know by name."""

from app.api_keys import tasks as api_keys
from app.auth import tasks as auth
from app.core.http import cleanup as responses
from app.core.jobs import cleanup as jobs
