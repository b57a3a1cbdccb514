"""Servers behind the nginx configuration that is deployed, which are restarted and killed. Promise 30."""

from pathlib import Path

import httpx2
import pytest

from deploy.cluster.servers import Nginx
from tests import processes
from tests.e2e.balanced import API, Load, balanced, in_front
from tests.e2e.stack import Caller, serving
from tests.waiting import until_sync

pytestmark = [
    pytest.mark.skipif(not Nginx.find(), reason="nginx is not installed"),
]


def test_a_rolling_restart_loses_nothing(tmp_path: Path) -> None:
    with balanced(tmp_path, 2) as (nginx, apps):
        with Load(nginx.url, users=4) as load:
            for app in (*apps, apps[0]):
                seen = load.answered
                app.stop()
                app.start()
                until_sync(lambda seen=seen: load.answered > seen + 20)
        assert load.failures == []
        assert load.written
        assert load.written <= load.titles()


def test_one_that_is_killed_costs_no_read(tmp_path: Path) -> None:
    with balanced(tmp_path, 2) as (nginx, apps):
        with Load(nginx.url, users=4, writes=False) as load:
            for app in apps:
                seen = load.answered
                app.kill()
                until_sync(lambda seen=seen: load.answered > seen + 20)
                app.start()
        assert load.failures == []


def test_a_post_is_never_sent_twice(tmp_path: Path) -> None:
    env = processes.safe(f"sqlite:///{tmp_path}/app.db")
    with serving(tmp_path, env) as one, serving(tmp_path, env) as other:
        with in_front(tmp_path, one, other) as nginx, httpx2.Client(base_url=nginx.url) as client:
            client.timeout = 60
            caller = Caller(client)
            answer = client.post(f"{API}/jobs-test/add_item?die=true", json=["once"])  # it dies when it is committed
            assert (answer.status_code, answer.json()) == (502, {"detail": "Bad Gateway"})
            until_sync(lambda: one.process.poll() or other.process.poll())
            caller.put("add_item", "again")  # the other one serves on
            caller.wait_for("again", "once")
