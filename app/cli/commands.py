"""The commands, each of which hands over to its own file: `app --help` must not wait for their imports."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

cli = typer.Typer(
    name="app",
    help="Groundwork: serve it, add to it, look after it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

jobs = typer.Typer(name="jobs", help="Work after the answer: what failed for good, and another try.")
cli.add_typer(jobs, no_args_is_help=True)

# The generator is not in a server's image, so the app loads its commands only where they are, and never imports it.
if (Path(__file__).parents[2] / "generator" / "commands.py").exists():
    cli.add_typer(import_module("generator.commands").cli)

Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]


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


@cli.command()
def worker(
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Processes; by default one for each processor.")
    ] = None,
) -> None:
    """Migrate the database and run the jobs of CELERY_BROKER_URL."""
    from app.cli.worker import run

    run(concurrency)


@jobs.command("list")
def list_jobs(
    state: Annotated[str, typer.Option(help="waiting, sent, running, done or dead.")] = "dead",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most, the newest first.")] = 20,
    as_json: Json = False,
) -> None:
    """List jobs: those that failed for good, or of another state."""
    from app.cli.jobs import list_jobs as run

    run(state, limit, as_json)


@jobs.command("retry")
def retry_jobs(
    ids: Annotated[list[int] | None, typer.Argument(help="Of jobs that failed for good.")] = None,
    every_dead: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    as_json: Json = False,
) -> None:
    """Have jobs that failed for good run again."""
    from app.cli.jobs import retry_jobs as run

    run(ids or [], every_dead, as_json)


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


@cli.command("reset-second-factor")
def reset_second_factor(
    email: Annotated[str, typer.Option(help="The account's address.")],
    as_json: Json = False,
) -> None:
    """Turn off the second factor of somebody who lost it; they are signed out, and told by mail."""
    from app.cli.second_factor import run

    run(email, as_json)


@cli.command()
def routes(as_json: Json = False) -> None:
    """List every route, who may call it, and how much one request may ask for."""
    from app.cli.routes import run

    run(as_json)


@cli.command()
def openapi(
    output: Annotated[Path | None, typer.Option(help="The file to write it to, instead of standard output.")] = None,
    as_json: Json = False,
) -> None:
    """Write the API's OpenAPI document; no server and no database are needed."""
    from app.cli.openapi import run

    run(output, as_json)


@cli.command()
def doctor(as_json: Json = False) -> None:
    """Check settings, database, migrations, registries, docs and policies, and say what mends them."""
    from app.cli.doctor import run

    run(as_json)
