"""Settings: they are read, and none is wrong, unsafe or misspelt."""

from collections.abc import Iterator
from difflib import get_close_matches

from dotenv import dotenv_values

from app.cli.checks import Check, Finding
from app.core.config import ENV_FILE, Settings, SettingsError
from app.core.environment import load_settings


def check() -> Check:
    try:
        settings = load_settings()
    except SettingsError as error:
        return Check("", [_finding(line) for line in str(error).splitlines()])
    return Check(f"{settings.environment}, {address(settings)}", list(_misspelt()))


def _misspelt() -> Iterator[Finding]:
    """What stands in `.env` for something else (a compose file's password) is like no setting."""
    known = [name.upper() for name in Settings.model_fields]
    for name in dotenv_values(ENV_FILE):
        likely = get_close_matches(name.upper(), known, 1, 0.8)
        if likely and name.upper() not in known:
            yield Finding(f"{name} in .env is no setting", f"name it {likely[0]}, or take it out")


def quiet_settings() -> Settings:
    """The settings; with DEBUG, SQLAlchemy would write its statements into the answer."""
    return load_settings().model_copy(update={"debug": False})


def address(settings: Settings) -> str:
    return settings.url.render_as_string(hide_password=True)


def _finding(line: str) -> Finding:
    message, _, right = line.partition(" Right: ")
    name = line.partition(":")[0]
    if not name.isidentifier():  # .env, line 3
        return Finding(message.removesuffix("."), f"correct it: {right}")
    return Finding(
        message.removesuffix("."), f"in .env or the environment, {name}={right or '..., as .env.example says'}"
    )
