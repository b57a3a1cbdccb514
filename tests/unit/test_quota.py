"""Limits as they are written, whom they count, and what the process's own counters hold."""

import pytest
from starlette.requests import Request

from app.core import counters
from app.core.client import client_address, client_network
from app.core.counters import Counters, Memory
from app.core.quota import parse_limits
from app.core.rate_limit import RateLimit


def test_several_limits_are_taken_the_shortest_window_first() -> None:
    assert [limit.get_expiry() for limit in parse_limits("20/hour,5 per minute;9/2 second")] == [2, 60, 3600]


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


async def test_the_memory_is_bounded_and_drops_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "MAX_KEYS", 100)
    memory = Memory()
    for number in range(1000):
        assert await memory.incr(f"key {number}", 60) == 1
        assert len(memory.storage) <= 100
        assert set(memory.storage) == set(memory.expirations)
    assert await memory.incr("key 999", 60) == 2
    assert await memory.incr("key 0", 60) == 1


async def test_what_has_ended_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "SWEEP_EVERY_S", 0)
    memory = Memory()
    await memory.incr("over", 0)
    await memory.incr("open", 60)
    assert list(memory.storage) == ["open"]


async def test_what_is_taken_back_after_its_window_lets_nobody_try_more_often() -> None:
    own = Counters(None, "")
    await own.take_back("key", 60)
    assert (await own.add("key", 60)).value == 1
    await own.take_back("key", 60)
    assert (await own.add("key", 60)).value == 1
