"""Meters that answer slowly: their pace is learnt, and a session over which replies arrive is never joined again."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from support.virtual_time import Watched, run

from meterline.meter.meter import Meter
from meterline.meter.readings import Reading, Snapshot
from meterline.protocols.broute.pace import LONGEST_REPLY_S, Pace
from meterline.protocols.broute.simulator.commands import FakeMeter, FakeModule, Faults

POWER = ("smartmeter_power_watts",)
IMPORT = ("smartmeter_energy_import_watthours_total",)
JOINED = ("smartmeter_session_joins_total", "joined")


def now() -> float:
    return asyncio.get_running_loop().time()


def slow(patch: pytest.MonkeyPatch, lowest: float, highest: float | None = None, since: float = 0.0) -> None:
    """From then on each reply takes that long."""
    dice, honest = Random(1), FakeModule._delay

    def delay(self: FakeModule, payload: bytes, held: float) -> float:
        return held + dice.uniform(lowest, highest or lowest) if now() >= since else honest(self, payload, held)

    patch.setattr(FakeModule, "_delay", delay)


@pytest.mark.parametrize("delay", [9, 11, 15, 25, 29, 35, 60, 75, 90])
def test_a_slow_meter_is_shown_without_gaps_and_joined_once(monkeypatch: pytest.MonkeyPatch, delay: int) -> None:
    slow(monkeypatch, delay)
    shown = dict[tuple[str, ...], list[bool]]({POWER: [], IMPORT: []})

    def note(seen: Watched) -> None:
        if now() > 16 * delay + 120:
            for series, there in shown.items():
                there.append(seen.meter.value(*series) is not None)

    seen = run(1, act=note, step=5)
    assert all(shown[POWER])
    assert all(shown[IMPORT])
    assert seen.count(*JOINED) == 1
    assert seen.count("smartmeter_polls_failed_total") == 0
    assert not seen.errors


@pytest.mark.parametrize("delay", [25, 35, 60, 90])
def test_the_first_power_of_a_slow_meter_comes_with_its_second_reply(monkeypatch: pytest.MonkeyPatch, delay: int) -> None:
    slow(monkeypatch, delay)
    first: list[float] = []

    def note(seen: Watched) -> None:
        if not first and seen.meter.value(*POWER) is not None:
            first.append(now())

    run(0.3, act=note)
    assert first[0] < 25 + 2 * delay + 10


@pytest.mark.parametrize("delay", [25, 35, 60, 90])
def test_a_slow_meter_is_asked_one_question_at_a_time(monkeypatch: pytest.MonkeyPatch, delay: int) -> None:
    slow(monkeypatch, delay)
    asked: list[float] = []
    honest = FakeMeter.answer

    def answer(self: FakeMeter, *words: Any) -> Any:
        asked.append(now())
        return honest(self, *words)

    monkeypatch.setattr(FakeMeter, "answer", answer)
    run(1, step=60)
    late = [when for when in asked if when > 600]
    assert min(later - before for before, later in pairwise(late)) > delay - 1


@pytest.mark.parametrize("delay", [35, 60, 90])
def test_a_meter_that_becomes_slow_is_not_joined_again(monkeypatch: pytest.MonkeyPatch, delay: int) -> None:
    slow(monkeypatch, delay, since=600)
    shown = []

    def note(seen: Watched) -> None:
        if now() > 1200:
            shown.append(seen.meter.value(*POWER) is not None)

    seen = run(1, act=note, step=5)
    assert seen.count(*JOINED) == 1
    assert all(shown)


def test_a_meter_of_any_pace_is_not_joined_again(monkeypatch: pytest.MonkeyPatch) -> None:
    slow(monkeypatch, 1, 85)
    seen = run(2, step=60)
    assert seen.count(*JOINED) == 1
    assert seen.meter.value(*POWER) is not None


def test_what_is_shown_of_a_slow_meter_is_never_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds for three of its replies, and then it disappears."""
    slow(monkeypatch, 60)
    ages: list[float] = []

    def note(seen: Watched) -> None:
        if seen.meter.value(*POWER) is not None:
            ages.append(now() - seen.meter.last_frame)
            assert seen.meter.up

    seen = run(1, faults=Faults(outage=(3600, 1500)), act=note, step=5)
    assert 120 < max(ages) <= 180
    assert not seen.meter.up


def test_a_person_who_says_when_values_are_stale_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    slow(monkeypatch, 60)
    ages: list[float] = []

    def note(seen: Watched) -> None:
        seen.meter.follows_pace = False
        if seen.meter.value(*POWER) is not None:
            ages.append(now() - seen.meter.last_frame)

    run(0.5, act=note, stale_after=50.0)
    assert max(ages) <= 50


def test_a_meter_that_fell_silent_is_joined_again_within_three_minutes() -> None:
    """Its session is gone, and nothing says so."""
    lost: list[float] = []

    def lose(seen: Watched) -> None:
        if now() > 600 and not lost:
            lost.append(now())
            seen.module.session = None
        if lost and seen.count(*JOINED) == 2 and len(lost) == 1:
            lost.append(now())

    run(0.5, act=lose)
    assert lost[1] - lost[0] < 180


def test_one_late_reply_changes_no_pace() -> None:
    pace = Pace()
    for seconds in (0.3, 0.4, 60.0, 0.3):
        pace.note(seconds)
    assert pace.patience() == 10
    pace.note(60.0)
    assert pace.patience() == 90
    for _ in range(8):
        pace.note(0.3)
    assert pace.patience() == 10


def test_patience_has_an_end() -> None:
    pace = Pace()
    assert not pace.known
    pace.note(90.0)
    assert pace.known
    assert 90 < pace.patience() == LONGEST_REPLY_S < 100
    pace.forget()
    assert not pace.known


def test_a_snapshot_may_hold_for_longer_than_the_meter_was_given() -> None:
    clock = [0.0]
    meter = Meter("home", 90, lambda: clock[0])
    meter.take(Snapshot((Reading(POWER, 5),), holds=200.0))
    clock[0] = 199.0
    assert (meter.up, meter.value(*POWER)) == (True, 5)
    clock[0] = 201.0
    assert (meter.up, meter.value(*POWER)) == (False, None)
    meter.take(Snapshot((Reading(POWER, 5),)))
    clock[0] += 91
    assert (meter.up, meter.value(*POWER)) == (False, None)


def test_late_replies_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    slow(monkeypatch, 35, since=600)
    assert run(0.5, step=60).count("smartmeter_replies_late_total") > 0
