"""What a hostile reviewer thought of: modules, meters, radio and clocks that do what they should not."""

from __future__ import annotations

import asyncio
import os
import re
from random import Random
from typing import Any

import pytest
from support.virtual_lines import VirtualWorld
from support.virtual_time import HOUR, START, MemoryLink, Watched, options, play, run, up

from meterline import world
from meterline.protocols.broute import echonet
from meterline.protocols.broute.driver import Driver
from meterline.protocols.broute.simulator.commands import FakeMeter, FakeModule, Faults
from meterline.protocols.broute.simulator.serial_port import CommandFailed

POWER = ("smartmeter_power_watts",)
ENERGY = ("smartmeter_energy_import_watthours_total",)
HALF_HOUR = ("smartmeter_fixed_energy_import_watthours", "30m")
JOINED = ("smartmeter_session_joins_total", "joined")


def now() -> float:
    return asyncio.get_running_loop().time()


class Changed(FakeMeter):
    """A meter whose replies go through `change`: the frame asked, the frame answered."""

    change: Any = None

    def answer(self, frame: echonet.Frame, now: float) -> echonet.Frame | None:
        reply = super().answer(frame, now)
        return self.change(frame, reply) if self.change and reply else reply


def epcs(frame: echonet.Frame) -> set[int]:
    return {epc for epc, _ in frame.properties}


class TestUnits:
    @pytest.mark.parametrize("answer", [None, b"\x11\x19\x41", b"\x00"], ids=["refused", "malformed", "empty"])
    def test_a_map_of_nonsense_costs_no_coefficient(self, answer: bytes | None) -> None:
        meter = FakeMeter(coefficient=10, overrides={0x9F: answer})
        seen = run(0.1, [meter])
        assert seen.meter.value(*ENERGY) == pytest.approx(meter.imported, abs=1000)

    @pytest.mark.parametrize("epc", [0xD3, 0xD7, 0xE1])
    def test_one_refusal_is_not_believed(self, epc: int) -> None:
        refused: list[int] = []

        def change(asked: echonet.Frame, reply: echonet.Frame) -> echonet.Frame:
            if epc in epcs(asked) and not refused:
                refused.append(epc)
                said = tuple(echonet.Property(one, b"" if one == epc else edt) for one, edt in reply.properties)
                return reply._replace(esv=echonet.GET_SNA, properties=said)
            return reply

        meter = Changed(coefficient=10)
        meter.change = change
        seen = run(0.1, [meter])
        assert refused
        assert seen.meter.value(*ENERGY) == pytest.approx(meter.imported, abs=1000)

    @pytest.mark.parametrize(("right", "wrong"), [(b"E10101", b"E10100"), (b"D30400000001", b"D30400000003")])
    def test_one_damaged_digit_is_not_believed(self, monkeypatch: pytest.MonkeyPatch, right: bytes, wrong: bytes) -> None:
        damaged: list[bytes] = []
        honest = MemoryLink.read

        async def read_damaged(link: MemoryLink) -> bytes:
            data = await honest(link)
            if right in data and not damaged:
                damaged.append(data)
                return data.replace(right, wrong, 1)
            return data

        monkeypatch.setattr(MemoryLink, "read", read_damaged)
        seen = run(0.2)
        assert damaged
        assert seen.meter.value(*ENERGY) == pytest.approx(12_345_678, abs=2000)

    def test_a_meter_that_is_exchanged_at_night_has_its_own_units(self) -> None:
        old = FakeMeter(coefficient=1, imported=5_000_000.0, digits=8)
        new = FakeMeter(coefficient=10, imported=700_000.0, digits=8, mac="00142244556600AA", channel=0x2A)
        wrong = []

        def exchange(seen: Watched) -> None:
            if now() > 300 and seen.module.meters[0] is old:
                new.advance(seen.module.unix)
                seen.module.meters = (new,)
            value = seen.meter.value(*ENERGY)
            if value is not None and not (5_000_000 <= float(value) < 5_010_000 or 700_000 <= float(value) < 710_000):
                wrong.append(value)

        seen = run(0.5, [old], act=exchange)
        assert not wrong
        assert seen.meter.value(*ENERGY) == 700_000
        assert seen.meter.counters.swaps == 1


