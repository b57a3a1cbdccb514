"""Settings: they are read, and none is wrong or unsafe."""

from app.cli.checks import Check, Finding
from app.core.config import Settings, SettingsError
from app.core.environment import load_settings


def check() -> Check:
    try:
        settings = load_settings()
    except SettingsError as error:
        return Check("", [_finding(line) for line in str(error).splitlines()])
    return Check(f"{settings.environment}, {address(settings)}")


def quiet_settings() -> Settings:
    """The settings; with DEBUG, SQLAlchemy would write its statements into the answer."""
    return load_settings().model_copy(update={"debug": False})


def address(settings: Settings) -> str:
    return settings.url.render_as_string(hide_password=True)


def _finding(line: str) -> Finding:
    message, _, right = line.partition(" Right: ")
    name = line.partition(":")[0]
    return Finding(
        message.removesuffix("."), f"in .env or the environment, {name}={right or '..., as .env.example says'}"
    )
