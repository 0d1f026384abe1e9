"""Booked days as a table, and compared with a bill. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from meterline.billing.calendar import ONE_DAY
from meterline.billing.pricing import tier_number
from meterline.billing.totals import ZERO, Day, Line
from meterline.locale.currencies import digits

_WHOLE_KWH = 1000
"""Watt-hours: bills count whole kilowatt-hours."""


@dataclass(slots=True)
class Row:
    """Some days together: the energy of all of them, and what they cost in one currency."""

    label: str
    currency: str = ""
    days: int = 0
    day: Day = field(default_factory=Day)
    others: dict[str, Day] = field(default_factory=dict)
    """By currency: the days that cost something in another one."""

    def add(self, day: Day) -> None:
        """One more day. One without a currency, which was booked without tariffs, stands beside any."""
        self.days += 1
        if day.currency in ("", self.currency):
            _add(self.day, day)
        else:
            _add(self.others.setdefault(day.currency, Day(day.currency)), day)
            lines = {tariff: Line(line.watthours, unpriced=line.unpriced) for tariff, line in day.lines.items()}
            _add(self.day, Day("", lines, export=day.export, spread=day.spread))


def _add(total: Day, day: Day) -> None:
    for tariff, line in day.lines.items():
        sum_line = total.line(tariff)
        sum_line.watthours += line.watthours
        sum_line.cost += line.cost
        sum_line.unpriced += line.unpriced
    for name in ("standing", "export", "credit", "spread", "doubt"):
        setattr(total, name, getattr(total, name) + getattr(day, name))


def rows(days: Mapping[date, Day], label: Callable[[date], str], currency: str | None = None) -> list[Row]:
    """Days with the same label together, in their order. `currency`: of their costs; None: the last one of each row."""
    found: dict[str, list[Day]] = {}
    for day in sorted(days):
        found.setdefault(label(day), []).append(days[day])
    return [_row(name, together, currency) for name, together in found.items()]


def _row(label: str, days: list[Day], currency: str | None) -> Row:
    used = [day.currency for day in days if day.currency]
    row = Row(label, currency if currency is not None else used[-1] if used else "")
    row.day.currency = row.currency
    for day in days:
        row.add(day)
    return row


def money(amount: Decimal, currency: str) -> str:
    """Rounded to the smallest unit of the currency."""
    return f"{amount.quantize(_unit(currency), ROUND_HALF_UP):f}"


def _unit(currency: str) -> Decimal:
    return Decimal(1).scaleb(-digits(currency))


def kwh(watthours: Decimal) -> str:
    """Format watt-hours as kilowatt-hours with two decimals, rounded half up."""
    return f"{(watthours / 1000).quantize(Decimal('0.01'), ROUND_HALF_UP):f}"


@dataclass(frozen=True, slots=True)
class Bill:
    """What the supplier says."""

    watthours: Decimal
    amount: Decimal
    currency: str

    @classmethod
    def parse(cls, text: str) -> Bill:
        """``1234.5kWh=310.20EUR``"""
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*kWh\s*=\s*(\d+(?:\.\d+)?)\s*([A-Z]{3})\s*", text, re.ASCII)
        if not match:
            raise ValueError(f"{text!r} is not allowed; allowed: energy and amount, such as 1234.5kWh=310.20EUR")
        return cls(Decimal(match[1]) * 1000, Decimal(match[2]), match[3])


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a bill agrees with the books, and what explains the difference, a sentence each."""

    agrees: bool
    lines: tuple[str, ...]


def compare(bill: Bill, days: Mapping[date, Day], since: date, until: date) -> Verdict:
    """`days`: those from `since` to `until`, both included, that are booked."""
    currency = bill.currency
    row = next(iter(rows(days, lambda _: "", currency)), Row(""))
    if row.others and all(day.currency != currency for day in days.values()):
        return Verdict(False, (f"the bill is in {currency}, the books are in {' and '.join(row.others)}",))
    ours = row.day
    energy, cost = bill.watthours - ours.watthours, bill.amount - ours.cost
    lines = [
        f"bill  {kwh(bill.watthours):>10} kWh  {money(bill.amount, currency):>10} {currency}",
        f"here  {kwh(ours.watthours):>10} kWh  {money(ours.cost, currency):>10} {currency}",
        f"      {_signed(kwh(energy)):>10} kWh  {_signed(money(cost, currency)):>10} {currency}",
    ]
    missing = _missing(days, since, until)
    close = abs(energy) <= _rounded(ours) and abs(cost) <= ours.doubt + _unit(currency) * (len(ours.lines) + 2) + _worth(
        ours, energy
    )
    agrees = close and not missing and not ours.unpriced and not row.others
    bare = [day for day in days.values() if not day.currency]
    return Verdict(agrees, (*lines, *_gaps(row, bare, missing), *_reasons(row, energy, cost, currency)))


