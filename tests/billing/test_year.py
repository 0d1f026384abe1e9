"""A simulated year, read through the real decoder into the real books, against a bill made from the meter's own registers.

`make test` plays the weeks in which something happens; `make year` the whole year. Twice a week the program is killed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal as D
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import pytest
from support.billing_worlds import memory, wall
from support.sample_tariffs import PARIS, TOKYO, tariffs, unix

from meterline.billing.account import Account
from meterline.billing.billing import KEEP_EVERY, BillingService
from meterline.billing.meter_account import SURE_AFTER
from meterline.billing.tariff import Tariffs
from meterline.meter.meter import Meter
from meterline.meter.readings import Reading, Resolution, Snapshot
from meterline.protocols.tic.derived import readings
from meterline.protocols.tic.frames import Assembler, Decoder
from meterline.protocols.tic.simulator.meter import FakeMeter
from meterline.store import FILE, State

WHOLE_YEAR = bool(os.environ.get("METERLINE_YEAR"))
COLOURS = ("BLUE", "BLUE", "WHITE", "BLUE", "RED", "BLUE", "BLUE")
"""Of the week of the simulated meter, by the ordinal of the day that begins at six."""
BOUNDARIES = (0, 6, 22)


@dataclass
class Kettle:
    """A household that costs no time to simulate: another power each minute, the same one again for the same minute."""

    zone: ZoneInfo = PARIS
    subscribed: int = 6000

    def load(self, now: float) -> float:
        return 100 + int(now // 60) * 7919 % 3000

    def sun(self, now: float) -> float:
        return 0.0

    def volts(self, now: float, phase: int) -> float:
        return 230.0


class Source(Protocol):
    """What is read: a meter, and its true registers at any moment that was read."""

    history: dict[int, dict[str, int]]

    def read(self, now: int) -> Snapshot: ...


class Linky:
    """The simulated Linky of a Tempo contract, through its bytes."""

    def __init__(self) -> None:
        self.fake = FakeMeter(Kettle(), "historic", "TEMPO")  # type: ignore[arg-type]
        self.decoder, self.assembler = Decoder(), Assembler()
        self.history: dict[int, dict[str, int]] = {}

    def read(self, now: int) -> Snapshot:
        self.fake.advance(now)
        names = ("BBRHCJB", "BBRHPJB", "BBRHCJW", "BBRHPJW", "BBRHCJR", "BBRHPJR")
        self.history[now] = dict(zip(names, self.fake.registers.values(), strict=True))
        return readings(self.assembler.feed(self.decoder.feed(self.fake.frame()))[-1])


class Tokyo:
    """A register in steps of 100 Wh that begins anew at 1,000,000 kWh, and does so in this year."""

    WRAPS_AT = 1_000_000_000

    def __init__(self) -> None:
        self.house, self.now, self.energy = Kettle(), 0, 999_700_000.0
        self.history: dict[int, dict[str, int]] = {}

    def read(self, now: int) -> Snapshot:
        while self.now and self.now < now:
            step = min(60 - self.now % 60, now - self.now)
            self.energy += self.house.load(self.now) * step / 3600
            self.now += step
        self.now = now
        register = int(self.energy // 100) * 100
        self.history[now] = {"TOTAL": register}
        reading = Reading(("smartmeter_energy_import_watthours_total",), register % self.WRAPS_AT)
        return Snapshot((reading,), "02AB5C00D1E2F301", resolution=Resolution(100.0, self.WRAPS_AT))


@dataclass
class Desk:
    """The program: a meter for each contract, all fed with the same snapshots, and a real file under them."""

    contracts: dict[str, Tariffs]
    zone: ZoneInfo
    by_tariff: bool
    folder: Path
    clock: SimpleNamespace
    generation: int = 0
    kept_at: int = 0
    books: BillingService = field(init=False)
    meters: list[Meter] = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.state = State(str(self.folder / str(self.generation)))
        self.books = BillingService(self.state)
        self.meters = [Meter(name, clock=lambda: float(self.clock.now)) for name in self.contracts]
        for meter in self.meters:
            self.books.open(meter, self.contracts[meter.name], self.zone.key, self.by_tariff)

    def kill(self) -> None:
        """What the next program finds is what lies on the disk now."""
        old, self.generation = self.folder / str(self.generation), self.generation + 1
        new = self.folder / str(self.generation)
        new.mkdir()
        for name in (FILE, FILE + "-wal"):
            if (old / name).exists():
                (new / name).write_bytes((old / name).read_bytes())
        self.state.close()
        self.start()

    def take(self, snapshot: Snapshot) -> None:
        for meter in self.meters:
            meter.take(snapshot)
            self.books.take(meter, snapshot)

    def keep_due(self) -> None:
        books = list(self.books._books.values())
        if self.clock.now - self.kept_at >= KEEP_EVERY:
            self.kept_at = self.clock.now
        else:
            books = [book for book in books if book.account.due]
        self.books.keep(books)

    def account(self, name: str) -> Account:
        account = self.books.account(name)
        assert account
        return account


def days(start: date, end: date) -> Iterator[date]:
    while start < end:
        yield start
        start += timedelta(days=1)


def moments(start: date, end: date, zone: ZoneInfo) -> list[int]:
    """Every ten minutes, and every ten seconds around the hours at which a price may change."""
    first, last = unix(f"{start} 00:00", zone), unix(f"{end} 00:00", zone)
    found = set(range(first, last + 1, 600))
    for day in days(start, end + timedelta(days=1)):
        for hour in BOUNDARIES:
            boundary = unix(f"{day} {hour:02}:00", zone)
            found |= set(range(max(boundary - 60, first), min(boundary + 61, last + 1), 10))
    return sorted(found)


Cuts = Callable[[date, ZoneInfo], tuple[int, int]]


def by_day(day: date, zone: ZoneInfo) -> tuple[int, int]:
    """Somewhere between eight and twenty, for up to two hours: no price changes then."""
    chance = Random(str(day))
    start = unix(f"{day} 08:00", zone) + chance.randrange(0, 10 * 3600)
    return start, start + chance.randrange(300, 7200)


def over_midnight(day: date, zone: ZoneInfo) -> tuple[int, int]:
    """From before midnight until after six."""
    midnight = unix(f"{day} 00:00", zone)
    return midnight - Random(str(day)).randrange(600, 3600), midnight + 6 * 3600 + 1800


def cuts(start: date, end: date, zone: ZoneInfo, when: Cuts) -> list[tuple[int, int]]:
    """Two a week, none on the first and the last day."""
    inside = days(start + timedelta(days=1), end - timedelta(days=1))
    return [when(day, zone) for day in inside if day.weekday() in (1, 5)]


def play(source: Source, desk: Desk, start: date, end: date, when: Cuts) -> None:
    """From local midnight to local midnight. A cut may come before what was read last has been kept."""
    outages = cuts(start, end, desk.zone, when)
    every = moments(start, end, desk.zone)
    for now in (*range(every[0] - 10 * (SURE_AFTER - 1), every[0], 10), *every):
        snapshot = source.read(now)
        if outages and now >= outages[0][0]:
            if now < outages[0][1]:
                continue
            del outages[0]
            desk.kill()
        desk.clock.now = now
        desk.take(snapshot)
        if not outages or now + 600 < outages[0][0]:
            desk.keep_due()


@contextmanager
def desk_with(contracts: dict[str, Tariffs], zone: ZoneInfo, by_tariff: bool, now: int) -> Iterator[Desk]:
    with tempfile.TemporaryDirectory(dir=memory()) as folder, wall(now) as clock:
        desk = Desk(contracts, zone, by_tariff, Path(folder), clock)
        try:
            yield desk
        finally:
            desk.state.close()


def energy_of(desk: Desk, name: str) -> D:
    """Of all days, as they are kept."""
    desk.books.keep(desk.books._books.values())
    closed = desk.state.days(name)
    found = sum((D(line[0]) for day in closed.values() for line in day["lines"].values()), D(0))
    still_open = (booked for day, booked in desk.account(name).days.items() if day.isoformat() not in closed)
    return found + sum((booked.watthours for booked in still_open), D(0))


# The Linky: Tempo by its registers, and the same by the clock.

OLD = {"BLUE": ("0.1288", "0.1552"), "WHITE": ("0.1447", "0.1792"), "RED": ("0.1518", "0.6586")}
NEW = {"BLUE": ("0.1325", "0.1612"), "WHITE": ("0.1499", "0.1871"), "RED": ("0.1575", "0.7060")}
"""Off-peak and peak, before and from 1 February on."""
VAT, EXCISE = "20", "0.02998"
FEBRUARY = date(2026, 2, 1)
MONTHLY = "15.74"


def tempo(by_clock: bool) -> Tariffs:
    def kind(prices: dict[str, tuple[str, str]]) -> dict[str, Any]:
        if not by_clock:
            letters = zip("BWR", prices.values(), strict=True)
            return {"registers": {f"BBR{h}J{c}": p for c, pair in letters for h, p in zip(("HC", "HP"), pair, strict=True)}}
        rates = []
        for colour in ("RED", "WHITE", "BLUE"):
            listed = [str(day) for day in days(date(2025, 12, 1), date(2027, 2, 1)) if COLOURS[day.toordinal() % 7] == colour]
            dates = {} if colour == "BLUE" else {"dates": listed}
            rates.append({"name": f"{colour} HC", "price": prices[colour][0], "hours": "22:00-06:00", **dates})
            rates.append({"name": f"{colour} HP", "price": prices[colour][1], **dates})
        return {"times": rates}

    standing = {"standing": {"amount": MONTHLY, "per": "month"}}
    return tariffs(
        day_start="06:00",
        periods=[
            {"since": "2025-08-01", "until": "2026-02-01", **kind(OLD), **standing},
            {"since": "2026-02-01", **kind(NEW), **standing},
        ],
        levies=[
            {"name": "excise", "per_kwh": EXCISE, "since": "2026-02-01"},
            {"name": "VAT", "percent": VAT, "on": "energy"},
        ],
    )


def tempo_bill(history: dict[int, dict[str, int]], start: date, end: date) -> float:
    """Each register's difference before and after the change of price, times its price: the energy, in euros."""
    turn = min(max(FEBRUARY, start), end)
    first, middle, last = (history[unix(f"{day} 00:00")] for day in (start, turn, end))
    total = 0.0
    for letter, colour in zip("BWR", ("BLUE", "WHITE", "RED"), strict=True):
        for place, hours in enumerate(("HC", "HP")):
            register = f"BBR{hours}J{letter}"
            total += (middle[register] - first[register]) / 1000 * float(OLD[colour][place])
            total += (last[register] - middle[register]) / 1000 * (float(NEW[colour][place]) + float(EXCISE))
    return total * 1.2


