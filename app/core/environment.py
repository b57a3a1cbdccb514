"""Reading the settings of this process from its environment and `.env`."""

import secrets
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError as SourceError

from app.core.config import ENV_FILE, Settings, SettingsError
from app.core.settings.faults import right


def load_settings() -> Settings:
    """The settings of this process.

    In development a missing SECRET_KEY is made once and kept in `.env`, so that sign-ins outlive a restart and
    several workers agree.

    Raises:
        SettingsError: one line a fault: which variable, what is wrong, what would be right.
    """
    _check_file()
    try:
        settings = Settings()
        if not settings.secret:
            if settings.environment != "development":
                raise SettingsError("SECRET_KEY: not set. " + right(Settings, "secret_key"))
            keep_development_secret()
            settings = Settings()
    except ValidationError as error:
        raise SettingsError("\n".join(_line(fault) for fault in error.errors())) from None
    except SourceError as error:
        raise SettingsError(str(error)) from None
    return settings


def _check_file() -> None:
    """What cannot be read of `.env` would be left out, with a warning at most."""
    if not ENV_FILE.is_file():
        return
    from dotenv.parser import parse_stream

    try:
        with ENV_FILE.open(encoding="utf-8") as file:
            for line in parse_stream(file):
                if line.error:
                    written = line.original.string
                    number = line.original.line + len(written) - len(written.lstrip("\n"))
                    raise SettingsError(
                        f"{ENV_FILE}, line {number}: not understood. Right: NAME=value, in quotes that are closed"
                    )
    except UnicodeDecodeError as error:
        number = ENV_FILE.read_bytes()[: error.start].count(b"\n") + 1
        raise SettingsError(f"{ENV_FILE}, line {number}: not UTF-8. Right: a file in UTF-8") from None
    except OSError as error:
        raise SettingsError(f"{ENV_FILE} cannot be read ({error.strerror})") from None


def keep_development_secret() -> None:
    """Append a random SECRET_KEY to `.env` unless it has one; safe when several processes start at once."""
    import fcntl  # not on Windows, where SECRET_KEY has to be set by hand

    try:
        with ENV_FILE.open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            text = file.read()
            if any(
                line.partition("=")[0].strip() == "SECRET_KEY" and line.partition("=")[2].strip()
                for line in text.splitlines()
            ):
                return
            newline = "" if not text or text.endswith("\n") else "\n"
            file.write(f"{newline}SECRET_KEY={secrets.token_hex(32)}\n")
        ENV_FILE.chmod(0o600)
    except OSError as error:
        raise SettingsError(
            f"SECRET_KEY: not set, and {ENV_FILE} cannot be written ({error.strerror}). "
            + right(Settings, "secret_key")
        ) from None


def _line(fault: Any) -> str:
    if fault["type"] == "unsafe":
        return fault["msg"]
    name = str(fault["loc"][0])
    return f"{name.upper()}: {fault['msg'].removeprefix('Value error, ')}. {right(Settings, name)}"
