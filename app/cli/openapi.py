"""`app openapi`: the API's document, as /openapi.json has it, without a server."""

import json
from pathlib import Path

from app.cli.checks.application import application
from app.cli.report import Fault, say


def run(output: Path | None, as_json: bool) -> None:
    document = application().openapi()
    if output is None:
        say(as_json, json.dumps(document, indent=2, ensure_ascii=False), document=document)
        return
    try:
        output.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise Fault("write", f"{output}: {error.strerror}", argument="--output", exit_code=1) from None
    say(as_json, f"{output} has {len(document['paths'])} paths", path=str(output))
