"""The commands, each of which hands over to its own file: `app --help` must not wait for their imports."""

from typing import Annotated

import typer

cli = typer.Typer(
    name="app",
    help="Groundwork: serve it, migrate it, administer it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@cli.command()
def serve() -> None:
    """Migrate the database and serve on HOST and PORT."""
    from app.cli.serve import run

    run()


@cli.command()
def migrate() -> None:
    """Bring the database to the newest revision; safe to run by many at once."""
    from app.cli.migrate import run

    run()


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
) -> None:
    """Make a superuser, who sees and touches everything."""
    from app.cli.superuser import run

    run(email, password)
