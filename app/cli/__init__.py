"""The command line: `app --help`. A command imports what it needs when it runs."""

from app.cli.main import main

__all__ = ["main"]
