"""A snapshot that says what changed shows, at every step, what the same snapshot shows that is looked at as a whole."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from support.decoder_contract import fuzz
from support.meter_state import state

from meterline.meter.meter import Meter
from meterline.meter.readings import Change, Reading, Series, Snapshot, Text, Total, Value

PEAK = ("smartmeter_energy_import_tariff_watthours_total", "HCHP")
OFF_PEAK = ("smartmeter_energy_import_tariff_watthours_total", "HCHC")
EXPORT = ("smartmeter_energy_export_watthours_total",)
POWER = ("smartmeter_apparent_power_import_voltamperes",)
OVERLOAD = ("smartmeter_overload",)
SUBSCRIBED = ("smartmeter_subscribed_power_voltamperes",)
NAME = ("smartmeter_tariff_info", "name")
SUM = Total(("smartmeter_energy_import_watthours_total",), (OFF_PEAK, PEAK))

REGISTER = st.sampled_from([0, 1, 5, 900_000]).flatmap(lambda jump: st.integers(1000 + jump, 1020 + jump))
VALUES: dict[Series, st.SearchStrategy[Value]] = {
    PEAK: REGISTER,
    OFF_PEAK: REGISTER,
    EXPORT: REGISTER,
    POWER: st.integers(0, 3),
    OVERLOAD: st.sampled_from([0, 1, None]),
    SUBSCRIBED: st.sampled_from([3000, 36_000]),
    NAME: st.sampled_from(["HP", "HC"]).map(Text),
}


class Step(NamedTuple):
    """What comes next: how long it takes, what changes, what is missing, and whose frame it is."""

    seconds: float
    changed: dict[Series, Value]
    missing: frozenset[Series]
    address: str | None
    short: bool
    timed: bool
    scraped: bool


STEPS = st.builds(
    Step,
    st.sampled_from([0.0, 1.5, 1.5, 1.5, 1.5, 9.0, 11.0, 40.0]),
    st.fixed_dictionaries({}, optional=VALUES),
    st.sampled_from([frozenset[Series]()] * 6 + [frozenset({series}) for series in VALUES] + [frozenset(VALUES) - {POWER}]),
    st.sampled_from(["one"] * 8 + [None, "two"]),
    st.sampled_from([False] * 5 + [True]),
    st.sampled_from([True] * 9 + [False]),
    st.booleans(),
)


@fuzz
@given(st.fixed_dictionaries(VALUES), st.lists(STEPS, min_size=1, max_size=25))
def test_fuzz_what_changed_and_the_whole_show_the_same_at_every_step(said: dict[Series, Value], steps: list[Step]) -> None:
    now = [1000.0]
    fast, plain = (Meter("home", clock=lambda: now[0]) for _ in range(2))
    before: dict[Series, Value] = {}
    for number, step in enumerate(steps):
        now[0] += step.seconds
        said |= step.changed
        readings = tuple(Reading(series, value) for series, value in said.items() if series not in step.missing)
        same_series = list(before) == [series for series, _ in readings]
        changed = tuple(reading for reading in readings if before.get(reading.series) != reading.value)
        before = dict(readings)
        snapshot = Snapshot(readings, step.address, (SUM,), step.short)
        plain.take(snapshot, step.timed)
        fast.take(snapshot._replace(change=Change(number, changed if same_series else None)), step.timed)
        for meter in (fast, plain):
            if step.scraped:
                meter.refresh()
        assert state(fast) == state(plain)


def test_a_reading_that_did_not_change_is_not_looked_at() -> None:
    meter = Meter("home", clock=lambda: 1000.0)
    meter.take(Snapshot((Reading(POWER, 1), Reading(SUBSCRIBED, 3000)), change=Change(1)))
    meter.take(Snapshot((), change=Change(2, (Reading(POWER, 2),))))  # readings that nobody asks for
    assert meter.readings == {POWER: 2, SUBSCRIBED: 3000}


def test_a_snapshot_after_one_that_was_lost_is_looked_at_as_a_whole() -> None:
    meter = Meter("home", clock=lambda: 1000.0)
    meter.take(Snapshot((Reading(POWER, 1),), change=Change(1)))
    meter.take(Snapshot((Reading(POWER, 3), Reading(SUBSCRIBED, 3000)), change=Change(3, ())))
    assert meter.readings == {POWER: 3, SUBSCRIBED: 3000}


def test_a_snapshot_after_a_strangers_is_looked_at_as_a_whole_although_a_new_driver_counts_anew() -> None:
    meter = Meter("home", clock=lambda: 1000.0)
    meter.take(Snapshot((Reading(POWER, 1), Reading(SUBSCRIBED, 3000)), "one", change=Change(1)))
    meter.take(Snapshot((Reading(POWER, 7), Reading(SUBSCRIBED, 9000)), "two", change=Change(1)))  # of a new driver
    meter.take(Snapshot((Reading(POWER, 7), Reading(SUBSCRIBED, 9000)), "one", change=Change(2, ())))
    assert meter.readings == {POWER: 7, SUBSCRIBED: 9000}
