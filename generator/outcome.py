"""How a command that changes files ends: the change is made, or with --dry-run only told."""

from collections.abc import Sequence
from typing import Any

from app.cli.report import say
from generator.tree import Change


def finish(
    change: Change,
    headline: str,
    *,
    next_steps: Sequence[str],
    dry_run: bool,
    as_json: bool,
    left: Sequence[str] = (),
    **document: Any,
) -> None:
    """`left` are files that would change, too, had nobody changed them by hand."""
    plan = change.plan
    if not dry_run:
        change.make()
    would = "would " if dry_run else ""
    lines = []
    for step in plan:
        lines.append(f"  {would}{step['action']} {step['path']}")
        lines += [f"      {line}" for line in step.get("lines", [])] if dry_run else []
    lines += [f"  left {path}: it was changed by hand" for path in left]
    say(
        as_json,
        "\n".join([f"Dry run: {headline}" if dry_run else headline, *lines]),
        next_steps=["the same command without --dry-run"] if dry_run else next_steps,
        **document,
        dry_run=dry_run,
        files=plan,
        left=list(left),
    )
