"""Every feature's models, sorted: the only import that Alembic needs."""

from app.api_keys.models import ApiKey
from app.auth.models import AccountToken, AuthSession, RefreshToken, SignInChallenge, User
from app.auth.second_factor.models import RecoveryCode, SecondFactor
from app.core.audit import AuditEvent
from app.core.http.idempotency import IdempotencyKey
from app.core.jobs.outbox import OutboxJob
from app.examples.models import ExampleItem
