"""What a command says: a few lines for people, or with --json one JSON document for programs.

A document has `ok`; what was done, or `error` with a `code` that stays the same from version to version; and `next`,
the steps to take.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any, TextIO


class Fault(Exception):
    """A command that is not carried out: one line that says what is wrong, where, and what would be right.

    `exit_code` is 2 for what was typed and 1 for what was found.
    """

    def __init__(
        self, code: str, message: str, *, argument: str | None = None, next_step: str | None = None, exit_code: int = 2
    ) -> None:
        super().__init__(message)
        self.code = code
        self.argument = argument
        self.next_step = next_step
        self.exit_code = exit_code


def say(as_json: bool, text: str, *, next_steps: Sequence[str] = (), **document: Any) -> None:
    """The answer of a command that was carried out."""
    if as_json:
        _print_json({"ok": True, **document, "next": list(next_steps)})
    else:
        _print(text)
        for number, step in enumerate(next_steps):
            _print(f"{'Next:' if number == 0 else '     '} {step}")


def say_fault(as_json: bool, fault: Fault) -> None:
    if as_json:
        error = {"code": fault.code, "argument": fault.argument, "message": str(fault)}
        _print_json({"ok": False, "error": error, "next": [fault.next_step] if fault.next_step else []})
    else:
        line = f"{fault.argument}: {fault}" if fault.argument else str(fault)
        if fault.next_step:
            line += f"{'' if line.endswith(('.', '?')) else '.'} Next: {fault.next_step}"
        _print(line, sys.stderr)


def _print_json(document: dict[str, Any]) -> None:
    _print(json.dumps(document, indent=2, ensure_ascii=False))


def _print(text: str, stream: TextIO | None = None) -> None:
    """At once: a server that is read through a pipe says where it is when it is there."""
    stream = stream or sys.stdout
    stream.write(f"{text}\n")
    stream.flush()
