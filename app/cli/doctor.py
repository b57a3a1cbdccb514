"""`app doctor`: what is wrong with this copy of the project, and what mends it."""

from collections.abc import Callable

import typer

from app.cli.checks import (
    Check,
    Finding,
    connections,
    database,
    docs,
    migrations,
    policies,
    registries,
    services,
    settings,
)
from app.cli.report import say

# Each check with those without which it cannot be made.
CHECKS: dict[str, tuple[Callable[[], Check], tuple[str, ...]]] = {
    "settings": (settings.check, ()),
    "database": (database.check, ("settings",)),
    "connections": (connections.check, ("settings", "database")),
    "migrations": (migrations.check, ("settings", "database")),
    "services": (services.check, ("settings",)),
    "registries": (registries.check, ()),
    "docs": (docs.check, ()),
    "policies": (policies.check, ("settings",)),
}


def run(as_json: bool) -> None:
    checks = _checked()
    document = [
        {"name": name, "ok": not check.findings, "faults": [vars(finding) for finding in check.findings]}
        for name, check in checks.items()
    ]
    is_well = not any(check.findings for check in checks.values())
    mends = dict.fromkeys(check.findings[0].mend for check in checks.values() if check.findings)
    lines = [line for name, check in checks.items() for line in _lines(name, check)]
    say(as_json, "\n".join(lines), next_steps=list(mends) if as_json else (), ok=is_well, checks=document)
    if not is_well:
        raise typer.Exit(1)


def _checked() -> dict[str, Check]:
    done: dict[str, Check] = {}
    for name, (check, needs) in CHECKS.items():
        broken = next((need for need in needs if done[need].findings), None)
        done[name] = _attempt(check) if broken is None else _skipped(broken, done[broken])
    return done


def _attempt(check: Callable[[], Check]) -> Check:
    try:
        return check()
    except OSError as error:  # one of the project's own files
        return Check("", [Finding(f"{error.filename}: {error.strerror}", f"git restore {error.filename}")])


def _skipped(need: str, check: Check) -> Check:
    return Check("", [Finding(f"skipped: {need}", check.findings[0].mend)])


def _lines(name: str, check: Check) -> list[str]:
    if not check.findings:
        return [f"ok    {name}: {check.note}"]
    return [" ".join(f"fault {name}: {finding.message}. Mend: {finding.mend}".split()) for finding in check.findings]
