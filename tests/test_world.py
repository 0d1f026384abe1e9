"""The seam to the world: what the real one does, and that another one takes its place and leaves it again."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import Any

import pytest
from support.virtual_lines import run
from support.virtual_time import START, play

from meterline import world
from meterline.meter.meter import Meter
from meterline.world import World


def test_a_name_that_is_being_looked_up_gets_no_second_thread_and_is_looked_up_anew_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered, asked = threading.Event(), []

    def resolve(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        answered.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{len(asked)}", 0))]

    def threads() -> list[threading.Thread]:
        return [one for one in threading.enumerate() if one.name == "look up slow.example"]

    async def test() -> None:
        here = World()
        tries = [asyncio.create_task(here.look_up("slow.example")) for _ in range(6)]
        await asyncio.sleep(0)
        assert len(threads()) == 1
        tries[0].cancel()  # whoever gives up takes the answer from nobody
        await asyncio.sleep(0)
        answered.set()
        assert await asyncio.gather(*tries[1:]) == [["192.0.2.1"]] * 5
        for one in threads():
            one.join()
        assert await here.look_up("slow.example") == ["192.0.2.2"]
        assert asked == ["slow.example"] * 2

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    try:
        asyncio.run(test())
    finally:
        answered.set()


def test_a_name_that_is_not_known_is_an_error_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def test() -> None:
        for _ in range(2):
            with pytest.raises(socket.gaierror):
                await World().look_up("meter.example")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    asyncio.run(test())


def test_a_function_in_a_thread_begins_before_its_future_is_awaited() -> None:
    async def test() -> None:
        began = threading.Event()
        future = World().in_thread(began.set)
        assert began.wait(60)
        await future

    asyncio.run(test())


def test_the_uptime_does_not_fall_and_the_boot_has_one_id() -> None:
    here = World()
    first = here.uptime()
    assert 0 < first <= here.uptime()
    assert here.boot() == World().boot()


def test_one_world_follows_another_and_the_real_one_comes_back() -> None:
    async def hour() -> tuple[float, float, float, float]:
        begun = world.current.now(), world.current.monotonic()
        await world.current.sleep(3600)
        return *begun, world.current.now() - begun[0], world.current.random.random()

    real, started = world.current, time.monotonic()
    assert play(hour) == play(hour)
    assert play(hour)[:3] == (START, 0.0, 3600.0)
    assert world.current is real
    assert time.monotonic() - started < 3600


def test_a_world_that_ends_with_an_error_is_left() -> None:
    real = world.current
    with pytest.raises(ZeroDivisionError), world.replaced(World()):
        assert world.current is not real
        raise ZeroDivisionError
    assert world.current is real


def test_a_meter_stays_in_the_world_in_which_it_was_made() -> None:
    async def made() -> Meter:
        meter = Meter("home")
        await world.current.sleep(100)
        return meter

    assert run(made()).clock() == 100.0
    assert Meter("home").clock == time.monotonic
