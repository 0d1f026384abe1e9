"""The standing charge: each calendar day once, and none of a day that the clock showed by mistake."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal as D
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.billing_worlds import memory
from support.decoder_contract import fuzz
from support.sample_tariffs import PARIS, tariffs, unix

from meterline.billing.account import Account
from meterline.billing.billing import BillingService
from meterline.billing.calendar import Calendar
from meterline.billing.codec import from_json
from meterline.billing.totals import Day
from meterline.meter.meter import Meter
from meterline.meter.readings import Reading, Snapshot
from meterline.store import State

HOUR, DAY = 3600, 86_400
EVENING = unix("2026-11-03 21:00")
CONTRACT = tariffs(
    periods=[{"since": "2020-01-01", "registers": {"BASE": "0.2"}, "standing": {"amount": "0.53", "per": "day"}}]
)
IMPORT = "smartmeter_energy_import_tariff_watthours_total"


@dataclass
class Machine:
    """A meter, the program and its file. `now` is the time that it is; the clock shows `off` seconds more."""

    folder: Path
    now: int = EVENING
    off: int = 0
    booted: int = 0
    boots: int = 0
    tells: bool = True
    """The kernel says whether its clock is synchronised: so it is while it is right."""
    shown: float = 0.0
    first: date | None = None
    """Oracle: the day of the first reading that may be booked, of those that a kill did not undo."""
    state: State = field(init=False)

    def __post_init__(self) -> None:
        self.booted = self.now - 30
        self.start()

    def start(self) -> None:
        self.state = State(str(self.folder))
        self.books = BillingService(
            self.state,
            lambda: self.now + self.off,
            lambda: float(self.now - self.booted),
            f"boot {self.boots}",
            lambda: self.off == 0 if self.tells else None,
        )
        self.meter = Meter("home", clock=lambda: float(self.now - self.booted))
        self.books.open(self.meter, CONTRACT, "Europe/Paris", True)

    def restart(self, kept: bool = True, off: int | None = None) -> None:
        """The program alone, or with `off` the machine: its clock begins wrong by so much."""
        if kept:
            self.books.keep()
        elif not self.state.meters():
            self.first = None
        self.state.close()
        if off is not None:
            self.off, self.booted, self.boots = off, self.now, self.boots + 1
        self.start()

    def read(self, seconds: int, every: int = 300) -> None:
        """For so long; what is due is kept."""
        end = self.now + seconds
        while self.now < end:
            self.now += min(every, end - self.now)
            snapshot = Snapshot((Reading((IMPORT, "BASE"), 1_000_000),), "042175000001")
            self.meter.take(snapshot)
            self.books.take(self.meter, snapshot)
            if self.account.began and self.first is None:
                self.first = self.today
            if self.account.due:
                self.books.keep()
            assert self.standing >= self.shown, "a counter fell"
            self.shown = self.standing

    def hold(self, seconds: int) -> None:
        """The host of a virtual machine holds it: the wall goes on, the uptime does not."""
        self.now += seconds
        self.booted += seconds

    @property
    def account(self) -> Account:
        return self.books._books["home"].account

    @property
    def standing(self) -> float:
        return float(self.account.kept.standing)

    @property
    def today(self) -> date:
        return datetime.fromtimestamp(self.now, PARIS).date()

    def charged(self) -> dict[date, D]:
        """Days that have a charge, as the state and the open books have them."""
        self.books.keep()
        days = {date.fromisoformat(day): Day.from_json(found) for day, found in self.state.days("home").items()}
        return {day: booked.standing for day, booked in sorted((days | self.account.days).items()) if booked.standing}


def every_day(first: date, last: date) -> dict[date, D]:
    return {first + timedelta(days=n): D("0.53") for n in range((last - first).days + 1)}


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Callable[..., Machine]]:
    machines = []

    def begin(now: int = EVENING, off: int = 0, tells: bool = True) -> Machine:
        machines.append(Machine(tmp_path, now, off, tells=tells))
        return machines[-1]

    yield begin
    for machine in machines:
        machine.state.close()


@pytest.mark.parametrize("late", [4 * HOUR, 23 * HOUR, 5 * DAY, 400 * DAY])
@pytest.mark.parametrize("after", [60, 50 * 60, 3 * HOUR], ids=["a minute", "50 minutes", "3 hours"])
def test_a_clock_that_is_late_at_the_first_start_costs_nothing(machine: Callable[..., Machine], late: int, after: int) -> None:
    home = machine(off=-late)
    home.read(after, every=15)
    home.off = 0
    home.read(2 * HOUR, every=15)
    today = datetime.fromtimestamp(home.now, PARIS).date()
    assert home.first
    assert home.charged() == every_day(home.first, today)
    assert home.standing == pytest.approx(0.53 * ((today - home.first).days + 1))


def test_the_day_and_the_billing_period_show_the_charge_once_too(machine: Callable[..., Machine]) -> None:
    home = machine(off=-4 * HOUR, now=unix("2026-11-03 15:00"))
    home.read(60, every=15)
    home.off = 0
    home.read(600)
    assert home.account.day(home.now).cost == home.account.period(home.now).cost == D("0.53")


@pytest.mark.parametrize("jump", [2 * HOUR, 20 * HOUR, 30 * DAY])
def test_eight_jumps_ahead_in_the_first_hour_are_one_day(machine: Callable[..., Machine], jump: int) -> None:
    home = machine(off=-8 * jump, now=unix("2026-11-03 12:00"))
    for _ in range(8):
        home.read(300, every=15)
        home.off += jump
    home.read(2 * HOUR)
    assert home.charged() == {date(2026, 11, 3): D("0.53")}
    assert home.standing == 0.53


@pytest.mark.parametrize("kept", [True, False], ids=["restarted", "killed"])
def test_a_late_clock_that_is_set_after_a_restart_of_the_program_costs_nothing(
    machine: Callable[..., Machine], kept: bool
) -> None:
    home = machine(off=-5 * DAY, now=unix("2026-11-03 12:00"))
    home.read(120, every=15)
    home.restart(kept)
    home.read(120, every=15)
    home.off = 0
    home.restart(kept)
    home.read(HOUR)
    assert home.charged() == {date(2026, 11, 3): D("0.53")}
    assert home.standing == 0.53


@pytest.mark.parametrize("tells", [True, False], ids=["synchronised", "not known"])
def test_a_clock_that_was_ahead_gives_the_days_back_that_have_not_come(machine: Callable[..., Machine], tells: bool) -> None:
    home = machine(now=unix("2026-11-03 12:00"), tells=tells)
    home.read(HOUR)
    home.off = 3 * DAY
    home.read(3 * HOUR)
    assert home.charged() == every_day(date(2026, 11, 3), date(2026, 11, 6))
    home.off = 0
    home.read(4 * HOUR)
    assert home.charged() == {date(2026, 11, 3): D("0.53")}
    home.read(4 * DAY)
    assert home.charged() == every_day(date(2026, 11, 3), date(2026, 11, 7))
    assert home.standing == pytest.approx(5 * 0.53)


def test_a_clock_that_is_ahead_after_the_machine_has_started_again_charges_no_day_twice(
    machine: Callable[..., Machine],
) -> None:
    home = machine(now=unix("2026-11-03 12:00"))
    home.read(HOUR)
    home.restart(off=3 * DAY)
    home.read(HOUR)
    assert home.charged() == every_day(date(2026, 11, 3), date(2026, 11, 6))
    home.off = 0
    home.read(4 * HOUR)
    assert home.charged() == {date(2026, 11, 3): D("0.53")}
    home.read(5 * DAY)
    assert home.charged() == every_day(date(2026, 11, 3), date(2026, 11, 8))
    assert home.standing == pytest.approx(6 * 0.53)


def test_half_an_hour_over_midnight_is_the_wrong_day_too(machine: Callable[..., Machine]) -> None:
    home = machine(now=unix("2026-11-04 00:10"), off=-30 * 60)
    home.read(60, every=15)
    assert home.charged() == {date(2026, 11, 3): D("0.53")}
    home.off = 0
    home.read(600)
    assert home.charged() == {date(2026, 11, 4): D("0.53")}
    assert home.standing == 0.53


def test_the_days_on_which_the_machine_was_off_are_due(machine: Callable[..., Machine]) -> None:
    home = machine(now=unix("2026-11-03 12:00"))
    home.read(HOUR)
    home.now += 4 * DAY
    home.restart(off=-4 * DAY)
    home.read(120)
    home.off = 0
    home.read(600)
    assert home.charged() == every_day(date(2026, 11, 3), date(2026, 11, 7))


def test_a_meter_that_is_read_for_weeks_began_when_it_began(machine: Callable[..., Machine]) -> None:
    home = machine(now=unix("2026-11-03 12:00"), tells=False)
    home.read(10 * DAY, every=HOUR)
    home.hold(2 * DAY)
    home.read(3 * HOUR)
    assert home.charged() == every_day(date(2026, 11, 3), home.today)


@pytest.mark.parametrize("tells", [True, False], ids=["synchronised", "not known"])
@pytest.mark.parametrize(
    ("first", "after", "held"),
    [("2026-11-01 12:00", 2 * DAY, 2 * DAY), ("2026-11-03 23:40", DAY, 25 * 60)],
    ids=["for two days", "over midnight"],
)
def test_a_virtual_machine_that_was_held_takes_no_day_that_was_read(
    machine: Callable[..., Machine], tells: bool, first: str, after: int, held: int
) -> None:
    """Held, it looks like one whose clock was late when the books began."""
    home = machine(now=unix(first), tells=tells)
    home.read(after)
    home.hold(held)
    home.read(5 * DAY)
    assert home.first
    assert home.charged() == every_day(home.first, home.today)
    assert home.standing == pytest.approx(0.53 * len(home.charged()))


@pytest.mark.parametrize("kept", [True, False], ids=["restarted", "killed"])
def test_a_begin_that_was_corrected_when_the_clock_was_synchronised_is_not_moved_again(
    machine: Callable[..., Machine], kept: bool
) -> None:
    home = machine(now=unix("2026-11-03 12:00"), off=-5 * DAY)
    home.read(3 * HOUR)
    home.off = 0
    home.read(2 * HOUR)
    home.restart(kept)
    home.hold(2 * DAY)
    home.read(DAY)
    assert home.charged() == every_day(date(2026, 11, 3), home.today)


@pytest.mark.parametrize("restarted", [True, False], ids=["restarted", "running"])
def test_a_begin_by_a_clock_that_was_right_stays_when_it_is_set_wrong_and_right_again(
    machine: Callable[..., Machine], restarted: bool
) -> None:
    home = machine(now=unix("2026-11-03 12:00"))
    home.read(HOUR)
    home.off = -5 * DAY
    home.read(4 * HOUR)
    if restarted:
        home.restart()
    home.off = 0
    home.read(2 * DAY)
    assert home.charged() == every_day(date(2026, 11, 3), home.today)
    assert home.standing == pytest.approx(3 * 0.53)


@pytest.mark.parametrize("before", [None, "JPY"], ids=["none", "another currency"])
def test_tariffs_that_are_added_on_a_day_that_has_begun_charge_from_the_next_day_on(
    machine: Callable[..., Machine], before: str | None
) -> None:
    home = machine(now=unix("2026-11-03 12:00"))
    yen = {"since": "2020-01-01", "registers": {"BASE": "30"}, "standing": {"amount": "40", "per": "day"}}
    home.books.open(home.meter, tariffs(currency=before, periods=[yen]) if before else None, "Europe/Paris", True)
    home.read(HOUR)
    home.books.open(home.meter, CONTRACT, "Europe/Paris", True)
    home.shown = 0
    home.read(2 * DAY)
    assert home.charged() == every_day(date(2026, 11, 4), date(2026, 11, 5))


def test_what_version_0_1_0_wrote_goes_on(machine: Callable[..., Machine]) -> None:
    home = machine(now=unix("2026-11-03 12:00"))
    home.read(HOUR)
    record = json.loads(json.dumps(home.state.account("home")))
    for added in ("ahead", "began_after", "began_sure", "charged_from"):
        del record[added]
    del record["totals"]["unpriced"]
    account = from_json(Calendar(PARIS, CONTRACT), record)
    account.take(home.now + 2 * DAY, {"BASE": D(1_000_000)}, "042175000001", uptime=5.0)
    assert account.totals.standing == 3 * D("0.53")


STEPS = st.one_of(
    st.tuples(st.just("read"), st.sampled_from([60, 600, 2 * HOUR, 5 * HOUR, 26 * HOUR])),
    st.tuples(
        st.just("clock"), st.sampled_from([-400 * DAY, -5 * DAY, -23 * HOUR, -5 * HOUR, -1800, 0, 1800, 5 * HOUR, 3 * DAY])
    ),
    st.tuples(st.sampled_from(["restart", "kill"]), st.just(0)),
)
REBOOTS = st.tuples(st.just("boot"), st.sampled_from([-5 * DAY, -5 * HOUR, 0, 0, 3 * DAY]))


def played(folder: Path, start: int, off: int, steps: list[tuple[str, int]], tells: bool = True) -> Machine:
    """All steps; then the clock is right, and days pass."""
    home = Machine(folder, now=start, off=off, tells=tells)
    for what, amount in (*steps, ("clock", 0), ("read", 3 * DAY)):
        match what:
            case "read":
                home.read(amount, every=max(30, amount // 40))
            case "clock":
                home.off = amount
            case "boot":
                home.restart(off=amount)
            case _:
                home.restart(kept=what == "restart")
    return home


few = settings(fuzz, max_examples=max(40, fuzz.max_examples // 4))


@few
@given(
    start=st.integers(unix("2026-10-24 12:00"), unix("2026-11-02 12:00")),
    off=st.sampled_from([-400 * DAY, -5 * DAY, -4 * HOUR, -1800, 0, 1800, 4 * HOUR, 3 * DAY]),
    steps=st.lists(STEPS, max_size=6),
)
def test_fuzz_whatever_the_clock_did_each_day_since_the_first_reading_is_charged_once(
    start: int, off: int, steps: list[tuple[str, int]]
) -> None:
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        home = played(Path(folder), start, off, steps)
        charged, standing = home.charged(), home.account.totals.standing
        assert home.first
        assert charged == every_day(home.first, home.today)
        assert sum(charged.values()) + home.account.standing.ahead == standing
        home.state.close()


@few
@given(
    start=st.integers(unix("2026-10-24 12:00"), unix("2026-11-02 12:00")),
    off=st.sampled_from([-5 * DAY, -4 * HOUR, 0, 4 * HOUR, 3 * DAY]),
    steps=st.lists(st.one_of(STEPS, REBOOTS), max_size=6),
    tells=st.booleans(),
)
def test_fuzz_whatever_the_machine_did_no_day_is_charged_twice_and_none_that_has_not_come(
    start: int, off: int, steps: list[tuple[str, int]], tells: bool
) -> None:
    """A begin by a wrong clock that was set while the machine was off cannot be told from days on which it was off."""
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        home = played(Path(folder), start, off, steps, tells)
        charged, standing = home.charged(), home.account.totals.standing
        assert charged == every_day(min(charged), home.today)
        assert sum(charged.values()) + home.account.standing.ahead == standing
        home.state.close()
