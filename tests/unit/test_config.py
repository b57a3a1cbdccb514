"""A bad setting stops the start with one line a fault: which, what is wrong, what is right. Promise 34."""

import re
import sys
from pathlib import Path

import pytest

from app.core.config import Settings, SettingsError
from app.core.database import Database
from app.core.db.redis import RedisLink
from app.core.environment import load_settings
from app.core.rate_limit import open_counters
from app.core.settings.database_url import async_url
from tests.factories import SECRET, settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An empty environment in an empty folder."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def faults(environment: pytest.MonkeyPatch, **variables: str) -> list[str]:
    for name, value in variables.items():
        environment.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    lines = str(caught.value).splitlines()
    assert all(re.match(r"[A-Z0-9_]+: .+", line) for line in lines), lines
    return lines


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("PORT", "eighty", "a whole number from 1 to 65535"),
        ("PORT", "70000", "a whole number from 1 to 65535"),
        ("ENVIRONMENT", "prod", "development, test or production"),
        ("DATABASE_URL", "oracle://db/x", "postgresql://user:password@host/name"),
        ("DATABASE_URL", "sqlite://", "sqlite:///./app.db"),
        ("DATABASE_URL", "sqlite:///:memory:", "sqlite:///./app.db"),
        ("DATABASE_URL", "postgres://localhost", "postgresql://user:password@host/name"),
        ("DATABASE_URL", "my database", "postgresql://user:password@host/name"),
        ("DATABASE_URL", "postgresql://h:port/x", "postgresql://user:password@host/name"),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", "0", "from 1 to 1440"),
        ("BCRYPT_ROUNDS", "3", "from 4 to 16"),
        ("ALGORITHM", "none", "HS256"),
        ("DEBUG", "perhaps", "true or false"),
        ("LOG_LEVEL", "loud", "DEBUG, INFO, WARNING or ERROR"),
        ("SECRET_KEY", "short", "openssl rand -hex 32"),
        ("ALLOWED_ORIGINS", "[1", "origins with commas between"),
        ("ALLOWED_ORIGINS", "app.example.com", "https://app.example.com"),
        ("ALLOWED_ORIGINS", "https://app.example.com/", "https://app.example.com"),
        ("ALLOWED_ORIGINS", "https://a.example,https://App.example.com", "https://app.example.com"),
        ("ALLOWED_HOSTS", "https://api.example.com", "api.example.com,*.example.com"),
        ("ALLOWED_HOSTS", "api.example.com:8000", "api.example.com,*.example.com"),
        ("CELERY_BROKER_URL", "oracle://queue", "amqp://user:password@host/vhost, or redis://host:6379/0"),
        ("CELERY_BROKER_URL", "amqp://", "amqp://user:password@host/vhost, or redis://host:6379/0"),
        ("CELERY_BROKER_URL", "redis://host:port", "amqp://user:password@host/vhost, or redis://host:6379/0"),
        ("REDIS_URL", "localhost:6379", "redis://:password@host:6379/0"),
        ("REDIS_URL", "redis://", "redis://:password@host:6379/0"),
        ("RATE_LIMIT_USER", "many", "10/minute,100/hour"),
        ("RATE_LIMIT_AUTH", "0/minute", "10/minute,100/hour"),
        ("LOGIN_LIMIT_ACCOUNT", "5/fortnight", "10/minute,100/hour"),
        ("LOGIN_LIMIT_ADDRESS", "5", "10/minute,100/hour"),
        ("FORWARDED_ALLOW_IPS", "proxy.example.com", "10.0.0.0/8"),
        ("FORWARDED_ALLOW_IPS", "10.0.0.1/8", "10.0.0.0/8"),  # the server would compare it as text
        ("FORWARDED_ALLOW_IPS", "127.0.0.1,*", "10.0.0.0/8"),
        ("SMTP_URL", "mail.example.com", "smtp://host:587"),
        ("FRONTEND_URL", "app.example.com", "https://app.example.com"),
        ("FRONTEND_URL", "https://app.example.com/?a=b", "https://app.example.com"),
        ("STATIC_URL", "cdn.example.com", "https://cdn.example.com"),
        ("STATIC_URL", "https://cdn.example.com/x#y", "https://cdn.example.com"),
        ("STATIC_URL", "https://user@cdn.example.com", "https://cdn.example.com"),
        ("STATIC_URL", "https://cdn/'; script-src *", "https://cdn.example.com"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "http://collector:4318"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=b,oracle://", "name=value"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "=b", "name=value"),
        ("OTEL_TRACES_SAMPLER", "sometimes", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "7", "a share from 0 to 1"),
        ("SENTRY_DSN", "key@host/project", "https://key@host/project"),
        ("SECRET_KEY_PREVIOUS", "short", "keys that SECRET_KEY had before"),
        ("MAIL_FROM", "Example", "Example <no-reply@example.com>"),
        ("MAIL_FROM", "a@example.com, b@example.com", "Example <no-reply@example.com>"),
        ("MAIL_FROM", "a@example.com\nBcc: b@example.com", "Example <no-reply@example.com>"),
    ],
)
def test_a_bad_setting_is_one_line(environment: pytest.MonkeyPatch, name: str, value: str, right: str) -> None:
    (line,) = faults(environment, **{name: value})
    assert line.startswith(f"{name}: ")
    assert right in line
    assert "oracle://" not in line
    assert "Value error" not in line  # pydantic's word