# Tokyo: three tiers, fuel that changes each month, a levy that changes in May, read on the 17th.

TIERS = ((120, 29.80), (300, 36.40), (float("inf"), 40.49))
FUEL = (-6.12, -7.99, -9.02, -8.51, -7.74, -7.36, -6.9, -5.3, -4.11, -4.5, -5.02, -5.5, -5.9)
RENEWABLE = (3.49, 3.98)
MAY = date(2026, 5, 1)
BASIC = "935.25"


def months() -> Iterable[date]:
    return [date(2026, month, 1) for month in range(1, 13)] + [date(2027, 1, 1)]


def tiered() -> Tariffs:
    fuel = [
        {
            "name": "fuel",
            "per_kwh": f"{amount:.2f}",
            "since": str(month),
            "until": str((month + timedelta(days=31)).replace(day=1)),
        }
        for month, amount in zip(months(), FUEL, strict=True)
    ]
    return tariffs(
        currency="JPY",
        reading_day="17",
        periods=[
            {
                "since": "2025-01-01",
                "tiers": [
                    {"price": f"{price:.2f}"} | ({"up_to": str(limit)} if limit < 1000 else {}) for limit, price in TIERS
                ],
                "standing": {"amount": BASIC, "per": "month"},
            }
        ],
        levies=[
            *fuel,
            {"name": "renewable", "per_kwh": f"{RENEWABLE[0]:.2f}", "until": str(MAY)},
            {"name": "renewable", "per_kwh": f"{RENEWABLE[1]:.2f}", "since": str(MAY)},
        ],
    )


