"""Booked days as a table, and compared with a bill. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from meterline.cost.calendar import ONE_DAY
from meterline.cost.ledger import ZERO, Day, Line
from meterline.cost.tariffs import WITHOUT_CENTS

_WHOLE_KWH = 1000
"""Watt-hours: bills count whole kilowatt-hours."""


@dataclass(slots=True)
class Row:
    """Some days together."""

    label: str
    days: int = 0
    day: Day = field(default_factory=Day)

    def add(self, day: Day) -> None:
        """One more day."""
        self.days += 1
        total = self.day
        total.currency = day.currency or total.currency
        for tariff, line in day.lines.items():
            sum_line = total.line(tariff)
            sum_line.watthours += line.watthours
            sum_line.cost += line.cost
            sum_line.unpriced += line.unpriced
        for name in ("standing", "export", "credit", "spread", "doubt"):
            setattr(total, name, getattr(total, name) + getattr(day, name))


def rows(days: Mapping[date, Day], label: Callable[[date], str]) -> list[Row]:
    """Days with the same label together, in their order; those in another currency apart."""
    found: dict[tuple[str, str], Row] = {}
    for day in sorted(days):
        key = label(day), days[day].currency
        found.setdefault(key, Row(key[0])).add(days[day])
    return list(found.values())


def money(amount: Decimal, currency: str) -> str:
    """Rounded to the smallest unit of the currency."""
    return f"{amount.quantize(_unit(currency), ROUND_HALF_UP):f}"


def _unit(currency: str) -> Decimal:
    return Decimal(1) if currency in WITHOUT_CENTS else Decimal("0.01")


def kwh(watthours: Decimal) -> str:
    """Kilowatt-hours with a comma's worth of what a bill shows."""
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
    found = rows(days, lambda _: "") or [Row("")]
    row, currency = next((row for row in found if row.day.currency == bill.currency), found[0]), bill.currency
    ours = row.day
    energy, cost = bill.watthours - ours.watthours, bill.amount - ours.cost
    tolerance = ours.doubt + _unit(currency) * (len(ours.lines) + 2)
    lines = [
        f"bill  {kwh(bill.watthours):>10} kWh  {money(bill.amount, currency):>10} {currency}",
        f"here  {kwh(ours.watthours):>10} kWh  {money(ours.cost, currency):>10} {currency}",
        f"      {_signed(kwh(energy)):>10} kWh  {_signed(money(cost, currency)):>10} {currency}",
    ]
    missing = _missing(days, since, until)
    close = abs(energy) <= _WHOLE_KWH and abs(cost) <= tolerance + _price(ours) * abs(energy) / 1000
    agrees = close and not missing and not ours.unpriced and len(found) == 1
    if ours.currency not in ("", currency):
        return Verdict(False, (f"the bill is in {currency}, the books are in {ours.currency}",))
    return Verdict(agrees, (*lines, *_reasons(row, energy, cost, currency, missing)))


def _reasons(row: Row, energy: Decimal, cost: Decimal, currency: str, missing: list[date]) -> Iterable[str]:
    """Where a difference comes from."""
    ours = row.day
    if missing:
        some = ", ".join(map(str, missing[:3])) + (" …" if len(missing) > 3 else "")
        yield f"{len(missing)} of the days are not in the books ({some}): what they used is missing here, or on the day after"
    by_energy = energy * _price(ours) / 1000
    if abs(energy) > _WHOLE_KWH:
        yield f"energy: {_signed(kwh(energy))} kWh at {_per_kwh(ours)} {currency} make {_signed(money(by_energy, currency))}"
        yield "        compare the readings on the bill with the register; other days begin or end the bill?"
    elif energy:
        rounding = _signed(money(by_energy, currency))
        yield f"energy agrees: bills count whole kilowatt-hours, which makes {rounding} {currency}"
    if ours.unpriced:
        yield f"{kwh(ours.unpriced)} kWh had no price here: 'tariffs' has a gap or lacks a register"
    if ours.doubt:
        yield f"up to {money(ours.doubt, currency)} {currency} may be off: the meter was not read while a price changed"
    rest = cost - by_energy
    yield f"prices, standing charge and taxes: {_signed(money(rest, currency))} {currency}; compare with the bill:"
    for tariff, line in ours.lines.items():
        yield f"  {tariff:<12}{kwh(line.watthours):>10} kWh x {_line_price(line):>9} = {money(line.cost, currency):>9}"
    yield f"  {'standing':<12}{row.days:>10} days{'':>14} = {money(ours.standing, currency):>9}"


def _price(day: Day) -> Decimal:
    """Mean price of a kilowatt-hour."""
    return day.energy_cost * 1000 / day.watthours if day.watthours else ZERO


def _per_kwh(day: Day) -> str:
    return f"{_price(day):.4f}"


def _line_price(line: Line) -> str:
    return f"{line.cost * 1000 / line.watthours:.5f}" if line.watthours else "–"


def _signed(text: str) -> str:
    return text if text.startswith("-") else f"+{text}"


def _missing(days: Mapping[date, Day], since: date, until: date) -> list[date]:
    wanted = (since + n * ONE_DAY for n in range((until - since).days + 1))
    return [day for day in wanted if day not in days]