def test_a_mail_server_needs_a_sender(environment: pytest.MonkeyPatch) -> None:
    (line,) = faults(environment, SMTP_URL="smtp://mail.example.com")
    assert line.startswith("MAIL_FROM: not set, and SMTP_URL is. Right: an address")


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, ["REDIS_URL: not set, and DATABASE_REPLICA_URLS is"]),
        ({"REDIS_URL": "redis://h"}, []),
        ({"REDIS_URL": "redis://h", "DATABASE_URL": "mysql://h/x"}, ["DATABASE_REPLICA_URLS: not all PostgreSQL's"]),
        ({"REDIS_URL": "redis://h", "DATABASE_URL": "sqlite:///x"}, ["DATABASE_REPLICA_URLS: not all PostgreSQL's"]),
        ({"DATABASE_REPLICA_URLS": "postgresql://a/x,oracle://b"}, ["DATABASE_REPLICA_URLS: 'oracle' is"]),
    ],
)
def test_replicas_need_redis_and_are_of_their_primarys_kind(
    environment: pytest.MonkeyPatch, variables: dict[str, str], told: list[str]
) -> None:
    replicas = {"DATABASE_URL": "postgresql://h/x", "DATABASE_REPLICA_URLS": "postgresql://a/x, postgresql://b/x"}
    for name, value in (replicas | variables).items():
        environment.setenv(name, value)
    if not told:
        assert load_settings().database_replica_urls == ["postgresql://a/x", "postgresql://b/x"]
        return
    lines = faults(environment)
    assert [line.partition(". Right")[0][: len(said)] for line, said in zip(lines, told, strict=True)] == told


def test_every_fault_is_told_at_once(environment: pytest.MonkeyPatch) -> None:
    lines = faults(environment, PORT="x", BCRYPT_ROUNDS="99", ENVIRONMENT="prod")
    assert [line.partition(":")[0] for line in lines] == ["ENVIRONMENT", "BCRYPT_ROUNDS", "PORT"]


@pytest.mark.parametrize(
    ("variables", "fault"),
    [
        ({}, "SECRET_KEY: not set"),
        ({"SECRET_KEY": "a" * 31}, "SECRET_KEY: too short"),
        ({"SECRET_KEY": "changethis" * 4}, "SECRET_KEY: not random"),
        ({"SECRET_KEY": "a" * 64}, "SECRET_KEY: not random"),
        ({"SECRET_KEY": SECRET, "DEBUG": "true"}, "DEBUG: must be false"),
        ({"SECRET_KEY": SECRET, "ALLOWED_ORIGINS": "*"}, "ALLOWED_ORIGINS: *"),
        ({"SECRET_KEY": SECRET, "ALLOWED_ORIGINS": "https://a.example,*"}, "ALLOWED_ORIGINS: *"),
        ({"SECRET_KEY": SECRET, "FORWARDED_ALLOW_IPS": "*"}, "FORWARDED_ALLOW_IPS: *"),
        ({"SECRET_KEY": SECRET, "FORWARDED_ALLOW_IPS": "10.0.0.1, 0.0.0.0/0"}, "FORWARDED_ALLOW_IPS: *"),
        ({"SECRET_KEY": SECRET, "FORWARDED_ALLOW_IPS": "::/0"}, "FORWARDED_ALLOW_IPS: *"),
        ({"SECRET_KEY": SECRET, "BCRYPT_ROUNDS": "9"}, "BCRYPT_ROUNDS: must be 10 or more"),
        ({"SECRET_KEY": SECRET, "WEB_CONCURRENCY": "2"}, "WEB_CONCURRENCY: SQLite"),
    ],
)
def test_an_unsafe_production_does_not_start(
    environment: pytest.MonkeyPatch, variables: dict[str, str], fault: str
) -> None:
    (line,) = faults(environment, ENVIRONMENT="production", **variables)
    assert line.startswith(fault)


