"""Celery, as this application uses it: a message is a job's id, and all that counts is in the outbox too."""

from typing import TYPE_CHECKING

from app.core.config import Settings, SettingsError

if TYPE_CHECKING:
    from celery import Celery

RUN = "groundwork.run"
SWEEP = "groundwork.sweep"
JOBS_QUEUE = "groundwork.jobs"
SWEEP_QUEUE = "groundwork.sweep"  # of its own, so that it does not wait behind ten thousand jobs

SWEEP_EVERY_S = 5.0
CONNECT_TIMEOUT_S = 1
ANSWER_TIMEOUT_S = 5

# Without these a send waits for 6 s when the broker is away.
ONE_RETRY = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.2}


def make_sender(settings: Settings) -> "Celery":
    """A Celery app that only sends: a broker that takes connections and then hangs has ANSWER_TIMEOUT_S."""
    celery = make_celery(settings)
    if settings.celery_broker_url.startswith("amqp"):  # the options of Redis have it; a worker has to wait for longer
        celery.conf.broker_transport_options |= {"read_timeout": ANSWER_TIMEOUT_S, "write_timeout": ANSWER_TIMEOUT_S}
    return celery


def make_celery(settings: Settings) -> "Celery":
    """Raises SettingsError when what CELERY_BROKER_URL needs is not installed."""
    try:
        from celery import Celery
        from kombu import Exchange, Queue

        if settings.celery_broker_url.startswith("redis"):
            import redis  # noqa: F401 - the transport imports it at the first message
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"CELERY_BROKER_URL: {error.name} is not installed. Right: make setup EXTRAS={error.name}"
        ) from None
    celery = Celery("groundwork", broker=settings.celery_broker_url, set_as_current=False)
    celery.conf.update(
        task_ignore_result=True,  # what came of it stands in the outbox
        task_queues=[Queue(name, Exchange(name), routing_key=name) for name in (JOBS_QUEUE, SWEEP_QUEUE)],
        task_default_queue=JOBS_QUEUE,
        task_routes={SWEEP: {"queue": SWEEP_QUEUE}},
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        broker_connection_timeout=CONNECT_TIMEOUT_S,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # for ever
        broker_transport_options=_transport_options(settings),
        beat_schedule={SWEEP: {"task": SWEEP, "schedule": SWEEP_EVERY_S, "options": {"expires": SWEEP_EVERY_S}}},
    )
    if settings.celery_broker_url.startswith("amqp"):
        # A worker that is killed has not had what it took: RabbitMQ gives it to another at once. A message that comes
        # twice finds its row taken. (Redis would keep it back for an hour; there the sweep sends it again.)
        celery.conf.update(task_acks_late=True, task_reject_on_worker_lost=True)
    return celery


def _transport_options(settings: Settings) -> dict[str, object]:
    if settings.celery_broker_url.startswith("redis"):
        return {**ONE_RETRY, "socket_connect_timeout": CONNECT_TIMEOUT_S, "socket_timeout": ANSWER_TIMEOUT_S}
    return {**ONE_RETRY, "confirm_publish": True}  # a message is sent when RabbitMQ says that it has it
