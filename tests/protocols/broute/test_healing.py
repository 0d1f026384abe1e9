"""What the meter remembers, in the ledger: every gap is filled with the meter's own registers, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support.virtual_lines import VirtualWorld
from support.virtual_time import HOUR, START, Watched, run, up

from meterline import world
from meterline.history.day_row import DAY_S, METER, DayRow, RowKey
from meterline.history.ledger import Ledger
from meterline.meter.readings import DOUBTS
from meterline.protocols.broute.memory import SLOT_S
from meterline.protocols.broute.simulator.commands import JST, FakeMeter, Faults
from meterline.protocols.broute.simulator.meter import UNITS
from meterline.simulation.household import House

Known = dict[tuple[str, int], tuple[int, int]]
"""Register and Unix time → milliwatt-hours and origin."""
POWER = "smartmeter_power_watts"


def solar(**facts: Any) -> FakeMeter:
    return FakeMeter(House(JST, solar=5000), **facts)


def known(folder: Path, generation: int = 1) -> Known:
    """All that a ledger knows of the meter."""
    found: Known = {}
    today = int(START) // DAY_S
    for row in Ledger(str(folder)).rows("meter0", today - 200, today + 200):
        if row.key.generation == generation:
            for register, column in row.registers.items():
                for edge, value in enumerate(column.values):
                    if value is not None:
                        found[register, row.at(edge)] = value, column.origins[edge]
    return found


def assert_own(found: Known, meter: FakeMeter) -> None:
    """Whatever is said by the meter is what its register stood at, then."""
    scale = 1000 * UNITS[meter.unit] * (meter.coefficient or 1)
    for (register, at), (value, origin) in found.items():
        if origin == METER:
            assert value == round(meter.readings(at)[register == "export"] * scale), (register, datetime.fromtimestamp(at, JST))


def days(found: Known, register: str = "import") -> list[float]:
    """When each whole day began that the meter said every half-hour of, newest first."""
    starts = [at for name, at in found if name == register and datetime.fromtimestamp(at, JST).strftime("%H%M") == "0000"]
    whole = [at for at in starts if all((register, at + slot) in found for slot in range(0, DAY_S, SLOT_S))]
    return sorted(whole, reverse=True)


def refused(seen: Watched) -> dict[str, float]:
    """Reasons for which a question filled nothing in."""
    counts = {reason: seen.count("smartmeter_history_refused_total", reason) for reason in DOUBTS}
    return {reason: count for reason, count in counts.items() if count}


def questions(seen: Watched) -> float:
    return seen.count("smartmeter_history_questions_total")


class Freshness:
    """Looks each second whether a live value has got older than it may."""

    def __init__(self) -> None:
        self.oldest = 0.0
        self.has_spoken = False
        self.gone = 0

    def __call__(self, seen: Watched) -> None:
        shown = seen.meter.value(POWER) is not None
        self.has_spoken |= shown
        self.gone += self.has_spoken and not shown
        if shown:
            self.oldest = max(self.oldest, seen.meter.clock() - seen.meter.confirmed(POWER))


@pytest.mark.parametrize("kept", [99, 45, 3])
@pytest.mark.parametrize("make", [FakeMeter, solar], ids=["import", "import-and-export"])
def test_a_first_start_finds_every_day_that_the_meter_keeps_within_three_hours(
    make: Callable[..., FakeMeter], kept: int, tmp_path: Path
) -> None:
    meter, fresh = make(kept_days=kept), Freshness()
    seen = run(3, [meter], ledger=tmp_path, act=fresh)
    found = known(tmp_path)
    assert_own(found, meter)
    for register in ("import", "export") if meter.exports else ("import",):
        assert len(days(found, register)) >= min(kept, 98)
    assert (fresh.gone, refused(seen)) == (0, {})
    assert fresh.oldest < 90
    edges = {state: seen.count("smartmeter_history_edges", state) for state in ("known", "absent")}
    assert edges["known"] >= min(kept, 98) * 48
    assert sum(edges.values()) == pytest.approx(99 * 48, abs=1)


def test_an_outage_of_ten_days_heals(tmp_path: Path) -> None:
    """Away for ten days: then each edge of them is the meter's own register."""
    meter = solar(kept_days=45)
    run(3, [meter], ledger=tmp_path)
    before = known(tmp_path)
    away = 10 * DAY_S
    again = run_later(away, meter, 3, tmp_path)
    found = known(tmp_path)
    assert_own(found, meter)
    gap = range(int(START) // SLOT_S * SLOT_S + 4 * 3600, int(START + away) // SLOT_S * SLOT_S, SLOT_S)
    assert not any(("import", at) in before for at in gap)
    assert all((register, at) in found for at in gap for register in ("import", "export"))
    assert again.count("smartmeter_history_edges_filled_total") >= 2 * len(gap) - 4
    assert questions(again) < 30, "only what is absent is asked for"
    assert {key: value for key, value in found.items() if key in before} == before


def run_later(seconds: float, meter: FakeMeter, hours: float, folder: Path, **facts: Any) -> Watched:
    """Read the meter again, so much later than `START`."""
    import support.virtual_time as virtual_time

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(virtual_time, "START", START + seconds)
        return run(hours, [meter], ledger=folder, **facts)


def test_an_hour_without_radio_is_asked_for_in_pairs(tmp_path: Path) -> None:
    """Six hours at the most: one question holds both directions."""
    meter = solar(kept_days=1)
    seen = run(8, [meter], ledger=tmp_path, faults=Faults(outage=(5 * 3600, 7000)))
    found = known(tmp_path)
    assert_own(found, meter)
    ends = (int(START) // SLOT_S + 1) * SLOT_S
    assert all(("import", at) in found and ("export", at) in found for at in range(ends, ends + 7 * 3600, SLOT_S))
    assert questions(seen) < 12


def test_what_was_lost_is_asked_for_at_night(tmp_path: Path) -> None:
    """A day heals at about 00:20 by the meter's clock, without a new session."""
    meter, holes = FakeMeter(kept_days=1), list[int]()

    def act(seen: Watched) -> None:
        assert seen.recorder
        now = world.current.now()
        if not holes and now > START + 12 * HOUR:  # as if nobody had listened at one edge
            hole = int(START + 6 * HOUR) // SLOT_S * SLOT_S
            day = seen.recorder._row(seen.recorder._meters["meter0"], hole)[0]
            edge = hole % DAY_S // SLOT_S
            day.registers["import"].values[edge], day.registers["import"].origins[edge] = None, 0
            holes.append(hole)
            seen.recorder._meters["meter0"].changed.add(day.key.day)

    seen = run(26, [meter], ledger=tmp_path, act=act)
    assert ("import", holes[0]) in known(tmp_path)
    assert_own(known(tmp_path), meter)
    assert seen.count("smartmeter_session_joins_total", "joined") <= 2


TRAPS: dict[str, tuple[Faults, str]] = {
    "selectors lost at a power cut": (Faults(power_cut=(3000, 200)), ""),
    "SetC refused": (Faults(set_refused=1.0), "refused"),
    "SetC refused at times": (Faults(set_refused=0.2), "refused"),
    "reply of an older question": (Faults(older_day=0.4), "other_question"),
    "slow E2": (Faults(slow_e2=0.5), ""),
    "second fragment lost": (Faults(lost_fragment=0.3), "unanswered"),
    "slots late": (Faults(late_slots=300), ""),
    "slots that are not kept": (Faults(unkept=0.2), ""),
    "wrong digit": (Faults(wrong_digit=0.2), "unconfirmed"),
    "every digit wrong": (Faults(wrong_digit=1.0), "unconfirmed"),
    "replies lost": (Faults(drop=0.1), "unanswered"),
    "replies late": (Faults(late=0.1), "unanswered"),
    "replies twice": (Faults(duplicate=0.5), ""),
    "not measured": (Faults(sentinels=0.2), ""),
    "properties refused": (Faults(sna=0.2), "refused"),
    "sessions that end": (Faults(end26=600), ""),
}


OF_THE_MEMORY = {
    "SetC refused",
    "SetC refused at times",
    "reply of an older question",
    "slow E2",
    "second fragment lost",
    "slots late",
    "slots that are not kept",
    "wrong digit",
    "every digit wrong",
    "replies twice",
}
"""Live replies come as ever."""
HOPELESS = {"SetC refused", "every digit wrong"}


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("seed", [1, 2])
def test_no_trap_brings_a_wrong_register_or_an_old_value(trap: str, seed: int, tmp_path: Path) -> None:
    faults, reason = TRAPS[trap]
    meter = solar(kept_days=20, unit=3, digits=8)
    fresh = Freshness()
    seen = run(4, [meter], ledger=tmp_path, faults=replace(faults, seed=seed), act=fresh)
    found = known(tmp_path)
    assert_own(found, meter)
    assert not reason or reason in refused(seen)
    assert not seen.meter.counters.swaps
    if trap in OF_THE_MEMORY:
        assert (fresh.gone, fresh.oldest <= 90) == (0, True)
    if trap not in HOPELESS:
        assert sum(origin == METER for _, origin in found.values()) > 48


def test_midnight_between_selector_and_reply_is_noticed(tmp_path: Path) -> None:
    """A day that is answered after midnight is another day: nothing is asked about midnight, and a changed date is refused."""
    meter = solar(kept_days=60)
    seen = run_later(23.5 * HOUR - 6 * 60, meter, 1, tmp_path, faults=Faults(midnight=1200))
    assert_own(known(tmp_path), meter)
    assert questions(seen)


@pytest.mark.parametrize("later", [0, 23.5 * HOUR - 6 * 60], ids=["from 00:06 on", "from 23:30 on"])
def test_nothing_is_asked_about_midnight(later: float, tmp_path: Path) -> None:
    meter, asked = FakeMeter(), list[float]()

    def act(seen: Watched) -> None:
        if sum(asked_at != 0 for asked_at in asked) < questions(seen):
            asked.append(world.current.now())

    run_later(later, meter, 2, tmp_path, act=act)
    seconds = [(at + 9 * 3600) % DAY_S for at in asked]
    assert any(second > 23 * 3600 for second in seconds) == (later > 0)
    assert any(second < 2 * 3600 for second in seconds)
    assert all(590 <= second <= 23 * 3600 + 56 * 60 for second in seconds)


def test_a_replaced_meter_fills_no_edge_of_the_one_before(tmp_path: Path) -> None:
    """At 2:06, by a meter whose register begins at 500 kWh: the generations stay apart."""
    meter = solar(kept_days=30)
    seen = run(6, [meter], ledger=tmp_path, faults=Faults(replaced=7200, replaced_register=500))
    assert seen.meter.counters.swaps == 1
    old, new = known(tmp_path, 1), known(tmp_path, 2)
    assert new
    assert all(at >= START + 7200 for _, at in new)
    assert all(value < 600e6 for value, _ in new.values())
    assert_own(new, meter)
    assert all(value > 2e9 for value, _ in old.values())
    assert all(at <= START + 7200 + 90 for _, at in old)


def test_the_wrap_of_the_register_heals_as_it_was(tmp_path: Path) -> None:
    """D7: 999999, then 0; the day of the wrap is believed."""
    meter = solar(kept_days=3, imported=100.0 * (10**6 - 100), exported=0.0)
    # the wrap came while nobody listened
    run(0.5, [meter])
    run_later(2 * DAY_S, meter, 2, tmp_path)
    found = known(tmp_path)
    assert_own(found, meter)
    values = [value for (register, _), (value, _) in sorted(found.items()) if register == "import"]
    assert sum(later < earlier for earlier, later in pairwise(values)) == 1
    assert len(days(found)) >= 2


@pytest.mark.parametrize(("coefficient", "unit"), [(10, 2), (None, 1), (3, 4), (1, 0)])
def test_coefficient_and_unit_scale_what_is_remembered(coefficient: int | None, unit: int, tmp_path: Path) -> None:
    meter = FakeMeter(coefficient=coefficient, unit=unit, digits=8, kept_days=3)
    run(1.5, [meter], ledger=tmp_path)
    found = known(tmp_path)
    assert_own(found, meter)
    assert len(days(found)) == 3


def test_the_end_of_the_memory_is_not_asked_for_again(tmp_path: Path) -> None:
    memory: dict[str, Any] = {}
    meter = solar(kept_days=5)
    first = run(2, [meter], ledger=tmp_path, memory=memory)
    assert ".ends" in memory
    again = run_later(2 * HOUR, meter, 1, tmp_path, memory=memory)
    assert questions(first) > 10
    assert questions(again) <= 2


def test_another_meter_has_another_end(tmp_path: Path) -> None:
    memory: dict[str, Any] = {}
    run(2, [solar(kept_days=5)], ledger=tmp_path / "one", memory=memory)
    meter = solar(kept_days=20, mac="0014224455669999")
    memory["meter0"]["mac"] = meter.mac
    run(2, [meter], ledger=tmp_path / "other", memory=memory)
    assert len(days(known(tmp_path / "other"))) == 20


def test_the_zone_of_the_host_moves_no_edge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 00:06 in Japan it is yesterday in UTC, and two days before in Honolulu's evening: days are the meter's."""
    import time

    monkeypatch.setenv("TZ", "Pacific/Honolulu")
    time.tzset()
    try:
        meter = FakeMeter(kept_days=3)
        run(1, [meter], ledger=tmp_path)
        assert_own(known(tmp_path), meter)
        assert len(days(known(tmp_path))) == 3
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_host_whose_clock_is_wrong_heals_nothing(tmp_path: Path) -> None:
    """Which edge a half-hour of the meter is cannot be told then."""
    meter = FakeMeter(kept_days=3)

    def act(_: Watched) -> None:
        assert isinstance(world.current, VirtualWorld)
        world.current.wall = START + 3000

    seen = run(1, [meter], ledger=tmp_path, act=act)
    assert refused(seen).keys() == {"clock"}
    assert not seen.count("smartmeter_history_edges_filled_total")


@pytest.mark.parametrize(("interval", "slow"), [(10, 1.0), (30, 1.0), (60, 1.0), (10, 0.0), (300, 0.0)])
def test_no_live_value_gets_older_for_the_past(interval: float, slow: float, tmp_path: Path) -> None:
    """However short the interval and however slow the meter finds a day: an exchange that takes too long is given up."""
    meter, fresh = FakeMeter(kept_days=30), Freshness()
    faults = Faults(slow_e2=slow)
    run(3, [meter], wrong={"interval": interval}, ledger=tmp_path, act=fresh, stale_after=3 * interval, faults=faults)
    assert fresh.gone == 0
    assert fresh.oldest <= 3 * interval
    assert_own(known(tmp_path), meter)
    assert slow or len(days(known(tmp_path))) >= min(30, 3 * HOUR // interval - 10)
    assert slow < 1 or interval < 30 or len(days(known(tmp_path))) >= 15


def test_a_meter_without_a_choice_of_days_is_left_alone(tmp_path: Path) -> None:
    seen = run(1, [FakeMeter(overrides={0x9E: bytes([1, 0x81])})], ledger=tmp_path)
    assert up(seen)
    assert not questions(seen)


def test_two_meters_on_one_module_both_heal(tmp_path: Path) -> None:
    meters = [FakeMeter(number=1, kept_days=2), FakeMeter(number=2, kept_days=2)]
    seen = run(3, meters, ledger=tmp_path, stale_after=150)
    today = int(START) // DAY_S
    for number, meter in enumerate(meters):
        rows = list(Ledger(str(tmp_path)).rows(f"meter{number}", today - 9, today + 9))
        found = {("import", row.at(edge)): pair for row in rows for edge, pair in enumerate(pairs(row)) if pair[0] is not None}
        assert_own(found, meter)  # type: ignore[arg-type]
        assert len(days(found)) == 2  # type: ignore[arg-type]
    assert not refused(seen)


def pairs(row: DayRow) -> list[tuple[int | None, int]]:
    column = row.registers["import"]
    return list(zip(column.values, column.origins, strict=True))


def test_without_a_ledger_no_question_is_asked_and_nothing_is_shown() -> None:
    seen = run(1)
    assert not any(series[0].startswith("smartmeter_history") for series in seen.meter.counters.observed)
    assert seen.link.written.count(bytes.fromhex("E500")) == 0


def test_a_row_that_was_damaged_is_filled_again(tmp_path: Path) -> None:
    meter = FakeMeter(kept_days=20)
    run(2, [meter], ledger=tmp_path)
    before, ledger = known(tmp_path), Ledger(str(tmp_path))
    key = RowKey("meter0", 1, int(START) // DAY_S - 7, SLOT_S)
    assert ledger.row(key)
    ledger._do(lambda file: file.execute("UPDATE day SET content = x'00' WHERE day = ?", (key.day,)), None)
    ledger.close()
    run_later(2 * HOUR, meter, 1, tmp_path)
    after = known(tmp_path)
    assert {at: value for at, value in after.items() if at in before} == before