class TestSession:
    def test_an_event_25_that_nobody_waits_for_is_no_session(self) -> None:
        """It came after SKJOIN's OK was lost; the program must neither freeze nor believe that it is joined."""

        def join(seen: Watched) -> None:
            if 61 < now() < 62.5:
                seen.module.event(0x25, "FE80:0000:0000:0000:0214:2244:5566:7788")

        seen = run(0.3, faults=Faults(lies=True), act=join)
        assert seen.errors
        assert seen.meter.counters.frames == 0

    @pytest.mark.parametrize("number", [0x24, 0x26, 0x28, 0x29])
    def test_an_event_of_another_address_is_not_about_our_session(self, number: int) -> None:
        def tell(seen: Watched) -> None:
            if now() > 300 and now() % 600 < 1:
                seen.module.event(number, "FE80:0000:0000:0000:0214:2244:5566:FFFF")

        seen = run(1, act=tell)
        assert seen.count(*JOINED) == 1

    @pytest.mark.parametrize("after", [1, 5])
    def test_a_meter_that_ends_each_session_is_not_hammered(self, after: int) -> None:
        assert run(1, faults=Faults(end26=after)).count(*JOINED) < 60

    def test_a_module_that_loses_its_power_for_a_moment_is_joined_again(self) -> None:
        gone: list[float] = []

        def dip(seen: Watched) -> None:
            if now() > 300 and not gone:
                gone.append(now())
                seen.module._skreset()

        seen = run(0.5, act=dip)
        assert gone
        assert up(seen)
        assert seen.retries()["scan"] == 0

    def test_the_signal_is_not_shown_of_a_meter_that_is_not_heard(self) -> None:
        seen = run(0.9, faults=Faults(outage=(3600, 1800)))
        assert not up(seen)
        assert ("smartmeter_radio_rssi_dbm",) not in seen.meter.counters.observed

    def test_pauses_stay_finite_however_long_a_meter_is_dead(self) -> None:
        async def scene() -> float:
            module = FakeModule([FakeMeter()], start_unix=START)
            driver = Driver(MemoryLink(module), {"home": options(module)}, {}, lambda _: None)
            (target,) = driver._targets
            target.misses = 5000
            driver._miss(target)
            return target.due

        assert 200 < play(scene) < 400

    def test_a_reset_that_fails_once_is_repeated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        honest = FakeModule._skreset
        failed: list[int] = []

        def reset(module: FakeModule) -> None:
            if not failed:
                failed.append(1)
                raise CommandFailed("ER09")
            honest(module)

        monkeypatch.setattr(FakeModule, "_skreset", reset)
        seen = run(0.1)
        assert failed
        assert up(seen)
        assert not seen.errors


class TestReplies:
    @pytest.mark.parametrize("delay", [9, 11, 15])
    def test_a_slow_meter_is_read_all_the_same(self, monkeypatch: pytest.MonkeyPatch, delay: int) -> None:
        monkeypatch.setattr(FakeModule, "_delay", lambda self, payload, held: held + delay)
        assert up(run(0.5))

    def test_a_reply_counts_although_the_question_was_not_acknowledged(self, monkeypatch: pytest.MonkeyPatch) -> None:
        honest = FakeModule.transmit

        def transmit(self: FakeModule, *words: Any) -> int:
            honest(self, *words)
            return 1

        monkeypatch.setattr(FakeModule, "transmit", transmit)
        seen = run(0.5)
        assert up(seen)
        assert seen.count("smartmeter_polls_failed_total") == 0

    @pytest.mark.parametrize("ignored", [{0x9F}, {0xD3}, {0x8A, 0x97, 0xEA}], ids=str)
    def test_a_question_that_is_never_answered_costs_no_other(self, ignored: set[int]) -> None:
        meter = Changed()
        meter.change = lambda asked, reply: None if epcs(asked) & ignored else reply
        shown = []

        def note(seen: Watched) -> None:
            if now() > 600:
                shown.append(seen.meter.value(*POWER) is not None)

        run(1, [meter], act=note)
        assert sum(shown) > 0.95 * len(shown)

    def test_one_meters_notification_is_never_anothers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        first = FakeMeter(number=1, imported=11_111_000.0)
        second = FakeMeter(number=2, imported=99_000.0, channel=0x22)
        silent: list[int] = []
        honest = FakeModule.transmit

        def transmit(self: FakeModule, address: str, port: int, security: int, payload: bytes) -> int:
            """The first meter announces its half hour, then ends the session, in the middle of our questions."""
            frame = echonet.decode(payload)
            if now() > 300 and self.session and self.session.meter is first and len(silent) < 3:
                assert isinstance(frame, echonet.Frame)
                silent.append(frame.tid)
                if len(silent) == 1 and (said := first.notification(self.unix)):
                    self.datagram(first, echonet.encode(said))
                if len(silent) == 3:
                    self._end()
                return 0
            return honest(self, address, port, security, payload)

        monkeypatch.setattr(FakeModule, "transmit", transmit)
        wrong = []

        def note(seen: Watched) -> None:
            value = seen.meters["meter1"].value(*HALF_HOUR)
            if value is not None and float(value) > 1_000_000:
                wrong.append(value)

        run(0.6, [first, second], act=note, stale_after=150)
        assert len(silent) == 3
        assert not wrong


