"""What is asked of every deployment's settings."""

from app.core.config import Settings

KNOWN = {name.upper() for name in Settings.model_fields}
SECRET = {"SECRET_KEY", "SECRET_KEY_PREVIOUS", "DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL"}


def must_be_safe(settings: dict[str, str]) -> Settings:
    """They are known, and production does not refuse them. Those that are secret may be left out."""
    assert set(settings) <= KNOWN
    secrets = {"SECRET_KEY": "0123456789abcdef" * 4, "DATABASE_URL": "postgresql://groundwork:x@db/groundwork"}
    values = {"ENVIRONMENT": "production", **secrets, **settings}
    defaults = Settings.model_construct().model_dump()  # and nothing of this process's environment
    return Settings.model_validate(defaults | {name.lower(): value for name, value in values.items()})
