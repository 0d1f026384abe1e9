"""Whether a register can stand where it says: rises, falls, and beginning again at 0."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.decoder_contract import fuzz

from meterline.meter.meter import Meter
from meterline.meter.plausibility import DEFAULT_MAX_POWER_VA, MARGIN, SLACK, Mark, Registers
from meterline.meter.readings import Reading, Resolution, Series, Snapshot

IMPORT: Series = ("smartmeter_energy_import_watthours_total",)
TARIFF: Series = ("smartmeter_energy_import_tariff_watthours_total", "HCHP")
EXPORT: Series = ("smartmeter_energy_export_watthours_total",)
REACTIVE: Series = ("smartmeter_energy_reactive_varhours_total", "1")
STALE_AFTER = 90.0
SIX_DIGITS = 1e6 * 100
"""Where a register of six digits in steps of 0.1 kWh begins again, in Wh."""


def registers(step: float = 1.0, wraps_at: float = math.inf, subscribed: float = DEFAULT_MAX_POWER_VA) -> Registers:
    found = Registers()
    found.judge_by(Snapshot((), resolution=Resolution(step, wraps_at)), DEFAULT_MAX_POWER_VA, subscribed)
    return found


def stands(
    state: Registers, before: float | None, now: float, *, seconds: float = 10.0, timed: bool = True, series: Series = IMPORT
) -> bool:
    """Whether it can stand at `now`, that long after `before` was believed."""
    shown = None if before is None else Mark(before, 1000.0)
    return bool(state.plausible(series, shown, Mark(now, 1000.0 + seconds), timed, STALE_AFTER))


def most(power: float, seconds: float, step: float = 1.0) -> float:
    return SLACK * step + MARGIN * power * seconds / 3600


class TestRises:
    def test_the_first_value_is_believed_whatever_it_is(self) -> None:
        for value in (0, 1, 99_999_999, 1e15):
            assert stands(registers(), None, value)

    @pytest.mark.parametrize("timed", [True, False], ids=["timed", "untimed"])
    def test_standing_still_is_believed(self, timed: bool) -> None:
        assert stands(registers(), 5000, 5000, timed=timed)
        assert stands(registers(wraps_at=10_000), 5000, 5000, seconds=0, timed=timed)

    @pytest.mark.parametrize("seconds", [0.0, 1.0, 10.0, 3600.0])
    def test_a_rise_is_judged_by_power_and_time(self, seconds: float) -> None:
        limit = most(6000, seconds)
        assert stands(registers(subscribed=6000), 5000, 5000 + math.floor(limit), seconds=seconds)
        assert not stands(registers(subscribed=6000), 5000, 5001 + math.floor(limit), seconds=seconds)

    def test_without_a_clock_every_rise_is_believed(self) -> None:
        assert stands(registers(), 5000, 9_000_000, seconds=0, timed=False)

    @pytest.mark.parametrize("series", [IMPORT, TARIFF], ids=["total", "tariff"])
    def test_import_is_judged_by_the_subscribed_power(self, series: Series) -> None:
        assert not stands(registers(subscribed=3000), 0, 3000, seconds=1800, series=series)
        assert stands(registers(subscribed=3000), 0, 2250, seconds=1800, series=series)

    @pytest.mark.parametrize("series", [EXPORT, REACTIVE], ids=["export", "reactive"])
    def test_export_is_judged_by_the_highest_power(self, series: Series) -> None:
        limit = math.floor(most(DEFAULT_MAX_POWER_VA, 1800))
        assert stands(registers(subscribed=3000), 0, limit, seconds=1800, series=series)
        assert not stands(registers(subscribed=3000), 0, limit + 1, seconds=1800, series=series)

    def test_the_slack_is_two_steps_of_the_register(self) -> None:
        # 1 kWh steps at 10 s: 3 kW show as nothing for 20 minutes, then as 1 kWh at once.
        assert stands(registers(step=1000, subscribed=6000), 5000, 6000)
        assert stands(registers(step=1000, subscribed=6000), 5000, 7000)
        assert not stands(registers(step=1000, subscribed=6000), 5000, 8000)
        assert not stands(registers(step=1, subscribed=6000), 5000, 6000)

    def test_steps_of_a_tenth_of_a_watthour_have_no_slack_of_a_watthour(self) -> None:
        assert stands(registers(step=0.1, subscribed=6000), 5000.0, 5000.2, seconds=0)
        assert not stands(registers(step=0.1, subscribed=6000), 5000.0, 5000.3, seconds=0)

    def test_a_register_that_vanished_is_judged_by_what_it_said_last(self) -> None:
        state = registers(subscribed=6000)
        state.retired[IMPORT] = Mark(5000, 900.0)
        assert stands(state, None, 5000 + math.floor(most(6000, 110)))
        state.retired[IMPORT] = Mark(5000, 900.0)
        assert not stands(state, None, 5001 + math.floor(most(6000, 110)))
        assert not stands(state, None, 4999)


class TestBeginningAgain:
    def test_past_the_end_is_a_rise(self) -> None:
        state = registers(step=100, wraps_at=SIX_DIGITS, subscribed=6000)
        assert stands(state, SIX_DIGITS - 100, 0)
        assert stands(state, SIX_DIGITS - 100, 100)

    def test_past_the_end_is_judged_by_power_and_time_too(self) -> None:
        state = registers(step=100, wraps_at=SIX_DIGITS, subscribed=6000)
        assert not stands(state, SIX_DIGITS - 100, 200)
        assert stands(registers(step=100, wraps_at=SIX_DIGITS, subscribed=6000), SIX_DIGITS - 100, 9000, seconds=3600)
        assert not stands(registers(step=100, wraps_at=SIX_DIGITS, subscribed=6000), SIX_DIGITS - 100, 9200, seconds=3600)

    def test_a_fall_far_from_the_end_is_a_fall(self) -> None:
        for before, now in ((5000, 4900), (5000, 0), (50_000_000, 100), (SIX_DIGITS - 100, SIX_DIGITS - 200)):
            assert not stands(registers(step=100, wraps_at=SIX_DIGITS), before, now)

    def test_without_a_clock_a_fall_near_the_end_is_a_fall(self) -> None:
        assert not stands(registers(step=100, wraps_at=SIX_DIGITS), SIX_DIGITS - 100, 500, seconds=0, timed=False)

    def test_a_meter_that_does_not_say_where_it_ends_falls(self) -> None:
        assert not stands(registers(step=100), SIX_DIGITS - 100, 0)

    def test_a_value_beyond_the_end_has_no_end(self) -> None:
        assert not stands(registers(step=100, wraps_at=10_000), 10_000, 0)
        assert not stands(registers(step=100, wraps_at=10_000), 20_000, 100)

    def test_export_begins_again_too(self) -> None:
        assert stands(registers(step=100, wraps_at=SIX_DIGITS, subscribed=1), SIX_DIGITS - 100, 200, series=EXPORT)

    @fuzz
    @given(st.integers(1, 8), st.integers(0, 10**8 - 1), st.integers(0, 200), st.floats(0, 7200))
    def test_fuzz_a_rise_is_the_same_anywhere_on_the_round(self, digits: int, start: int, rise: int, seconds: float) -> None:
        size = 10**digits
        start, rise = start % size, rise % size
        here = stands(registers(step=100, wraps_at=size * 100), start * 100, (start + rise) % size * 100, seconds=seconds)
        assert here == stands(registers(step=100), start * 100, (start + rise) * 100, seconds=seconds)


class TestHeldBack:
    def test_once_and_then_believed(self) -> None:
        state = registers()
        assert not stands(state, 5000, 90_000, seconds=1)
        assert stands(state, 5000, 90_001, seconds=2)

    def test_each_series_by_itself(self) -> None:
        state = registers()
        assert not stands(state, 5000, 90_000, series=IMPORT)
        assert not stands(state, 5000, 90_001, series=EXPORT)
        assert stands(state, 5000, 90_001, series=IMPORT)

    def test_a_right_value_between_two_damages_forgets_the_first(self) -> None:
        state = registers()
        assert not stands(state, 5000, 90_000, seconds=1)
        assert stands(state, 5000, 5001, seconds=2)
        assert not stands(state, 5001, 90_001, seconds=3)

    def test_a_reset_is_believed_at_its_second_value(self) -> None:
        state = registers()
        assert not stands(state, 9_000_000, 3, seconds=1)
        assert stands(state, 9_000_000, 4, seconds=2)

    def test_a_fall_as_small_as_damage_is_never_believed(self) -> None:
        state = registers(subscribed=6000)
        limit = math.floor(most(6000, STALE_AFTER))
        assert not any(stands(state, 50_000, 50_000 - limit, seconds=second) for second in range(1, 20))
        assert not stands(state, 50_000, 50_000 - limit - 1, seconds=20)
        assert stands(state, 50_000, 50_000 - limit - 1, seconds=21)


class TestMeter:
    """The same through a meter, which tells steps and end from the frame."""

    @staticmethod
    def shown(
        *values: float, seconds: float = 10.0, timed: bool = True, step: float = 1.0, wraps_at: float = math.inf
    ) -> list[float | str | None]:
        now = [1000.0]
        meter = Meter("home", stale_after=STALE_AFTER, clock=lambda: now[0])
        found = []
        for value in values:
            now[0] += 10.0
            meter.take(Snapshot((Reading(IMPORT, value),), resolution=Resolution(step, wraps_at)))
            found.append(meter.value(*IMPORT))
        return found

    def test_a_register_that_begins_again_is_shown_at_once(self) -> None:
        values = (SIX_DIGITS - 200, SIX_DIGITS - 100, 0, 100)
        assert self.shown(*values, step=100, wraps_at=SIX_DIGITS) == list(values)

    def test_without_the_end_it_is_held_back_once(self) -> None:
        assert self.shown(SIX_DIGITS - 100, 0, 100, step=100) == [SIX_DIGITS - 100, SIX_DIGITS - 100, 100]

    def test_coarse_steps_are_shown_at_once(self) -> None:
        assert self.shown(5000, 5000, 6000, 6000, 7000, step=1000) == [5000, 5000, 6000, 6000, 7000]
        assert self.shown(5000, 5000, 6000, 6000, 7000) == [5000, 5000, 5000, 6000, 6000]

    @pytest.mark.parametrize(("own", "shown"), [({}, 5000), ({TARIFF: Resolution(1000.0)}, 6000)], ids=["none", "own"])
    def test_a_register_with_a_step_of_its_own_is_judged_by_it(self, own: dict[Series, Resolution], shown: int) -> None:
        now = [1000.0]
        meter = Meter("home", stale_after=STALE_AFTER, clock=lambda: now[0])
        for value in (5000, 6000):
            readings = (Reading(IMPORT, value / 1000), Reading(TARIFF, value))
            meter.take(Snapshot(readings, resolutions=own))
            now[0] += 10.0
        assert meter.value(*TARIFF) == shown
        assert meter.value(*IMPORT) == 6.0

    @pytest.mark.parametrize("allowed", [36_000.0, 72_000.0])
    def test_a_register_that_rises_at_60_kilowatts_is_shown_where_the_protocol_allows_for_it(self, allowed: float) -> None:
        now = [1000.0]
        meter = Meter("home", stale_after=STALE_AFTER, clock=lambda: now[0])
        meter.max_power_va = allowed
        for value in range(0, 30_001, 1000):  # a kilowatt-hour a minute
            meter.take(Snapshot((Reading(IMPORT, value), Reading(EXPORT, value))))
            now[0] += 60.0
        assert (meter.counters.rejected["implausible"] == 0) is (allowed > 40_000)
        if allowed > 40_000:
            assert meter.value(*IMPORT) == meter.value(*EXPORT) == 30_000
