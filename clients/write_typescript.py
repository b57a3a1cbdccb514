"""The TypeScript client: openapi-typescript writes its types, this its table of routes, and tsc compiles both."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, TextIO

FOLDER = Path(__file__).parent / "typescript"
WRITTEN = FOLDER / "src" / "generated"
TIMEOUT_S = 300

# A field with a default may be left out of a request; an answer's are required in the document itself.
OPTIONS = ("--default-non-nullable=false", "--root-types", "--root-types-no-schema-prefix")


def write(document: dict[str, Any]) -> str:
    """Where it is, or why it is not. Raises CalledProcessError when npm or a compiler refuses."""
    npm = shutil.which("npm")
    if npm is None:
        return "not written, since node is not installed"
    if not _is_installed():
        _run(npm, "ci", "--no-audit", "--no-fund", "--loglevel=error")
    WRITTEN.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(document, file)
        file.flush()
        _run(npm, "exec", "--", "openapi-typescript", file.name, "--output", str(WRITTEN / "schema.ts"), *OPTIONS)
    (WRITTEN / "routes.ts").write_text(_routes(document))
    _run(npm, "run", "--silent", "build", said=sys.stderr)  # where tsc says what is wrong
    return f"{FOLDER.relative_to(FOLDER.parents[1])}"


def _is_installed() -> bool:
    installed = FOLDER / "node_modules" / ".package-lock.json"
    return installed.exists() and installed.stat().st_mtime >= (FOLDER / "package-lock.json").stat().st_mtime


def _run(*words: str, said: int | TextIO = subprocess.DEVNULL) -> None:
    subprocess.run(words, cwd=FOLDER, check=True, stdout=said, timeout=TIMEOUT_S)


def _routes(document: dict[str, Any]) -> str:
    lines = [
        f'  {_camel(operation["operationId"])}: {{ id: "{operation["operationId"]}", method: "{method}", '
        f'path: "{path}", signedIn: {json.dumps("security" in operation)} }},'
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    return "\n".join(
        ["/** Every operation of the API. */", "export const routes = {", *sorted(lines), "} as const;", ""]
    )


def _camel(name: str) -> str:
    """`createItem` of `create_item`."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