def test_a_safe_production_starts(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ENVIRONMENT", "production")
    environment.setenv("SECRET_KEY", SECRET)
    environment.setenv("DATABASE_URL", "postgres://u:p@h/x")
    environment.setenv("WEB_CONCURRENCY", "4")
    environment.setenv("ALLOWED_ORIGINS", "https://a.example, https://b.example:8443,")
    environment.setenv("ALLOWED_HOSTS", "api.example.com, *.example.org, [::1], localhost")
    environment.setenv("OTEL_EXPORTER_OTLP_HEADERS", "a=b%20c, d=,")
    settings = load_settings()
    assert settings.allowed_origins == ["https://a.example", "https://b.example:8443"]
    assert settings.allowed_hosts == ["api.example.com", "*.example.org", "[::1]", "localhost"]
    assert settings.logs_as_json
    assert SECRET not in repr(settings)
    assert "u:p" not in repr(settings)


def test_development_makes_a_secret_once_and_keeps_it(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("APP_NAME=Mine")  # what is there stays, though its last line has no end
    first = load_settings()
    assert first.app_name == "Mine"
    assert len(first.secret) == 64
    assert load_settings().secret == first.secret
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / ".env").read_text() == f"APP_NAME=Mine\nSECRET_KEY={first.secret}\n"


def test_a_folder_that_cannot_be_written_is_told(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    (line,) = faults(environment)
    assert line.startswith("SECRET_KEY: not set, and .env cannot be written")


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (b"A=B\n\nLOG_LEVEL='INFO\n", ".env, line 3: not understood. Right: NAME=value, in quotes that are closed"),
        (b"APP_NAME=Mine\nMAIL_FROM=Caf\xe9\n", ".env, line 2: not UTF-8. Right: a file in UTF-8"),
    ],
)
def test_a_line_of_the_file_that_cannot_be_read_is_told(
    environment: pytest.MonkeyPatch, tmp_path: Path, written: bytes, told: str
) -> None:
    (tmp_path / ".env").write_bytes(written)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value) == told


def test_the_test_environment_makes_no_secret(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (line,) = faults(environment, ENVIRONMENT="test")
    assert line.startswith("SECRET_KEY: not set")
    assert not (tmp_path / ".env").exists()


@pytest.mark.parametrize(
    ("scheme", "driver", "extra"), [("postgresql", "asyncpg", "postgres"), ("mysql", "asyncmy", "mysql")]
)
def test_a_driver_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, scheme: str, driver: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(SettingsError, match=f"DATABASE_URL: .*{driver} .*make setup EXTRAS={extra}"):
        Database(settings(database_url=f"{scheme}://h/x"))


def test_redis_that_is_not_installed_or_not_understood_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"REDIS_URL: not understood\. Right: redis://"):
        open_counters(settings(), RedisLink("redis://h/0?socket_timeout=long"))
    for name in [name for name in sys.modules if name.split(".")[0] == "redis"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SettingsError, match=r"REDIS_URL: redis.* is not installed\. Right: make setup EXTRAS=redis"):
        open_counters(settings(), RedisLink("redis://h"))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("sqlite:///./app.db", "sqlite+aiosqlite:///./app.db"),
        ("postgres://u:p@h:1/x", "postgresql+asyncpg://u:p@h:1/x"),
        ("postgresql://h/x", "postgresql+asyncpg://h/x"),
        ("postgresql+psycopg://h/x", "postgresql+asyncpg://h/x"),
        ("postgresql://h/x?sslmode=require&channel_binding=require", "postgresql+asyncpg://h/x?ssl=require"),
        ("mysql://u@h/x", "mysql+asyncmy://u@h/x"),
        ("mariadb://u@h/x", "mysql+asyncmy://u@h/x"),
    ],
)
def test_addresses_are_taken_as_people_write_them(written: str, meant: str) -> None:
    assert async_url(written).render_as_string(hide_password=False) == meant


def test_the_example_file_documents_every_setting_once_with_its_default() -> None:
    text = (ROOT / ".env.example").read_text()
    documented = re.findall(r"^#? ?([A-Z0-9_]+)=(.*)$", text, re.MULTILINE)
    assert sorted(name for name, _ in documented) == sorted(name.upper() for name in Settings.model_fields)
    for name, value in documented:
        if name != "SECRET_KEY":
            assert value == written(Settings.model_fields[name.lower()].default), name


def written(default: object) -> str:
    if default is None or default == []:
        return ""
    return str(default).lower() if isinstance(default, bool) else str(default)
