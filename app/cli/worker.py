"""`app worker`: runs the jobs; any number of them may run."""

from app.cli.migrate import migrated
from app.core.environment import load_settings


def run(concurrency: int | None) -> None:
    settings = load_settings()
    from app.worker import celery  # says so when there is no broker

    migrated(settings)
    words = ["--quiet", "worker", "--loglevel", settings.log_level]
    celery.worker_main(words if concurrency is None else [*words, "--concurrency", str(concurrency)])
