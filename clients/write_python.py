"""The Python client: openapi-python-client writes its models and functions, into the package that is kept by hand."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "python"
PACKAGE = FOLDER / "groundwork_client"
WRITTEN = ("api", "models", "types.py")


def write(document: dict[str, Any]) -> str:
    """Where it is. Raises CalledProcessError when there is anything in the document that the generator cannot write."""
    with tempfile.TemporaryDirectory() as temporary:
        written = Path(temporary) / "written"
        file = Path(temporary) / "openapi.json"
        file.write_text(json.dumps(_successes(document)))
        _run("generate", "--path", str(file), "--output-path", str(written))
        for name in WRITTEN:
            _replace(written / name, PACKAGE / name)
    return f"{PACKAGE.relative_to(FOLDER.parents[1])}"


def _run(command: str, *words: str) -> None:
    options = ["--meta", "none", "--fail-on-warning", "--config", str(FOLDER / "openapi-python-client.json")]
    options += ["--custom-template-path", str(FOLDER / "templates")]
    # ruff, which formats what was written, is beside this Python.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    run = [sys.executable, "-m", "openapi_python_client", command, *words, *options]
    subprocess.run(run, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"PATH": path})


def _successes(document: dict[str, Any]) -> dict[str, Any]:
    """The document without its errors: a function returns what a success has, and raises ApiError for the rest."""
    paths = {
        path: {
            method: operation | {"responses": _good(operation["responses"])} for method, operation in methods.items()
        }
        for path, methods in document["paths"].items()
    }
    return document | {"paths": paths}


def _good(responses: dict[str, Any]) -> dict[str, Any]:
    return {status: answer for status, answer in responses.items() if status < "300"}


def _replace(written: Path, target: Path) -> None:
    shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
    shutil.move(written, target)
