"""The commands that write code: `app add`, `remove`, `add-field` and `drop-field`."""

from typing import Annotated

import typer

cli = typer.Typer()

DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and write nothing.")]
EntityName = Annotated[str, typer.Argument(help="An entity that is there.")]
Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]


@cli.command(no_args_is_help=True)
def add(
    name: Annotated[str, typer.Argument(help="The entity: Todo.")],
    fields: Annotated[
        list[str] | None,
        typer.Argument(help="name:type, then ? optional, ! unique per owner, ^ indexed, =default: 'title:str(200)'."),
    ] = None,
    plural: Annotated[str | None, typer.Option(help="Of its name, for the folder, the table and the path.")] = None,
    route: Annotated[str | None, typer.Option(help="The last part of its path, when not the plural.")] = None,
    folder: Annotated[str | None, typer.Option(help="Its folder below app/, when not the plural.")] = None,
    parent: Annotated[str | None, typer.Option(help="The entity that it stands below.")] = None,
    superuser_only: Annotated[bool, typer.Option("--superuser-only", help="Superusers keep it, ownerless.")] = False,
    public_read: Annotated[bool, typer.Option("--public-read", help="Everybody may read it.")] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Add an entity: its folder, migration and tests, and its line in each registry."""
    from generator.add import run
    from generator.entity import Options

    options = Options(plural, folder, route, parent, superuser_only, public_read)
    run(name, fields or [], options, dry_run=dry_run, as_json=as_json)


@cli.command(no_args_is_help=True)
def remove(
    name: EntityName,
    force: Annotated[bool, typer.Option("--force", help="Remove what was changed by hand too.")] = False,
    keep_history: Annotated[
        bool, typer.Option("--keep-history", help="Add a migration that drops the table: another database has it.")
    ] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Take an entity away again, to the byte; with a migration that drops its table where the database has it."""
    from generator.remove import run

    run(name, force=force, keep_history=keep_history, dry_run=dry_run, as_json=as_json)


@cli.command("add-field", no_args_is_help=True)
def add_field(
    name: EntityName,
    fields: Annotated[list[str], typer.Argument(help="As in app add; optional or with a default.")],
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Add fields to an entity, with a migration."""
    from generator.change_fields import add_field as run

    run(name, fields, dry_run=dry_run, as_json=as_json)


@cli.command("drop-field", no_args_is_help=True)
def drop_field(
    name: EntityName,
    fields: Annotated[list[str], typer.Argument(help="The names of its fields.")],
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Take fields of an entity away, with a migration that drops their columns."""
    from generator.change_fields import drop_field as run

    run(name, fields, dry_run=dry_run, as_json=as_json)
