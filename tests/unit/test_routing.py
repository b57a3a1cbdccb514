"""What a route's types may be."""

import subprocess
import sys
from pathlib import Path

import pytest
from fastapi.exceptions import PydanticV1NotSupportedError
from pydantic import v1

from app.core.policy import public
from app.core.routing import Router
from tests import processes


def test_a_model_of_pydantic_v1_is_refused() -> None:
    class Old(v1.BaseModel):
        name: str

    @public
    async def endpoint() -> None: ...

    with pytest.raises(PydanticV1NotSupportedError, match="Old"):
        Router().get("/old", response_model=Old)(endpoint)


def test_what_a_start_does_not_need_is_not_loaded(tmp_path: Path) -> None:
    late = ["cryptography", "joserfc", "limits", "prometheus_client", "sqladmin"]
    code = f"import sys, app.main; sys.exit(' '.join(sys.modules.keys() & {set(late)}) or 0)"
    env = processes.safe(f"sqlite:///{tmp_path / 'app.db'}")
    subprocess.run([sys.executable, "-c", code], cwd=processes.ROOT, env=env, check=True, timeout=60)
