"""The worker that knows the tasks of tests/jobs_app.py too: `celery -A tests.jobs_worker worker`."""

from app.worker import celery as celery
from tests import jobs_app as jobs_app
