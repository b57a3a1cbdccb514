"""Settings from the environment and `.env`; an unsafe or wrong one stops the start."""

from pathlib import Path
from typing import Annotated, Literal, Self

from fastapi import Depends, Request
from pydantic import Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import URL

from app.core.settings.database_url import async_url
from app.core.settings.faults import MIN_SECRET_LENGTH, faults_of
from app.core.settings.types import (
    BaseAddress,
    BrokerAddress,
    CollectorAddress,
    DatabaseAddress,
    DatabaseAddresses,
    Headers,
    HostNames,
    Limits,
    MailServerAddress,
    Networks,
    Origins,
    RedisAddress,
    Sampler,
    SecretList,
    Sender,
    WebAddress,
)

ENV_FILE = Path(".env")

# What an instance opens by itself, all of its processes and both of their pools together: two instances, and the third
# that a rolling restart begins before it ends one, fit into the 97 that a PostgreSQL as it comes gives to its users.
CONNECTIONS_OF_AN_INSTANCE = 32
LARGEST_POOL, SMALLEST_POOL = 10, 2

LIMITS = "10/minute, or several: 10/minute,100/hour"


class SettingsError(SystemExit):
    """Ends the process with status 1 and one line a fault on standard error."""


class Settings(BaseSettings):
    """What the environment decides. `.env.example` documents each of them; a test holds the two together."""

    model_config = SettingsConfigDict(
        env_file=ENV_FILE, env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

    app_name: str = Field("Groundwork", description="a name")
    environment: Literal["development", "test", "production"] = Field(
        "development", description="development, test or production"
    )
    debug: bool = Field(False, description="true or false")

    database_url: DatabaseAddress = Field(
        "sqlite:///./app.db",
        repr=False,
        description="sqlite:///./app.db, postgresql://user:password@host/name or mysql://user:password@host/name",
    )
    database_replica_urls: DatabaseAddresses = Field(
        [], repr=False, description="addresses like DATABASE_URL's, with commas between"
    )
    replica_max_lag_seconds: int = Field(5, ge=1, le=300, description="a whole number from 1 to 300")
    db_pool_size: int | None = Field(None, ge=1, le=1000, description="a whole number from 1 to 1000")
    fast_reads: bool = Field(True, description="true or false")
    db_statement_timeout_seconds: int = Field(
        30, ge=0, le=3600, description="a whole number from 1 to 3600, or 0 for no limit"
    )

    secret_key: SecretStr = Field(
        SecretStr(""), description=f"{MIN_SECRET_LENGTH} random characters or more: openssl rand -hex 32"
    )
    secret_key_previous: SecretList = Field([], description="keys that SECRET_KEY had before, with commas between")
    algorithm: Literal["HS256", "HS384", "HS512"] = Field("HS256", description="HS256, HS384 or HS512")
    access_token_expire_minutes: int = Field(30, ge=1, le=1440, description="a whole number from 1 to 1440")
    refresh_token_expire_days: int = Field(30, ge=1, le=365, description="a whole number from 1 to 365")

    identity_cache_seconds: float = Field(1, ge=0, le=60, description="seconds from 0 to 60; 0 turns it off")
    session_idle_days: int = Field(14, ge=1, le=365, description="a whole number from 1 to 365")

    bcrypt_rounds: int = Field(12, ge=4, le=16, description="a whole number from 4 to 16, in production from 10")
    require_verified_email: bool = Field(False, description="true or false")
    password_min_length: int = Field(8, ge=8, le=64, description="a whole number from 8 to 64")

    allowed_origins: Origins = Field([], description="origins with commas between: https://app.example.com,https://b.c")
    allowed_hosts: HostNames = Field([], description="host names with commas between: api.example.com,*.example.com")
    forwarded_allow_ips: Networks = Field("127.0.0.1", description="the proxies' addresses or networks: 10.0.0.0/8")

    max_body_bytes: int = Field(
        1024 * 1024, ge=1024, le=1024**3, description="a whole number from 1024 to 1073741824 (1 GiB)"
    )

    rate_limit_enabled: bool = Field(True, description="true or false")
    rate_limit_user: Limits = Field("600/minute", validate_default=False, description=LIMITS)
    rate_limit_auth: Limits = Field("60/minute", validate_default=False, description=LIMITS)
    login_limit_account: Limits = Field("5/minute,20/hour", validate_default=False, description=LIMITS)
    login_limit_address: Limits = Field("20/minute,100/hour", validate_default=False, description=LIMITS)
    redis_url: RedisAddress = Field("", repr=False, description="redis://:password@host:6379/0, or rediss://")

    celery_broker_url: BrokerAddress = Field(
        "", repr=False, description="amqp://user:password@host/vhost, or redis://host:6379/0; amqps and rediss too"
    )
    smtp_url: MailServerAddress = Field(
        "", repr=False, description="smtp://host:587, smtps://host:465, with user:password@ if any"
    )
    mail_from: Sender = Field("", description="an address, or a name with one: Example <no-reply@example.com>")
    mail_folder: Path = Field(Path("mails"), description="a folder")
    frontend_url: BaseAddress = Field("", description="the website's address: https://app.example.com")

    docs_enabled: bool = Field(True, description="true or false")
    admin_enabled: bool = Field(True, description="true or false")
    static_url: BaseAddress = Field("", description="the address of a CDN in front of /static: https://cdn.example.com")
    metrics_enabled: bool = Field(True, description="true or false")

    host: str = Field("127.0.0.1", description="an address to listen on: 127.0.0.1 or 0.0.0.0")
    port: int = Field(8000, ge=1, le=65535, description="a whole number from 1 to 65535")
    http2_enabled: bool = Field(False, description="true or false")
    drain_seconds: int = Field(0, ge=0, le=300, description="a whole number from 0 to 300")
    keep_alive_seconds: int = Field(10, ge=10, le=900, description="a whole number from 10 to 900")
    web_concurrency: int = Field(1, ge=1, le=256, description="a number of worker processes from 1 to 256")

    log_format: Literal["console", "json"] | None = Field(
        None, description="console or json; by default json in production, console elsewhere"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")

    otel_exporter_otlp_endpoint: CollectorAddress = Field(
        "", description="the collector's address: http://collector:4318"
    )
    otel_exporter_otlp_headers: Headers = Field(SecretStr(""), description="name=value, with commas between")
    otel_service_name: str = Field("", description="a name")
    otel_traces_exporter: Literal["otlp", "none"] = Field("otlp", description="otlp or none")
    otel_metrics_exporter: Literal["otlp", "none"] = Field("otlp", description="otlp or none")
    otel_traces_sampler: Sampler = Field(
        "parentbased_always_on", description="parentbased_traceidratio, parentbased_always_on, always_off ..."
    )
    otel_traces_sampler_arg: float = Field(1, ge=0, le=1, description="a share from 0 to 1: 0.1 is one in ten")

    sentry_dsn: WebAddress = Field("", repr=False, description="https://key@host/project, as Sentry shows it")

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if faults := faults_of(self):
            raise PydanticCustomError("unsafe", "{faults}", {"faults": "\n".join(faults)})
        return self

    @property
    def url(self) -> URL:
        """DATABASE_URL with its asynchronous driver."""
        return async_url(self.database_url)

    @property
    def pool_size(self) -> int:
        """The connections of each of a process's two pools: DB_POOL_SIZE, or its share of what an instance opens."""
        share = CONNECTIONS_OF_AN_INSTANCE // (2 * self.web_concurrency)
        return self.db_pool_size or max(SMALLEST_POOL, min(LARGEST_POOL, share))

    @property
    def secret(self) -> str:
        return self.secret_key.get_secret_value()

    @property
    def secrets(self) -> list[str]:
        """What a signature may be made with: SECRET_KEY, and those before it."""
        return [self.secret, *(key.get_secret_value() for key in self.secret_key_previous)]

    @property
    def keeps_mails(self) -> bool:
        """Whether mails are written to the log and to MAIL_FOLDER: without a server, but never in production."""
        return not self.smtp_url and self.environment != "production"

    @property
    def logs_as_json(self) -> bool:
        return (self.log_format or ("json" if self.environment == "production" else "console")) == "json"


async def _settings(request: Request) -> Settings:
    return request.app.state.settings


AppSettings = Annotated[Settings, Depends(_settings)]
