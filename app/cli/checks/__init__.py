"""What `app doctor` looks at, a file each: each has a function `check`."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, in one line, and what mends it."""

    message: str
    mend: str


@dataclass(frozen=True)
class Check:
    """What was found; without findings, the note says in a few words what is well."""

    note: str
    findings: Sequence[Finding] = ()
