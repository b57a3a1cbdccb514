"""Runs the command that was typed. Whatever keeps it from being carried out is one line, or one document."""

import sys

from app.cli.report import Fault, say_fault


def main() -> None:
    as_json = "--json" in sys.argv
    try:
        code = _serve() if sys.argv[1:] == ["serve"] else _other()
    except Fault as error:
        fault = error
    except SystemExit as error:  # settings, and what cannot be reached
        if not isinstance(error.code, str):
            raise
        fault = Fault("environment", error.code, exit_code=1)
    except KeyboardInterrupt:
        fault = Fault("interrupted", "Interrupted; nothing was changed", exit_code=130)
    else:
        sys.exit(code or 0)
    say_fault(as_json, fault)
    sys.exit(fault.exit_code)


def _serve() -> None:
    """Without Typer, which would be 3 MB of each server for as long as it runs."""
    from app.cli.serve import run

    run()


def _other() -> int | None:
    """Raises Fault when no command takes what was typed, or it was not gone through with."""
    import typer

    from app.cli.commands import cli

    try:
        return cli(standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except Exception as error:
        describe = getattr(error, "format_message", None)  # Typer's own have it
        if describe is None:
            raise
        message = describe()
        if not message:  # its help is shown already, to a command without its arguments
            return 2
        raise Fault("usage", message, next_step="app --help") from None
