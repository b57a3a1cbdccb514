"""The application for commands that look at it: what keeps it from being made is one line, not a traceback."""

import importlib
import traceback
from functools import cache
from pathlib import Path

from fastapi import FastAPI

from app.cli.checks import Finding
from app.cli.report import Fault
from app.core.db.migrations import ROOT
from app.core.environment import load_settings

# What raises for others: the line to mend is in the feature that called it.
NOT_AT_FAULT = (ROOT / "app" / "core", ROOT / "app" / "cli")


def application() -> FastAPI:
    """Raises Fault when it cannot be made, and SettingsError."""
    settings = load_settings()
    if fault := import_fault("app.models") or import_fault("app.main"):
        raise Fault("application", fault.message, next_step=fault.mend, exit_code=1)
    from app.main import create_app

    return create_app(settings)


@cache  # a second attempt would fail differently, on what is left of the first
def import_fault(module: str) -> Finding | None:
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it is any code
        message = f"{module} cannot be imported: {_reason(error)}"
        return Finding(message, f'.venv/bin/python -c "import {module}" shows the whole of it')
    return None


def _reason(error: BaseException) -> str:
    """Where, the kind and the first line of it."""
    if isinstance(error, SyntaxError):
        return f"{_shown(error.filename or '')}:{error.lineno}: {type(error).__name__}: {error.msg}"
    words = f"{type(error).__name__}: {error}".splitlines()[0]
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_at_fault(Path(frame.filename))]
    return f"{_shown(frames[-1].filename)}:{frames[-1].lineno}: {words}" if frames else words


def _is_at_fault(file: Path) -> bool:
    return file.is_relative_to(ROOT / "app") and not any(file.is_relative_to(folder) for folder in NOT_AT_FAULT)


def _shown(file: str) -> str:
    return Path(file).relative_to(ROOT).as_posix() if Path(file).is_relative_to(ROOT) else file