def in_tiers(used: float) -> float:
    """What so many kilowatt-hours of one billing period cost by the table."""
    return sum(
        (min(used, upper) - lower) * price for (upper, price), lower in zip(TIERS, (0, 120, 300), strict=True) if used > lower
    )


def tiered_bill(history: dict[int, dict[str, int]], start: date, end: date) -> float:
    """Day by day: how far the period has come, and what the day adds to it."""
    total = used = 0.0
    for day in days(start, end):
        if day.day == 17:
            used = 0.0
        morning, night = (history[unix(f"{d} 00:00", TOKYO)]["TOTAL"] for d in (day, day + timedelta(days=1)))
        drawn = (night - morning) / 1000
        total += in_tiers(used + drawn) - in_tiers(used)
        total += drawn * (FUEL[12 * (day.year - 2026) + day.month - 1] + RENEWABLE[day >= MAY])
        used += drawn
    return total


WEEKS = [("2026-01-29", "2026-02-05"), ("2026-03-26", "2026-04-01"), ("2026-10-22", "2026-10-28")]
"""1 February; both nights on which the clock is turned."""
JAPANESE_WEEKS = [("2026-01-29", "2026-02-20"), ("2026-04-28", "2026-05-20")]
"""A new month, a new levy, a new billing period."""
YEAR = [("2026-01-01", "2027-01-01")]


