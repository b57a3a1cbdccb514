"""Docs: what the pages name is there, and .env.example and Settings name the same."""

import re
from collections.abc import Iterator
from pathlib import Path

from app.cli.checks import Check, Finding
from app.core.config import Settings
from app.core.db.migrations import ROOT

# What the pages show how to add.
EXAMPLES = ("app/todos", "tests/integration/test_todos")
LINK = re.compile(r"\]\((?!\w+:)([^)#]+)(?:#[^)]*)?\)")  # not https:, not one within the page
PATH = re.compile(r"`((?:app|generator|tests|alembic|deploy|docs|benchmarks)/[\w./]+)`")
SETTING = re.compile(r"^#? ?([A-Z][A-Z0-9_]*)=", re.MULTILINE)


def check() -> Check:
    pages = [
        page for page in (ROOT / "README.md", ROOT / "AGENTS.md", *(ROOT / "docs").rglob("*.md")) if page.is_file()
    ]
    findings = [_finding(page, name) for page in sorted(pages) for name in missing(page)]
    return Check(f"{len(pages)} pages name what is there", [*findings, *_settings()])


def missing(page: Path) -> Iterator[str]:
    """The files that a page links to or names, and the targets of make, that are not there."""
    text = _text(page)
    for target in LINK.findall(text):
        if not (page.parent / target).exists():
            yield target
    for path in PATH.findall(text):
        if not (ROOT / path).exists() and not path.startswith(EXAMPLES):
            yield path
    makefile = _text(ROOT / "Makefile")
    for target in re.findall(r"\bmake ([a-z-]+)\b(?=[`\s])", "\n".join(re.findall(r"`[^`]+`", text))):
        if not re.search(rf"^{target}:", makefile, re.MULTILINE):
            yield f"make {target}"


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")


def _finding(page: Path, name: str) -> Finding:
    where = page.relative_to(ROOT).as_posix()
    return Finding(f"{where} names {name}, which is not there", f"make it, or correct {where}")


def _settings() -> Iterator[Finding]:
    documented = set(SETTING.findall(_text(ROOT / ".env.example")))
    known = {name.upper() for name in Settings.model_fields}
    for name in sorted(known - documented):
        yield Finding(f".env.example lacks {name}", "describe it there, with its default")
    for name in sorted(documented - known):
        yield Finding(f".env.example names {name}, which Settings has not", "take it out, or add it to Settings")
