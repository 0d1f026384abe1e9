"""Whatever happens to the program: the same energy always, and the same cost but for what is counted as estimated."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal as D
from functools import partial
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from support.billing_worlds import ADDRESS, Program, memory, wall
from support.decoder_contract import fuzz
from support.sample_tariffs import CONTRACTS, HC, Contract, unix

from meterline.billing.account import Account
from meterline.billing.billing import FAR, KEEP_EVERY
from meterline.billing.codec import from_json, to_json
from meterline.billing.meter_account import SURE_AFTER
from meterline.billing.pricing import EXPORT, spread
from meterline.billing.totals import Day, Totals

FAULTS = (
    "none",
    "none",
    "none",
    "unread",
    "twice",
    "restart",
    "kill",
    "kill before keeping",
    "kill while keeping",
    "clock back",
)

UNKEPT = ("unread", "kill before keeping", "kill")
"""Faults after which a restart may find what was kept before."""
LONGEST_GAP = FAR - 86_400
"""Seconds: books that are older at a start are doubted for an hour, which is another story."""
few = settings(fuzz, max_examples=max(25, fuzz.max_examples // 8))


@dataclass(frozen=True)
class Event:
    """A reading: how long after the one before, what the registers rose by meanwhile, and what goes wrong with it."""

    seconds: int
    rises: tuple[D, ...]
    fault: str
    back: int
    """Seconds that the clock is behind at this one reading, for `clock back`."""


@dataclass(frozen=True)
class Story:
    contract: Contract
    start: int
    events: tuple[Event, ...]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    contract = draw(st.sampled_from(CONTRACTS))
    start = unix(draw(st.sampled_from(contract.begins)), contract.zone) + draw(st.integers(0, 4 * 3600))
    gaps = st.one_of(st.integers(1, 90), st.integers(60, 7200), st.integers(3600, 5 * 86_400), st.integers(86_400, 40 * 86_400))
    events, unkept = [], 0
    for _ in range(draw(st.integers(1, 14))):
        seconds = min(draw(gaps), LONGEST_GAP - unkept)
        rises = []
        for _ in contract.registers:
            watts = draw(st.sampled_from([0, 0, 150, 900, 4000, 9000]))
            steps = D(watts * seconds) / 3600 // contract.step + draw(st.integers(0, 1))
            rises.append(steps * contract.step)
        events.append(Event(seconds, tuple(rises), draw(st.sampled_from(FAULTS)), draw(st.integers(1, 1800))))
        unkept = unkept + seconds if events[-1].fault in UNKEPT else 0
        if unkept >= LONGEST_GAP // 2:
            break
    return Story(contract, start, tuple(events))


@dataclass
class Shelf:
    """A program with its account, and what it has kept: what a restart finds, and what a kill leaves."""

    contract: Contract
    account: Account = field(init=False)
    row: str = ""
    days: dict[str, str] = field(default_factory=dict)
    kept_at: int = 0
    shown: Totals = field(default_factory=Totals)

    def __post_init__(self) -> None:
        self.account = Account(self.contract.calendar)

    def take(self, at: int, values: Mapping[str, D], uptime: int | None = None) -> None:
        self.account.take(at, values, ADDRESS, self.contract.step, uptime=uptime)

    def keep_due(self, at: int) -> None:
        if self.account.due or at - self.kept_at >= KEEP_EVERY:
            self.keep(at)

    def keep(self, at: int, written: bool = True) -> None:
        """`written`: the kill came after the commit, not before it."""
        account, self.kept_at = self.account, at
        account.due = account.changed = False
        totals = account.totals.copy()
        closed = {day.isoformat(): json.dumps(booked.to_json()) for day, booked in account.closed().items()}
        row = json.dumps(to_json(account))
        if written:
            self.days |= closed
            self.row = row
            account.kept = totals
        self.look()

    def reopen(self) -> None:
        self.account = from_json(self.contract.calendar, json.loads(self.row))
        self.look()

    def look(self) -> None:
        """What is shown never falls."""
        kept, shown = self.account.kept, self.shown
        assert all(kept.costs[tariff] >= cost for tariff, cost in shown.costs.items())
        assert (kept.standing, kept.credit, kept.estimated) >= (shown.standing, shown.credit, shown.estimated)
        assert kept.standing >= shown.standing
        assert kept.credit >= shown.credit
        assert kept.estimated >= shown.estimated
        self.shown = kept.copy()

    def all_days(self) -> dict[date, Day]:
        closed = {date.fromisoformat(day): Day.from_json(json.loads(text)) for day, text in self.days.items()}
        return closed | self.account.days


def energy(days: Mapping[date, Day]) -> dict[str, D]:
    """By tariff, and what was fed in."""
    found: dict[str, D] = {EXPORT: sum((day.export for day in days.values()), D(0))}
    for day in days.values():
        for tariff, line in day.lines.items():
            found[tariff] = found.get(tariff, D(0)) + line.watthours
    return {tariff: amount for tariff, amount in found.items() if amount}


def assert_days_add_up(days: Mapping[date, Day], totals: Totals) -> None:
    costs: dict[str, D] = {}
    for day in days.values():
        for tariff, line in day.lines.items():
            assert 0 <= line.unpriced <= line.watthours
            costs[tariff] = costs.get(tariff, D(0)) + line.cost
    assert {tariff: cost for tariff, cost in costs.items() if cost} == {t: c for t, c in totals.costs.items() if c}
    assert sum((day.standing for day in days.values()), D(0)) == totals.standing
    assert sum((day.credit for day in days.values()), D(0)) == totals.credit
    assert sum((day.doubt for day in days.values()), D(0)) == totals.estimated


def undisturbed(story: Story) -> tuple[Shelf, dict[str, D]]:
    """The same readings without any fault; and what the registers rose by."""
    shelf, at = Shelf(story.contract), story.start
    values = dict.fromkeys(story.contract.registers, D(1000))
    shelf.take(at, values)
    shelf.keep_due(at)
    for event in story.events:
        at += event.seconds
        values = {register: values[register] + rise for register, rise in zip(values, event.rises, strict=True)}
        shelf.take(at, values)
        shelf.keep_due(at)
    return shelf, {register: value - 1000 for register, value in values.items()}


def disturbed(story: Story) -> tuple[Shelf, bool]:
    """With all that goes wrong; and whether no register's rise was seen over a change of its price."""
    contract, shelf, at = story.contract, Shelf(story.contract), story.start
    values = dict.fromkeys(contract.registers, D(1000))
    clear = True

    def read(when: int) -> None:
        nonlocal clear
        for register, mark in shelf.account.marks.items():
            when = max(when, shelf.account.at)
            clear &= values[register] == mark.value or mark.at == when or contract.one_price(register, mark.at, when)
        shelf.take(when, values, at)

    read(at)
    shelf.keep(at)
    for number, event in enumerate(story.events):
        before, at = at, at + event.seconds
        values = {register: values[register] + rise for register, rise in zip(values, event.rises, strict=True)}
        last = number == len(story.events) - 1
        match event.fault:
            case "unread" if not last:
                continue
            case "restart":
                shelf.keep(before)
                shelf.reopen()
            case "kill":
                shelf.reopen()
            case "kill before keeping":
                read(at)
                shelf.reopen()
            case "kill while keeping":
                read(at)
                shelf.keep(at, written=event.back % 2 == 0)
                shelf.reopen()
            case "clock back" if all(contract.one_price(r, min(before, at - event.back), at + 1) for r in values):
                read(at - event.back)
            case "twice":
                read(at)
        read(at)
        shelf.keep_due(at)
    return shelf, clear