def windows(weeks: list[tuple[str, str]]) -> list[Any]:
    return [pytest.param(*map(date.fromisoformat, pair), id=pair[0]) for pair in (YEAR if WHOLE_YEAR else weeks)]


@pytest.mark.parametrize(("start", "end"), windows(WEEKS))
@pytest.mark.parametrize("when", [by_day, over_midnight], ids=lambda when: when.__name__)
def test_a_simulated_year_of_tempo_costs_what_the_meters_registers_say(start: date, end: date, when: Cuts) -> None:
    contracts = {"by register": tempo(by_clock=False), "by clock": tempo(by_clock=True)}
    linky = Linky()
    with desk_with(contracts, PARIS, True, unix(f"{start} 00:00") - 3600) as desk:
        play(linky, desk, start, end, when)
        assert desk.generation >= (end - start).days // 7
        first, last = (linky.history[unix(f"{day} 00:00")] for day in (start, end))
        bill = tempo_bill(linky.history, start, end)
        for name in contracts:
            totals = desk.account(name).totals
            cost, off = float(sum(totals.costs.values())), float(totals.estimated)
            assert energy_of(desk, name) == sum(last.values()) - sum(first.values())
            if when is over_midnight and name == "by clock":
                assert 0 < abs(cost - bill) <= off + 0.005
            else:
                assert off == 0
                assert cost == pytest.approx(bill, abs=0.005)
        assert desk.account("by register").totals.standing == desk.account("by clock").totals.standing
        if WHOLE_YEAR:
            assert float(desk.account("by clock").totals.standing) == pytest.approx(12 * float(MONTHLY) + 0.51, abs=0.01)


@pytest.mark.parametrize(("start", "end"), windows(JAPANESE_WEEKS))
@pytest.mark.parametrize("when", [by_day, over_midnight], ids=lambda when: when.__name__)
def test_a_simulated_year_of_tiers_costs_what_the_table_says(start: date, end: date, when: Cuts) -> None:
    tokyo = Tokyo()
    with desk_with({"home": tiered()}, TOKYO, False, unix(f"{start} 00:00", TOKYO) - 3600) as desk:
        play(tokyo, desk, start, end, when)
        first, last = (tokyo.history[unix(f"{day} 00:00", TOKYO)]["TOTAL"] for day in (start, end))
        assert first < tokyo.WRAPS_AT < last
        assert energy_of(desk, "home") == last - first
        totals = desk.account("home").totals
        cost, bill, off = float(sum(totals.costs.values())), tiered_bill(tokyo.history, start, end), float(totals.estimated)
        if when is by_day:
            assert off == 0
            assert cost == pytest.approx(bill, abs=0.005)
        else:
            assert abs(cost - bill) <= off + 0.005
