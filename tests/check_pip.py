"""`pip install -r requirements.txt && uvicorn app.main:app` in an empty virtual environment. Needs a package index."""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests import processes


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = processes.clone(Path(name) / "clone", with_venv=False)
        venv = Path(name) / "venv"
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        words = [str(venv / "bin" / "pip"), "install", "--quiet", "-r", "requirements.txt"]
        subprocess.run(words, cwd=folder, check=True)
        uvicorn = str(venv / "bin" / "uvicorn")
        with processes.server(folder, processes.environment() | {"PYTHONPATH": ""}, uvicorn, "app.main:app") as server:
            with server.client() as client:
                assert client.get("/docs").status_code == 200
                assert client.get("/health/ready").json()["status"] == "ok"
    print("pip install -r requirements.txt && uvicorn app.main:app: serves")


if __name__ == "__main__":
    main()