def _gaps(row: Row, bare: list[Day], missing: list[date]) -> Iterable[str]:
    """What the books do not know of these days. `bare`: days that were booked without tariffs."""
    if missing:
        some = ", ".join(map(str, missing[:3])) + (" …" if len(missing) > 3 else "")
        yield f"{len(missing)} of the days are not in the books ({some}): what they used is missing here, or on the day after"
    if bare:
        used = kwh(sum((day.watthours for day in bare), ZERO))
        yield f"{len(bare)} of the days were booked without tariffs: their {used} kWh are counted here, and cost nothing"
    for currency, day in row.others.items():
        yield f"some of the days cost {money(day.cost, currency)} {currency}: their {kwh(day.watthours)} kWh are counted here"
    if unpriced := row.day.unpriced - sum((day.unpriced for day in bare), ZERO):
        yield f"{kwh(unpriced)} kWh had no price here: 'tariffs' has a gap or lacks a register"


def _reasons(row: Row, energy: Decimal, cost: Decimal, currency: str) -> Iterable[str]:
    """Where a difference comes from."""
    ours = row.day
    by_energy = energy * _price(ours) / 1000
    if abs(energy) > _rounded(ours):
        yield f"energy: {_signed(kwh(energy))} kWh at {_price(ours):.4f} {currency} make {_signed(money(by_energy, currency))}"
        yield "        compare the readings on the bill with the register; other days begin or end the bill?"
    elif energy:
        rounding = _signed(money(by_energy, currency))
        yield f"energy agrees: bills count whole kilowatt-hours, which makes {rounding} {currency}"
    if ours.doubt:
        yield f"up to {money(ours.doubt, currency)} {currency} may be off: the meter was not read while a price changed"
    rest = cost - by_energy
    yield f"prices, standing charge and taxes: {_signed(money(rest, currency))} {currency}; compare with the bill:"
    for tariff, line in ours.lines.items():
        yield f"  {tariff:<12}{kwh(line.watthours):>10} kWh x {_line_price(line):>9} = {money(line.cost, currency):>9}"
    yield f"  {'standing':<12}{row.days:>10} days{'':>14} = {money(ours.standing, currency):>9}"


def _last_tier(day: Day) -> Line | None:
    """The highest tier that was used; None where prices do not go by tiers."""
    used = {number: line for name, line in day.lines.items() if line.watthours and (number := tier_number(name)) is not None}
    return used[max(used)] if used else None


def _rounded(day: Day) -> Decimal:
    """By how many watt-hours a right bill may differ: it counts whole kilowatt-hours, of each register."""
    return Decimal(_WHOLE_KWH if _last_tier(day) else _WHOLE_KWH * max(1, len(day.lines)))


def _worth(day: Day, energy: Decimal) -> Decimal:
    """What that may cost at most: one register's part of a kilowatt-hour is known, that of each of several is not."""
    if _last_tier(day) or len(day.lines) < 2:
        return abs(energy) * _price(day) / 1000
    return sum((line.cost * _WHOLE_KWH / line.watthours for line in day.lines.values() if line.watthours), ZERO)


def _price(day: Day) -> Decimal:
    """Of a kilowatt-hour more or less: that of the last tier, or the mean."""
    if last := _last_tier(day):
        return last.cost * 1000 / last.watthours
    return day.energy_cost * 1000 / day.watthours if day.watthours else ZERO


def _line_price(line: Line) -> str:
    return f"{line.cost * 1000 / line.watthours:.5f}" if line.watthours else "–"


def _signed(text: str) -> str:
    return text if text.startswith("-") else f"+{text}"


def _missing(days: Mapping[date, Day], since: date, until: date) -> list[date]:
    wanted = (since + n * ONE_DAY for n in range((until - since).days + 1))
    return [day for day in wanted if day not in days]