def compare(story: Story, reference: Totals, faulty: Totals, clear: bool) -> None:
    """The same cost, but for what either of them counts as estimated."""
    tariffs = reference.costs.keys() | faulty.costs.keys()
    doubt = reference.estimated + faulty.estimated
    cost = sum(reference.costs.values()) - reference.credit
    assert abs(sum(faulty.costs.values()) - faulty.credit - cost) <= doubt
    assert faulty.standing == reference.standing
    if clear:
        assert faulty.estimated == 0
    if not doubt and not story.contract.calendar.by_tier:
        assert {tariff: faulty.costs.get(tariff, 0) for tariff in tariffs} == {t: reference.costs.get(t, 0) for t in tariffs}
        assert faulty.credit == reference.credit


@fuzz
@given(stories())
def test_fuzz_faults_change_no_energy_and_no_cost_that_is_not_counted(story: Story) -> None:
    reference, rises = undisturbed(story)
    faulty, clear = disturbed(story)
    for shelf in (reference, faulty):
        booked = energy(shelf.all_days())
        assert booked.pop(EXPORT, 0) == rises.get(EXPORT, 0)
        drawn = {register: rise for register, rise in rises.items() if register != EXPORT and rise}
        by_register = story.contract.name in ("registers", "none")
        assert booked == drawn if by_register else sum(booked.values()) == sum(drawn.values())
        assert_days_add_up(shelf.all_days(), shelf.account.totals)
    compare(story, reference.account.totals, faulty.account.totals, clear)
    faulty.keep(faulty.account.at)
    assert faulty.account.kept == faulty.account.totals


