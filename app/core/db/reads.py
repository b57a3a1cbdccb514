"""What reads without a transaction take and return."""

from types import SimpleNamespace
from typing import Any

from sqlalchemy import Select

AnySelect = Select[*tuple[Any, ...]]


class Row(SimpleNamespace):
    """What a `ReadSession` returns: the columns of a row as attributes, read-only."""
