"""docs/deployment/server.md: what of it does not need a machine of its own."""

import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from app.cli.serve import SHUTDOWN_TIMEOUT_S
from deploy.cluster.ports import free_port
from deploy.cluster.servers import Nginx
from tests import databases, processes
from tests.e2e.pages import blocks
from tests.processes import ROOT

SYSTEMD = ROOT / "deploy" / "systemd"
PAGE = blocks("docs/deployment/server.md", "bash")
NAME = "NAME=api.example.org"


def step(word: str) -> str:
    (script,) = (script for script in PAGE if word in script)
    return script


def run(script: str, folder: Path, **env: str) -> None:
    words = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(words, cwd=folder, env=os.environ | env, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_its_settings_are_safe_and_for_the_service_alone(tmp_path: Path) -> None:
    script = step("cat > /srv/groundwork/.env").replace("/srv/groundwork", str(tmp_path))
    run(f"{NAME}\n" + script.replace("root:groundwork", f"{os.getuid()}:{os.getgid()}"), tmp_path)
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o640
    words = ["python", "-c", "from app.core.environment import load_settings; print(load_settings())"]
    loaded = processes.command(*words, folder=tmp_path, env=processes.environment())
    assert (loaded.returncode, loaded.stderr) == (0, "")
    assert "environment='production'" in loaded.stdout
    assert "allowed_hosts=['api.example.org']" in loaded.stdout


@pytest.mark.skipif(not (Nginx.find() and shutil.which("openssl")), reason="nginx or openssl is not installed")
def test_nginx_takes_what_it_makes(tmp_path: Path) -> None:
    made = [line for line in step("upstream.conf").splitlines() if not re.search("certbot|systemctl", line)]
    script = "\n".join([NAME, *made]).replace("/srv/groundwork", str(ROOT)).replace("/etc/nginx", str(tmp_path))
    run(script, tmp_path)
    keys = (
        f"openssl req -x509 -newkey rsa:2048 -nodes -keyout privkey.pem -out fullchain.pem -subj /CN=x 2> {os.devnull}"
    )
    run(keys, tmp_path)
    listen = tmp_path / "listen.conf"
    text = re.sub(r"^listen \[.*\n", "", listen.read_text(), flags=re.MULTILINE)
    text = text.replace("listen 80;", f"listen {free_port()};").replace("listen 443 ssl", f"listen {free_port()} ssl")
    text = text.replace("/etc/letsencrypt/live/api.example.org", str(tmp_path)).replace("/var/log/nginx", str(tmp_path))
    listen.write_text(text)
    words = [str(Nginx.find()), "-t", "-p", str(tmp_path), "-c", "nginx.conf", "-e", "stderr", "-g", "pid nginx.pid;"]
    done = subprocess.run(words, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    upstream = (tmp_path / "upstream.conf").read_text()
    assert upstream.count("server 127.0.0.1:8000 max_fails=") == 2


@pytest.mark.skipif("postgresql" not in databases.BACKENDS, reason="there is no PostgreSQL")
@pytest.mark.skipif(not shutil.which("pg_dump"), reason="PostgreSQL's client is not installed")
async def test_the_backup_of_each_night_is_whole_and_the_old_ones_go(tmp_path: Path) -> None:
    old, recent = tmp_path / "old.dump", tmp_path / "recent.dump"
    run(f"touch --date '20 days ago' {old} && touch --date '3 days ago' {recent}", tmp_path)
    async with databases.empty_database("postgresql", tmp_path) as address:
        assert processes.command("app", "migrate", folder=tmp_path, env=processes.safe(address)).returncode == 0
        run(str(SYSTEMD / "backup.sh"), tmp_path, STATE_DIRECTORY=str(tmp_path), DATABASE_URL=address)
    made, *others = files(tmp_path)
    assert others == [recent]
    run(f"pg_restore --list {made} | grep 'TABLE DATA public users'", tmp_path)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_takes_the_units_of_the_backup(tmp_path: Path) -> None:
    for name in ("groundwork-backup.service", "groundwork-backup.timer"):
        (tmp_path / name).write_text((SYSTEMD / name).read_text().replace("/srv/groundwork", str(ROOT)))
    words = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "groundwork-backup.timer")]
    done = subprocess.run(words, text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_supervisor_runs_what_systemd_runs() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "deploy" / "supervisor" / "groundwork.conf")
    for name in ("groundwork", "groundwork-worker"):
        unit = (SYSTEMD / f"{name}.service").read_text()
        program = config[f"program:{name}"]
        assert f"ExecStart={program['command']}\n" in unit
        assert f"User={program['user']}\n" in unit
        assert f"WorkingDirectory={program['directory']}\n" in unit
        assert f"TimeoutStopSec={program['stopwaitsecs']}\n" in unit
        assert (program["stopsignal"], program["stopasgroup"]) == ("TERM", "false")
        assert int(program["stopwaitsecs"]) > SHUTDOWN_TIMEOUT_S