class TestClock:
    @pytest.mark.parametrize("ahead", [15 * 365 * 86_400.0, -2 * 365 * 86_400.0, 1200.0, -1200.0])
    def test_nothing_is_wrong_for_long_after_our_clock_was_set(self, ahead: float) -> None:
        """A machine without a battery begins in another year, until NTP tells it the time."""
        offsets, ages, moved = [], [], [ahead, -ahead]

        def act(seen: Watched) -> None:
            if moved and (len(moved) == 2 or now() > 120):
                here = world.current
                assert isinstance(here, VirtualWorld)
                here.wall += moved.pop(0)
            if now() > 300:
                offsets.append(seen.meter.value("smartmeter_clock_offset_seconds"))
            if now() > HOUR:
                moment = seen.meter.value("smartmeter_fixed_energy_import_timestamp_seconds", "30m")
                ages.append(START + now() - float(moment) if moment else 0.0)

        seen = run(2.2, act=act)
        assert set(offsets) <= {0.0, None}
        assert max(ages) < 2600
        assert seen.count("smartmeter_session_start_timestamp_seconds") == pytest.approx(START + 21, abs=30)


def test_fuzz_any_mixture_of_faults_shows_only_what_the_meter_said() -> None:
    """Random worlds; after each, no value is one that the meter never had."""
    worlds = int(os.environ.get("METERLINE_EXAMPLES", "100")) // 10
    for seed in range(worlds):
        dice = Random(seed)
        rates = ("drop", "late", "duplicate", "inf_during", "refused21", "solicit", "er10", "sna", "wrong_pdc", "wrong_length")
        faults: dict[str, Any] = {name: dice.choice([0, 0.05, 0.3]) for name in dice.sample(rates, 3)}
        faults |= {name: dice.choice([0, 400, 1300]) for name in dice.sample(("end26", "expire29", "mute", "moves"), 1)}
        meters = [
            FakeMeter(number=n, imported=1e6 * n, coefficient=dice.choice([None, 1, 10]), digits=8, unit=dice.choice([0, 1, 2]))
            for n in range(1, dice.choice([2, 2, 3]))
        ]
        wrong: list[tuple[str, object]] = []

        def note(seen: Watched, meters: list[FakeMeter] = meters, wrong: list[tuple[str, object]] = wrong) -> None:
            for meter, shown in zip(meters, seen.meters.values(), strict=True):
                for series in (ENERGY, HALF_HOUR):
                    value = shown.value(*series)
                    if value is not None and not meter.number * 1e6 - 60_000 <= float(value) <= meter.imported + 1:
                        wrong.append((shown.name, value))

        form: dict[str, Any] = {"dual": dice.random() < 0.5, "binary": dice.random() < 0.5, "echo": dice.random() < 0.5}
        seen = run(0.7, meters, act=note, stale_after=200, step=5, faults=Faults(seed=seed, **faults), seed=seed, **form)
        assert not wrong, (seed, faults, wrong[:2])
        assert not re.search("defect", repr(seen.errors))
