"""What is written down: the lines of a local day, the sums of a billing period, the totals since ever. Decimal numbers all.

Each has a form for JSON, in which numbers are texts, so that they come back as they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any

ZERO = Decimal(0)


def number(text: str) -> Decimal:
    """One that was kept as a text; ValueError or ArithmeticError where it is none."""
    if not (found := Decimal(text)).is_finite():
        raise ValueError(f"{text} is no number")
    return found


@dataclass(slots=True)
class Line:
    """What one tariff used on a day, and cost."""

    watthours: Decimal = ZERO
    cost: Decimal = ZERO
    unpriced: Decimal = ZERO
    """Watt-hours of it that no price was known for."""


@dataclass(slots=True)
class Day:
    """One local day of a meter."""

    currency: str = ""
    lines: dict[str, Line] = field(default_factory=dict)
    standing: Decimal = ZERO
    export: Decimal = ZERO
    """Watt-hours."""
    credit: Decimal = ZERO
    spread: Decimal = ZERO
    """Watt-hours, of both directions, that were put on this day by time: nobody read the meter when it ended."""
    doubt: Decimal = ZERO
    """By how much its cost may be off at most, because of that."""
    changed: bool = True

    @property
    def watthours(self) -> Decimal:
        """Energy drawn."""
        return sum((line.watthours for line in self.lines.values()), ZERO)

    @property
    def energy_cost(self) -> Decimal:
        """What that costs."""
        return sum((line.cost for line in self.lines.values()), ZERO)

    @property
    def unpriced(self) -> Decimal:
        """Watt-hours that no price was known for."""
        return sum((line.unpriced for line in self.lines.values()), ZERO)

    @property
    def cost(self) -> Decimal:
        """Energy and standing charge."""
        return self.energy_cost + self.standing

    def line(self, tariff: str) -> Line:
        """The line of a tariff, begun where it is not there."""
        return self.lines.setdefault(tariff, Line())

    def to_json(self) -> dict[str, Any]:
        """Numbers as texts."""
        lines = {name: [str(line.watthours), str(line.cost), str(line.unpriced)] for name, line in self.lines.items()}
        rest = {name: str(getattr(self, name)) for name in _NUMBERS if getattr(self, name)}
        return {"currency": self.currency, "lines": lines, **rest}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Day:
        """What `to_json` made; KeyError, TypeError, ValueError or ArithmeticError where it is not that."""
        lines = {name: Line(*map(number, numbers)) for name, numbers in found["lines"].items()}
        rest = {name: number(found[name]) for name in _NUMBERS if name in found}
        return cls(str(found["currency"]), lines, **rest, changed=False)


_NUMBERS = ("standing", "export", "credit", "spread", "doubt")


@dataclass(slots=True)
class Sum:
    """A billing period so far."""

    watthours: Decimal = ZERO
    cost: Decimal = ZERO

    @classmethod
    def of(cls, days: Iterable[Day]) -> Sum:
        """The same from its days."""
        total = cls()
        for day in days:
            total.watthours += day.watthours
            total.cost += day.cost
        return total


@dataclass(slots=True)
class Totals:
    """Since the account began; they never fall."""

    costs: dict[str, Decimal] = field(default_factory=dict)
    """Of energy, by tariff."""
    standing: Decimal = ZERO
    credit: Decimal = ZERO
    estimated: Decimal = ZERO
    unpriced: Decimal = ZERO
    """Watt-hours that no price was known for, although there are tariffs."""

    def in_another_currency(self) -> Totals:
        """What of it is no money."""
        return Totals(unpriced=self.unpriced)

    def copy(self) -> Totals:
        """As they stand now."""
        return replace(self, costs=dict(self.costs))

    def to_json(self) -> dict[str, Any]:
        """Numbers as texts."""
        costs = {tariff: str(cost) for tariff, cost in self.costs.items()}
        return {"costs": costs, **{name: str(getattr(self, name)) for name in (*_TOTALS, *_ADDED)}}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Totals:
        """What `to_json` made."""
        costs = {tariff: number(cost) for tariff, cost in found["costs"].items()}
        rest = {name: number(found[name]) for name in _TOTALS} | {name: number(found.get(name, "0")) for name in _ADDED}
        return cls(costs, **rest)


_TOTALS = ("standing", "credit", "estimated")
_ADDED = ("unpriced",)
"""Not in what version 0.1.0 wrote."""


def days_from_json(found: Mapping[str, Mapping[str, Any]]) -> dict[date, Day]:
    """Days by their ISO dates; those that cannot be read are left out."""
    days = {}
    for text, booked in found.items():
        try:
            days[date.fromisoformat(text)] = Day.from_json(booked)
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
            continue
    return days
