"""Settings that are each right, and unsafe or contradictory together: one line a fault."""

import re
from typing import Any

from app.core.settings.database_url import async_url

# A production key of fewer characters can be guessed: HS256 wants 256 bits (RFC 7518, 3.2).
MIN_SECRET_LENGTH = 32
MIN_SECRET_SYMBOLS = 8
PLACEHOLDER = re.compile("change|secret|example|default|password", re.IGNORECASE)  # what templates ship
MIN_PRODUCTION_BCRYPT_ROUNDS = 10  # OWASP Password Storage Cheat Sheet


def faults_of(settings: Any) -> list[str]:
    faults = _secret_faults(settings)
    if settings.smtp_url and not settings.mail_from:
        faults.append("MAIL_FROM: not set, and SMTP_URL is. " + right(settings, "mail_from"))
    faults += _replica_faults(settings)
    if settings.environment == "production":
        faults += _production_faults(settings)
    return faults


def right(settings: Any, name: str) -> str:
    """What would be right, as every message about a setting ends."""
    fields = settings.model_fields if isinstance(settings, type) else type(settings).model_fields
    return f"Right: {fields[name].description}"


def _secret_faults(settings: Any) -> list[str]:
    in_production = settings.environment == "production"
    if not settings.secret:
        fault = "not set" if in_production else None
    elif len(settings.secret) < MIN_SECRET_LENGTH:
        fault = "too short"
    else:
        is_random = len(set(settings.secret)) >= MIN_SECRET_SYMBOLS and not PLACEHOLDER.search(settings.secret)
        fault = "not random" if in_production and not is_random else None
    faults = [f"SECRET_KEY: {fault}. {right(settings, 'secret_key')}"] if fault else []
    if any(len(key.get_secret_value()) < MIN_SECRET_LENGTH for key in settings.secret_key_previous):
        faults.append(f"SECRET_KEY_PREVIOUS: one is too short. {right(settings, 'secret_key_previous')}")
    return faults


def _replica_faults(settings: Any) -> list[str]:
    if not settings.database_replica_urls:
        return []
    faults = []
    backend = settings.url.get_backend_name()
    kinds = {async_url(address).get_backend_name() for address in settings.database_replica_urls}
    if backend == "sqlite" or kinds != {backend}:
        faults.append(
            "DATABASE_REPLICA_URLS: not all PostgreSQL's, or MySQL's, as DATABASE_URL is. Right: its replicas"
        )
    if not settings.redis_url:
        faults.append(
            "REDIS_URL: not set, and DATABASE_REPLICA_URLS is: processes tell each other there who has to see what. "
            + right(settings, "redis_url")
        )
    return faults


def _production_faults(settings: Any) -> list[str]:
    faults = []
    if settings.debug:
        faults.append("DEBUG: must be false in production")
    if "*" in settings.allowed_origins:
        faults.append(
            "ALLOWED_ORIGINS: * lets every website use your users' credentials. " + right(settings, "allowed_origins")
        )
    if _believes_everybody(settings.forwarded_allow_ips):
        faults.append(
            "FORWARDED_ALLOW_IPS: * believes whatever address a client makes up. "
            + right(settings, "forwarded_allow_ips")
        )
    if settings.bcrypt_rounds < MIN_PRODUCTION_BCRYPT_ROUNDS:
        faults.append(f"BCRYPT_ROUNDS: must be {MIN_PRODUCTION_BCRYPT_ROUNDS} or more in production")
    if settings.web_concurrency > 1 and settings.url.get_backend_name() == "sqlite":
        faults.append(
            "WEB_CONCURRENCY: SQLite serves one worker process in production. "
            "Set it to 1, or DATABASE_URL to PostgreSQL or MySQL"
        )
    return faults


def _believes_everybody(networks: str) -> bool:
    """With everybody trusted, the server takes the leftmost of X-Forwarded-For, which the client wrote."""
    return any(network.strip() == "*" or network.strip().endswith("/0") for network in networks.split(","))
