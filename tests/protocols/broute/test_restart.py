"""A restart asks over the session that may still stand in the module, and joins only where nothing comes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from support.virtual_time import START, MemoryLink, Watched, follow, options, play

from meterline.meter.meter import Meter
from meterline.protocols.broute.options import Options
from meterline.protocols.broute.simulator.commands import FakeMeter, FakeModule, Faults

POWER = ("smartmeter_power_watts",)
JOINED = ("smartmeter_session_joins_total", "joined")


class Second:
    """What the second run of the program did, with the module of the first."""

    def __init__(
        self,
        patch: pytest.MonkeyPatch,
        between: Callable[[FakeModule], object] = lambda module: None,
        away: float = 5.0,
        **facts: Any,
    ) -> None:
        self.first_value = 0.0
        self.seen: Watched
        self.joins = 0.0
        patch.setattr(FakeMeter, "two_wire", False)
        play(lambda: self._play(between, away, facts))

    async def _play(self, between: Callable[[FakeModule], object], away: float, facts: dict[str, Any]) -> None:
        module, memory = FakeModule([FakeMeter()], start_unix=START, **facts), dict[str, Any]()
        await self._run(module, memory, 120)
        await asyncio.sleep(away)
        between(module)
        started = asyncio.get_running_loop().time()
        self.seen = await self._run(module, memory, 240, started)
        self.joins = self.seen.count(*JOINED)
        self.power = self.seen.meter.value(*POWER)
        self.energy = self.seen.meter.value("smartmeter_energy_import_watthours_total")

    async def _run(self, module: FakeModule, memory: dict[str, Any], seconds: float, started: float | None = None) -> Watched:
        loop = asyncio.get_running_loop()
        seen = Watched({"home": Meter("home", 90, loop.time)}, module, MemoryLink(module), memory)
        following = asyncio.create_task(follow(seen, {"home": options(module)}))
        end = loop.time() + seconds
        while loop.time() < end:
            await asyncio.sleep(0.05)
            if started is not None and not self.first_value and seen.meter.value(*POWER) is not None:
                self.first_value = loop.time() - started
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
        return seen


@pytest.mark.parametrize("binary", [False, True], ids=["hex", "binary"])
@pytest.mark.parametrize("dual", [True, False], ids=["dual", "single"])
def test_a_session_that_stands_is_used(monkeypatch: pytest.MonkeyPatch, dual: bool, binary: bool) -> None:
    second = Second(monkeypatch, dual=dual, binary=binary)
    assert second.joins == 0
    assert second.first_value < 2
    assert second.power is not None
    assert second.energy is not None
    assert second.seen.count("smartmeter_session_up") == 1
    assert second.seen.retries() == dict.fromkeys(second.seen.retries(), 0.0)
    assert b"SKRESET" not in second.seen.link.written
    assert ("smartmeter_session_start_timestamp_seconds",) not in second.seen.meter.counters.observed, "nobody knows"


def test_a_module_that_lost_its_power_is_joined_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    second = Second(monkeypatch, lambda module: module._forget())
    assert second.joins == 1
    assert second.first_value < 5


def test_a_session_that_ended_meanwhile_is_joined_after_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    second = Second(monkeypatch, lambda module: module.lose())
    assert second.joins == 1
    assert second.first_value < 6


def test_a_session_of_which_only_the_module_knows_costs_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(module: FakeModule) -> None:
        for meter in module.meters:
            meter.overrides = {}
        monkeypatch.setattr(FakeMeter, "answer", silent)

    honest = FakeMeter.answer
    asked: list[int] = []

    def silent(self: FakeMeter, *words: Any) -> Any:
        asked.append(1)
        return None if len(asked) == 1 else honest(self, *words)

    second = Second(monkeypatch, forget)
    assert second.joins == 1
    assert 2 < second.first_value < 8


def test_a_session_of_another_id_is_not_used() -> None:
    """The configuration was changed to another meter, whose place is not known yet."""

    async def scene() -> tuple[float, object]:
        old = FakeMeter(overrides={0xE7: (111).to_bytes(4)})
        new = FakeMeter(number=2, overrides={0xE7: (222).to_bytes(4)}, channel=0x25)
        module, memory, loop = FakeModule([old, new], start_unix=START), dict[str, Any](), asyncio.get_running_loop()
        seen = Watched({"home": Meter("home", 90, loop.time)}, module, MemoryLink(module), memory)
        values = set()
        for meter in (old, new):
            seen.meter.start_anew()
            following = asyncio.create_task(follow(seen, {"home": Options(id=meter.id, password=meter.password)}))
            for _ in range(180):
                await asyncio.sleep(1)
                if meter is new:
                    values.add(seen.meter.value(*POWER))
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
        assert 111 not in values
        return seen.count(*JOINED), seen.meter.value(*POWER)

    assert play(scene) == (2, 222)


def test_a_module_that_says_nothing_of_its_pairing_id_is_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = FakeModule._sksreg

    def sksreg(self: FakeModule, register: str, value: str | None = None) -> None:
        honest(self, "S02" if register == "S0A" and value is None else register, value)

    monkeypatch.setattr(FakeModule, "_sksreg", sksreg)
    second = Second(monkeypatch)
    assert second.joins == 1
    assert second.power is not None


def test_a_power_that_does_not_fit_its_current_is_not_shown_after_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    honest, damaged = MemoryLink.read, list[bytes]()

    async def read(link: MemoryLink) -> bytes:
        data = await honest(link)
        if b"E704" in data and asyncio.get_running_loop().time() > 122 and not damaged:
            damaged.append(data)
            return data.replace(b"E70400", b"E70470", 1)
        return data

    monkeypatch.setattr(MemoryLink, "read", read)
    second = Second(monkeypatch)
    assert damaged
    assert second.seen.meter.counters.rejected["implausible"] == 1
    assert isinstance(second.power, int)
    assert second.power < 20_000


def test_faults_do_not_keep_a_restart_from_coming_back(monkeypatch: pytest.MonkeyPatch) -> None:
    for faults in (
        Faults(drop=0.5),
        Faults(garbage=0.3),
        Faults(er10=0.5),
        Faults(lone_cr_echo=True),
        Faults(crlf_payload=True),
    ):
        assert Second(monkeypatch, faults=faults).power is not None or faults.drop
