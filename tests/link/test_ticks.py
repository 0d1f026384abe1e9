"""Timers of many links wake the loop on ticks that they share."""

from __future__ import annotations

import asyncio
import random

import pytest
from support.virtual_lines import run

from meterline.link.ticks import TICK_S, call_at


@pytest.mark.parametrize(("links", "most"), [(1, 101), (10, 101), (50, 51), (1000, 21), (100_000, 21)])
def test_a_thousand_timers_wake_the_loop_a_hundred_times_a_second_at_most(links: int, most: int) -> None:
    chance, due, rung = random.Random(1), list[float](), list[float]()

    async def test() -> None:
        clock = asyncio.get_running_loop().time
        due.extend(clock() + chance.uniform(0, 1) for _ in range(1000))
        for moment in due:
            call_at(moment, lambda: rung.append(clock()), links)
        await asyncio.sleep(2)

    for _ in range(2):  # one loop after another in one process
        due.clear()
        rung.clear()
        run(test())
        assert len(rung) == len(due)
        assert len({round(moment, 4) for moment in rung}) <= most
        assert all(0 <= there - moment < 0.06 for moment, there in zip(sorted(due), rung, strict=True))


def test_a_timer_that_is_cancelled_is_silent() -> None:
    rung = list[int]()

    async def test() -> None:
        now = asyncio.get_running_loop().time()
        timers = [call_at(now + TICK_S, lambda number=number: rung.append(number)) for number in range(3)]  # type: ignore[misc]
        timers[1].cancel()
        await asyncio.sleep(1)

    run(test())
    assert rung == [0, 2]
