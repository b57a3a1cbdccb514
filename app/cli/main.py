"""The commands, each of which hands over to its own file: `app --help` must not wait for their imports."""

import sys
from typing import Annotated

import typer

from app.cli.report import Fault, say_fault

cli = typer.Typer(
    name="app",
    help="Groundwork: serve it, add to it, look after it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]


def main() -> None:
    """Runs the command that was typed. Whatever keeps it from being carried out is one line, or one document."""
    as_json = "--json" in sys.argv
    try:
        code = cli(standalone_mode=False)
    except Fault as error:
        fault = error
    except SystemExit as error:  # settings, and what cannot be reached
        if not isinstance(error.code, str):
            raise
        fault = Fault("environment", error.code, exit_code=1)
    except (KeyboardInterrupt, typer.Abort):
        fault = Fault("interrupted", "Interrupted; nothing was changed", exit_code=130)
    except Exception as error:
        describe = getattr(error, "format_message", None)  # Typer's own have it: a word that no command takes
        if describe is None:
            raise
        fault = Fault("usage", describe(), next_step="app --help")
    else:
        sys.exit(code or 0)
    say_fault(as_json, fault)
    sys.exit(fault.exit_code)


@cli.command()
def serve() -> None:
    """Migrate the database and serve on HOST and PORT."""
    from app.cli.serve import run

    run()


@cli.command()
def migrate(as_json: Json = False) -> None:
    """Bring the database to the newest revision; safe to run by many at once."""
    from app.cli.migrate import run

    run(as_json)


@cli.command("create-superuser")
def create_superuser(
    email: Annotated[str, typer.Option(help="The account's address; an account that exists is promoted.")],
    password: Annotated[
        str,
        typer.Option(
            help="The account's new password; asked for when not given.",
            prompt=True,
            hide_input=True,
            confirmation_prompt=True,
        ),
    ],
    as_json: Json = False,
) -> None:
    """Make a superuser, who sees and touches everything."""
    from app.cli.superuser import run

    run(email, password, as_json)
