"""Places: as many at once as there are, in the order in which they came, and none is lost."""

import asyncio

import pytest

from app.core.places import Places

LONG_S, SHORT_S = 60, 0.01


async def begun(*waiting: asyncio.Task[None]) -> None:
    """They have come to where they wait."""
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)


async def test_who_came_first_is_served_first() -> None:
    places = Places(1, LONG_S)
    await places.take()
    first, second = asyncio.create_task(places.take()), asyncio.create_task(places.take())
    await begun(first, second)
    places.give_back()
    await first
    await begun(second)
    places.give_back()
    await second


async def test_who_waits_too_long_is_told_and_takes_no_place() -> None:
    places = Places(1, SHORT_S)
    await places.take()
    answers = await asyncio.gather(*(places.take() for _ in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [TimeoutError] * 3
    places.give_back()
    await places.take()
    with pytest.raises(TimeoutError):  # and there is a timer again
        await places.take()


async def test_who_waited_and_went_away_keeps_nobody_waiting() -> None:
    places = Places(1, LONG_S)
    await places.take()
    gone, next_one = asyncio.create_task(places.take()), asyncio.create_task(places.take())
    await begun(gone, next_one)
    gone.cancel()
    places.give_back()
    await next_one


async def test_who_gives_up_and_goes_at_one_moment_leaves_no_place_behind() -> None:
    places = Places(1, SHORT_S)
    await places.take()
    gone = asyncio.create_task(places.take())
    await begun(gone)
    next_one = asyncio.create_task(places.take())
    places._waiting[0][0].set_exception(TimeoutError())  # as its time does
    gone.cancel()
    with pytest.raises(TimeoutError):
        await next_one
    assert gone.cancelled()


async def test_a_place_given_to_somebody_who_goes_at_that_moment_is_the_next_ones() -> None:
    places = Places(1, LONG_S)
    await places.take()
    gone, next_one = asyncio.create_task(places.take()), asyncio.create_task(places.take())
    await begun(gone, next_one)
    places.give_back()
    gone.cancel()
    await next_one
    assert gone.cancelled()


async def test_none_is_lost_among_many() -> None:
    places, inside, most = Places(3, LONG_S), 0, 0

    async def work(number: int) -> None:
        nonlocal inside, most
        await places.take()
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0)
        inside -= 1
        places.give_back()

    tasks = [asyncio.create_task(work(number)) for number in range(50)]
    await asyncio.sleep(0)
    for task in tasks[10::5]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert most == 3
    await asyncio.gather(*(places.take() for _ in range(3)))
    assert places._free == 0
