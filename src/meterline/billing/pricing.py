"""A rise of a register, cut by time and by price."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal

from meterline.billing.calendar import Stretch
from meterline.billing.tariff import Terms
from meterline.billing.totals import ZERO

EXPORT = "EXPORT"
"""What is fed in, among the registers."""


def spread(rise: Decimal, edges: Iterable[int], since: int, at: int, step: Decimal) -> list[Decimal]:
    """A rise cut at the edges, by time, in whole steps of the register; the parts add up to it exactly."""
    parts, given = [], ZERO
    for edge in edges:
        until_here = rise * (edge - since) / (at - since) // step * step
        parts.append(until_here - given)
        given = until_here
    return [*parts, rise - given]


def tier_name(number: int) -> str:
    """Its name as a tariff: they are counted from 0 inside, from 1 outside."""
    return f"tier{number + 1}"


def tier_number(name: str) -> int | None:
    """The same back; None where it is no name of a tier."""
    found = re.fullmatch(r"tier([1-9]\d*)", name, re.ASCII)
    return int(found[1]) - 1 if found else None


def lines(register: str, stretch: Stretch, watthours: Decimal, used: Decimal) -> Iterable[tuple[str, Decimal, Decimal | None]]:
    """Tariff, watt-hours and price of a kilowatt-hour; several where a tier was filled. `used`: in the period before."""
    terms = stretch.terms
    if terms is None:
        return [(register, watthours, None)]
    if stretch.rate:
        return [(stretch.rate.name, watthours, terms.full(stretch.rate.price))]
    if terms.period.tiers:
        return _tiers(terms, watthours, used)
    return [(register, watthours, terms.register_price(register))]


def _tiers(terms: Terms, watthours: Decimal, used: Decimal) -> list[tuple[str, Decimal, Decimal | None]]:
    found: list[tuple[str, Decimal, Decimal | None]] = []
    tiers = terms.period.tiers or ()
    while watthours:
        number = terms.tier(used)
        limit = tiers[number].up_to
        part = watthours if limit is None else min(watthours, limit * 1000 - used)
        found.append((tier_name(number), part, terms.full(tiers[number].price)))
        used, watthours = used + part, watthours - part
    return found


def names(terms: Terms, registers: Iterable[str]) -> list[str]:
    """The tariffs that a meter with these registers can be billed by."""
    if terms.period.times:
        return [rate.name for rate in terms.period.times]
    if terms.period.tiers:
        return [tier_name(number) for number in range(len(terms.period.tiers))]
    return [register for register in registers if register != EXPORT and terms.register_price(register) is not None]


def doubtful(register: str, stretches: Sequence[Stretch], rise: Decimal, cost: Decimal) -> Decimal:
    """By how much the cost of a rise that was spread over stretches may be off at most."""
    if all(stretch.same_price(stretches[0]) for stretch in stretches):
        return ZERO
    prices = [price for stretch in stretches for price in _possible(stretch, register)]
    tiered = any(stretch.terms is not None and stretch.terms.period.tiers for stretch in stretches)
    if tiered and stretches[0].period != stretches[-1].period:
        # What is booked in the wrong billing period also moves what comes later there to another tier.
        return rise * (max(prices) - min(prices)) / 1000
    return max(cost - rise * min(prices) / 1000, rise * max(prices) / 1000 - cost)


def _possible(stretch: Stretch, register: str) -> list[Decimal]:
    """What a kilowatt-hour may cost on a stretch."""
    terms = stretch.terms
    if terms is None:
        return [ZERO]
    if register == EXPORT:
        return [terms.period.feed_in]
    if stretch.rate:
        return [terms.full(stretch.rate.price)]
    return terms.every_price() or [terms.register_price(register) or ZERO]