@fuzz
@given(
    steps=st.integers(0, 10**7),
    step=st.sampled_from([D(1), D("0.1"), D(10), D(100), D(1000)]),
    since=st.integers(1_700_000_000, 1_800_000_000),
    gaps=st.lists(st.integers(1, 10**6), max_size=40),
    rest=st.integers(1, 10**6),
)
def test_fuzz_the_parts_of_a_rise_are_whole_steps_and_add_up(
    steps: int, step: D, since: int, gaps: list[int], rest: int
) -> None:
    edges = [since + sum(gaps[: n + 1]) for n in range(len(gaps))]
    parts = spread(steps * step, edges, since, since + sum(gaps) + rest, step)
    assert len(parts) == len(edges) + 1
    assert sum(parts) == steps * step
    assert all(part >= 0 and part % step == 0 for part in parts)


def played(story: Story, folder: Path, faults: bool) -> tuple[Totals, dict[str, D], dict[str, D]]:
    """The totals, what was booked, and what the registers rose by."""
    values = dict.fromkeys(story.contract.registers, D(1000))
    with wall(story.start) as clock:
        program = Program(story.contract, folder, clock)

        program.speak(**values)
        program.keep_due()
        for event in story.events:
            clock.now += event.seconds + SURE_AFTER
            if faults and event.fault == "restart":
                program.restart()
            elif faults and event.fault.startswith("kill"):
                program.kill()
            for register, rise in zip(values, event.rises, strict=True):
                values[register] += rise
            program.speak(**values)
            if faults and event.fault in ("kill before keeping", "kill while keeping"):
                if event.fault == "kill while keeping":
                    program.keep_due()
                program.kill()
                program.speak(**values)
            elif not (faults and event.fault == "unread"):
                program.keep_due()
        if faults:
            program.restart()
        assert_days_add_up(program.all_days(), program.account.totals)
        result = program.account.totals, energy(program.all_days()), {r: value - 1000 for r, value in values.items()}
        program.state.close()
    return result


@few
@given(stories())
def test_fuzz_kills_change_nothing_with_a_real_file_and_a_meter(story: Story) -> None:
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        reference, booked, rises = played(story, Path(folder) / "a", faults=False)
        faulty, booked_too, same_rises = played(story, Path(folder) / "b", faults=True)
    assert rises == same_rises
    assert booked.get(EXPORT, 0) == booked_too.get(EXPORT, 0) == rises.get(EXPORT, 0)
    assert sum(booked.values()) == sum(booked_too.values()) == sum(rises.values())
    compare(story, reference, faulty, clear=False)


def between(kept: dict[date, Day], since: date, until: date) -> dict[date, Day]:
    return {day: booked for day, booked in kept.items() if since <= day < until}


EUROS = tuple(contract for contract in CONTRACTS if contract.tariffs and contract.tariffs.currency == "EUR")
MOVED = replace(EUROS[0], tariffs=replace(HC, reading_day=20))
"""The same prices, another day on which the meter is read."""


@fuzz
@given(
    start=st.integers(unix("2026-01-25 00:00"), unix("2026-02-05 00:00")),
    changes=st.lists(
        st.tuples(st.sampled_from((*EUROS, MOVED)), st.integers(1, 5 * 86_400), st.integers(0, 1000)), min_size=2, max_size=12
    ),
)
def test_fuzz_another_contract_after_a_restart_loses_no_energy_and_lets_no_counter_fall(
    start: int, changes: list[tuple[Contract, int, int]]
) -> None:
    shelf, at, value = Shelf(changes[0][0]), start, D(0)
    for contract, seconds, rise in changes:
        shelf.take(at, {"HCHC": value})
        shelf.keep(at)
        shelf.contract = contract
        shelf.reopen()
        kept = {date.fromisoformat(day): Day.from_json(json.loads(text)) for day, text in shelf.days.items()}
        shelf.account._history = partial(between, kept)
        at, value = at + seconds, value + rise
    shelf.take(at, {"HCHC": value})
    booked = shelf.all_days()
    assert sum(energy(booked).values()) == value
    assert_days_add_up(booked, shelf.account.totals)
    period = shelf.account.calendar.at(at).period
    used = sum((day.watthours for when, day in booked.items() if when >= period), D(0))
    assert shelf.account.period(at).watthours == used
