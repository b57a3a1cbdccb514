"""Limits as they are written, whom they count, and what the process's own counters hold."""

import pytest
from starlette.requests import Request

from app.core.client import client_address, client_network
from app.core.config import Settings
from app.core.limits import counters
from app.core.limits.counters import Counters, Memory
from app.core.rate_limit import RateLimit
from app.core.settings.limits import parse_limits


def test_several_limits_are_taken_the_shortest_window_first() -> None:
    assert [limit.window_s for limit in parse_limits("20/hour,5 per minute;9/2 second")] == [2, 60, 3600]


@pytest.mark.parametrize("name", ["rate_limit_user", "rate_limit_auth", "login_limit_account", "login_limit_address"])
def test_the_settings_defaults_are_limits(name: str) -> None:
    assert parse_limits(Settings.model_fields[name].default)  # at a start they are not looked at


@pytest.mark.parametrize("text", ["", "many", "0/minute", "5/minute,0/hour", "-1/minute", "5/fortnight", "5"])
def test_what_is_no_limit_is_found_at_the_import(text: str) -> None:
    with pytest.raises(ValueError, match="limit"):
        RateLimit(text)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
        ("x" * 10_000, "x" * 45),
        (None, ""),
    ],
)
async def test_a_client_is_an_address_or_all_of_an_ipv6_network(address: str | None, network: str) -> None:
    request = Request({"type": "http", "client": address and (address, 1)})
    assert await client_network(request) == network
    assert client_address(request) == (address and address[:45])


def test_the_memory_is_bounded_and_drops_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "MAX_KEYS", 100)
    memory = Memory()
    for number in range(1000):
        assert memory.add(f"key {number}", 60, 1).value == 1
        assert len(memory.windows) <= 100
    assert memory.add("key 999", 60, 1).value == 2
    assert memory.add("key 0", 60, 1).value == 1


def test_a_counter_that_begins_anew_is_not_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "MAX_KEYS", 100)
    memory = Memory()
    memory.add("renewed", 0, 1)
    for number in range(50):
        memory.add(f"key {number}", 60, 1)
    memory.add("renewed", 60, 1)
    for number in range(50, 100):
        memory.add(f"key {number}", 60, 1)
    assert memory.add("renewed", 60, 1).value == 2


def test_what_has_ended_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "SWEEP_EVERY_S", 0)
    memory = Memory()
    memory.add("over", 0, 1)
    memory.add("open", 60, 1)
    assert list(memory.windows) == ["open"]
    assert memory.add("over", 60, 1).value == 1


async def test_what_is_taken_back_after_its_window_lets_nobody_try_more_often() -> None:
    own = Counters(None, "")
    await own.take_back("key", 60)
    assert (await own.add("key", 60)).value == 1
    await own.take_back("key", 60)
    assert (await own.add("key", 60)).value == 1
