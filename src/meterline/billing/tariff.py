"""What the configuration says about prices: frozen classes that check themselves. All numbers are decimal.

A price of energy is for a kilowatt-hour. What it becomes on the bill: (price + levies per kWh) x (1 + taxes in percent).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from meterline.billing.time_conditions import Clock, Dates, Days, Hours, uncovered

PER_CENT = Decimal("0.01")
ALL_DAY, EVERY_DAY, ALL_YEAR, MIDNIGHT = Hours(), Days(), Dates(), Clock(0)
WHOLE = "TOTAL"
"""The register of a meter that has only one, which no tariff of its own names."""


@dataclass(frozen=True)
class Rate:
    """A price by time of use; the first of a list whose conditions hold."""

    name: str
    price: Decimal
    hours: Hours = ALL_DAY
    days: Days = EVERY_DAY
    dates: Dates = ALL_YEAR

    def holds(self, day: date, minute: int, holiday: bool) -> bool:
        """Whether it is the price of that minute of the clock, on that day of the tariff."""
        return self.hours.hold(minute) and self.days.hold(day, holiday) and self.dates.hold(day)


@dataclass(frozen=True)
class Tier:
    """A price up to a consumption in one billing period; the last one has no limit."""

    price: Decimal
    up_to: Decimal | None = None
    """Kilowatt-hours."""


@dataclass(frozen=True)
class Standing:
    """What is due without any consumption."""

    amount: Decimal
    per: Literal["month", "day"]


@dataclass(frozen=True)
class Levy:
    """A tax, a levy or an adjustment, on top of prices: per kWh (it may be negative) or in percent."""

    name: str
    per_kwh: Decimal | None = None
    percent: Decimal | None = None
    on: Literal["energy", "standing", "all"] = "all"
    """What a percentage is taken of."""
    since: date | None = None
    until: date | None = None

    def __post_init__(self) -> None:
        if (self.per_kwh is None) == (self.percent is None):
            raise ValueError(f"levy {self.name!r}: needs either per_kwh or percent")
        if self.per_kwh is not None and self.on == "standing":
            raise ValueError(f"levy {self.name!r}: per_kwh is of energy; on the standing charge it needs percent")
        if self.percent is not None and self.percent < 0:
            raise ValueError(f"levy {self.name!r}: percent: {self.percent} is not allowed; allowed: 0 or more")
        if self.since and self.until and self.until <= self.since:
            raise ValueError(f"levy {self.name!r}: ends ({self.until}) before it begins ({self.since})")
        _leave_open(self)

    def holds(self, day: date) -> bool:
        """Whether it is raised on that day."""
        return (self.since is None or self.since <= day) and (self.until is None or day < self.until)


@dataclass(frozen=True)
class Period:
    """Prices that hold from one day to another; `until` is the first day on which they do not hold any more."""

    since: date
    until: date | None = None
    price: Decimal | None = None
    registers: dict[str, Decimal] | None = None
    times: tuple[Rate, ...] | None = None
    tiers: tuple[Tier, ...] | None = None
    standing: Standing | None = None
    feed_in: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        if self.until and self.until <= self.since:
            raise ValueError(f"until: {self.until} is not after its beginning")
        kinds = [kind for kind in ("price", "registers", "times", "tiers") if getattr(self, kind) is not None]
        if len(kinds) != 1:
            found = " and ".join(kinds) or "none"
            raise ValueError(f"needs one of price, registers, times, tiers; found {found}")
        for what, price in self.prices():
            if price < 0:
                raise ValueError(f"{what}: {price} is not allowed; allowed: 0 or more{_remedy(what)}")
        if self.registers == {}:
            raise ValueError("registers: expected at least one, such as {HCHC: 0.1579}")
        if self.times is not None:
            _check_times(self.times)
        if self.tiers is not None:
            _check_tiers(self.tiers)
        _leave_open(self)

    def prices(self) -> Iterator[tuple[str, Decimal]]:
        """Every price in it, with its place in words."""
        if self.price is not None:
            yield "price", self.price
        for register, price in (self.registers or {}).items():
            yield f"registers: {register}", price
        for rate in self.times or ():
            yield f"times: {rate.name}", rate.price
        for number, tier in enumerate(self.tiers or (), 1):
            yield f"tiers: tier {number}: price", tier.price
        if self.standing:
            yield "standing: amount", self.standing.amount
        yield "feed_in", self.feed_in


def _check_times(rates: Sequence[Rate]) -> None:
    names = [rate.name for rate in rates]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"times: two prices with the name {name!r}; each needs its own")
    if hole := uncovered(tuple((rate.hours, rate.days, rate.dates) for rate in rates)):
        raise ValueError(f"times: a gap: no price holds {hole}")


def _check_tiers(tiers: Sequence[Tier]) -> None:
    if not tiers or tiers[-1].up_to is not None:
        raise ValueError("tiers: the last one must have no up_to: it holds for all that is above")
    limits = [tier.up_to for tier in tiers[:-1]]
    for number, limit in enumerate(limits, 1):
        if limit is None:
            raise ValueError(f"tiers: tier {number}: up_to is missing; only the last tier has none")
        if limit <= 0:
            raise ValueError(f"tiers: tier {number}: up_to: {limit} is not allowed; allowed: kWh above 0")
    for number, (lower, upper) in enumerate(pairwise(limits), 2):
        if lower is not None and upper is not None and upper <= lower:
            raise ValueError(f"tiers: tier {number}: up_to: {upper} is not above {lower}, the limit of the tier before")


class Terms(NamedTuple):
    """What holds on a stretch of days on which nothing changes: a period, and the levies on top."""

    since: date
    until: date | None
    period: Period
    per_kwh: Decimal
    factor: Decimal
    """On energy: 1.2 with a tax of 20 %."""
    standing_factor: Decimal

    def full(self, price: Decimal) -> Decimal:
        """What a kilowatt-hour of that price costs on the bill."""
        return (price + self.per_kwh) * self.factor

    def register_price(self, register: str) -> Decimal | None:
        """What a kilowatt-hour on that register costs on the bill; None where it has no price, or not one alone."""
        period = self.period
        price = period.price if period.registers is None else period.registers.get(register)
        return None if price is None else self.full(price)

    def tier(self, watthours: Decimal) -> int:
        """Which tier the next kilowatt-hour falls into, after so much in the billing period."""
        tiers = self.period.tiers or ()
        return next(n for n, tier in enumerate(tiers) if tier.up_to is None or watthours < tier.up_to * 1000)

    def every_price(self) -> list[Decimal]:
        """What a kilowatt-hour may cost, of all rates or tiers."""
        items: tuple[Rate | Tier, ...] = (*(self.period.times or ()), *(self.period.tiers or ()))
        return [self.full(item.price) for item in items]


@dataclass(frozen=True)
class Tariffs:
    """The contract of one meter."""

    currency: str
    periods: tuple[Period, ...]
    levies: tuple[Levy, ...] = ()
    time_zone: ZoneInfo | None = None
    """None: that of the country whose meter it is."""
    reading_day: int = 1
    """Day of the month on which a billing period begins; in a shorter month its last day."""
    day_start: Clock = MIDNIGHT
    """When a day of the tariff begins (06:00 with Tempo): days and dates of `times` are meant so."""
    holidays: tuple[date, ...] = ()

    def __post_init__(self) -> None:
        if not (self.currency.isascii() and self.currency.isalpha() and self.currency.isupper() and len(self.currency) == 3):
            raise ValueError(f"currency: {self.currency!r} is not allowed; allowed: a code of three capitals, such as EUR, JPY")
        if not self.periods:
            raise ValueError("periods: expected a list with at least one period (- since: …)")
        if self.reading_day > 31:
            raise ValueError(f"reading_day: {self.reading_day} is not allowed; allowed: 1 to 31")
        for before, after in pairwise(self.periods):
            _check_order(before, after)
        self._check_no_negative_price()

    def _check_no_negative_price(self) -> None:
        for terms in self.terms:
            for what, price in terms.period.prices():
                if what != "feed_in" and not what.startswith("standing") and price + terms.per_kwh < 0:
                    total = price + terms.per_kwh
                    raise ValueError(f"levies: from {terms.since} on they make a price negative ({what}: {total} per kWh)")

    @cached_property
    def terms(self) -> tuple[Terms, ...]:
        """All stretches on which nothing changes, in their order."""
        return tuple(terms for period in self.periods for terms in self._of_period(period))

    def _of_period(self, period: Period) -> Iterator[Terms]:
        changes = {day for levy in self.levies for day in (levy.since, levy.until) if day}
        inside = sorted(day for day in changes if period.since < day and (period.until is None or day < period.until))
        for since, until in pairwise([period.since, *inside, period.until]):
            if since is not None:
                raised = [levy for levy in self.levies if levy.holds(since)]
                yield Terms(
                    since,
                    until,
                    period,
                    sum((levy.per_kwh for levy in raised if levy.per_kwh is not None), Decimal(0)),
                    _factor(raised, "energy"),
                    _factor(raised, "standing"),
                )

    def on(self, day: date) -> Terms | None:
        """What holds on a day; None: no price."""
        for terms in self.terms:
            if terms.since <= day and (terms.until is None or day < terms.until):
                return terms
        return None

    def change_after(self, day: date) -> date | None:
        """The first day after `day` on which the terms are others."""
        days = {edge for terms in self.terms for edge in (terms.since, terms.until) if edge and edge > day}
        return min(days, default=None)

    def holiday(self, day: date) -> bool:
        """Whether it is listed as a holiday."""
        return day in self.holidays

    def unknown_registers(self, known: Sequence[str]) -> list[str]:
        """Faults, a text each: registers that the meter cannot have."""
        allowed = ", ".join(known) or "none: this meter has one register; use price, times or tiers"
        return [
            f"period {period.since}: registers: {register!r} is not known; allowed: {allowed}"
            for period in self.periods
            for register in period.registers or ()
            if register not in known
        ]


def _leave_open(what: Levy | Period) -> None:
    """The last day that there is, written as the end, says that there is none."""
    if what.until == date.max:
        object.__setattr__(what, "until", None)


def _remedy(what: str) -> str:
    """What can be written in place of a price below 0."""
    if what == "feed_in":
        return ""
    if what.startswith("standing"):
        return "; take a discount on it off its amount"
    return "; a reduction of each kWh is a levy with a negative per_kwh that leaves the price at 0 or more"


def _factor(levies: Sequence[Levy], on: str) -> Decimal:
    percent = sum((levy.percent for levy in levies if levy.percent is not None and levy.on in (on, "all")), Decimal(0))
    return 1 + percent * PER_CENT


def _check_order(before: Period, after: Period) -> None:
    where = f"period {after.since}: "
    if before.until is None:
        if after.since <= before.since:
            raise ValueError(f"{where}begins before the one above it ({before.since}); the oldest comes first")
        raise ValueError(f"{where}overlaps the one above it ({before.since}), which needs 'until: {after.since}'")
    if after.since < before.until:
        raise ValueError(f"{where}overlaps the one above it, which ends on {before.until}")
    if after.since > before.until:
        last = after.since - timedelta(days=1)
        raise ValueError(f"{where}a gap: no price from {before.until} to {last}")
