"""What of an SQL statement may be told."""

import re

MAX_LENGTH = 1000

_LITERAL = re.compile(r"'(?:[^']|'')*'?")
_SPACE = re.compile(r"\s+")


def shape(statement: str) -> str:
    """The statement in one line. It has placeholders where its parameters go; a text that was written into it is taken
    out, too."""
    return _SPACE.sub(" ", _LITERAL.sub("'...'", statement)).strip()[:MAX_LENGTH]
