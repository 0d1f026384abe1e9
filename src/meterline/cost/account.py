"""The engine: a register of the meter rose, so book it. Pure: moments and registers come in, nothing goes out.

cost       rise of the register x the price that held while it rose
gap        what rose while nobody read the meter is booked when it is read again: on a register with one price at that price,
           otherwise spread by time, in whole steps of the register; by how much that can be off is counted
counters   never fall: only totals that have been kept are shown (`kept`), so that no restart can show less
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from meterline.cost.calendar import ONE_DAY, Calendar, Stretch
from meterline.cost.ledger import ZERO, Day, Sum, Totals, number
from meterline.cost.pricing import EXPORT, doubtful, lines, names, spread, tier_name
from meterline.cost.tariffs import WHOLE, Terms
from meterline.registers import HIGHEST_POWER, MARGIN, SLACK

DAYS_KEPT = 2
"""Days that stay open: today, and yesterday for a register that is read late."""
YEAR_3000 = 32_503_680_000


@dataclass(slots=True)
class Mark:
    """Where a register stood, and when it was read last."""

    value: Decimal
    at: int


class Account:
    """The books of one meter. `take` what its registers say; `due` says that a boundary was passed and must be kept."""

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        self.currency = calendar.tariffs.currency if calendar.tariffs else ""
        self.address: str | None = None
        self.at = 0
        self.marks: dict[str, Mark] = {}
        self.days: dict[date, Day] = {}
        self.periods: dict[date, Sum] = {}
        self.totals = Totals()
        self.kept = Totals()
        self.due = False
        self.changed = False
        self.complaints: list[str] = []
        """What a person should know, in words; whoever reads them takes them out."""
        self._charged: date | None = None
        """Last day whose standing charge is booked."""
        self._unpriced: set[tuple[str, date | None]] = set()

    def take(
        self,
        at: int,
        registers: Mapping[str, Decimal],
        address: str | None = None,
        step: Decimal = Decimal(1),
        wraps_at: Decimal | None = None,
    ) -> bool:
        """What the registers (watt-hours) stand at; True where something is to be booked.

        A clock that went back stands still here until it is there again.
        """
        at, moved = max(at, self.at), False
        same_meter = self._is_same(address)
        if self.at and self.calendar.at(self.at).end <= at:
            self.due = moved = True
        for register, value in registers.items():
            mark = self.marks.get(register)
            if mark is None:
                self.marks[register] = Mark(value, at)
                self.due = moved = True
                continue
            if value != mark.value:
                rise = _rise(mark, value, at, same_meter, step, wraps_at)
                if rise is None:
                    self.complaints.append(
                        f"register {register} went from {mark.value} to {value} Wh: it is billed from there on"
                    )
                else:
                    self._book(register, rise, mark.at, at, step)
                mark.value = value
                self.changed = moved = True
            mark.at = at
        self._charge(at)
        self.at = at
        return moved

    def day(self, moment: int) -> Day:
        """The local day of a moment, as far as it is booked."""
        return self.days.get(self.calendar.at(moment).day) or Day(self.currency)

    def period(self, moment: int) -> Sum:
        """Its billing period."""
        return self.periods.get(self.calendar.at(moment).period) or Sum()

    def prices(self, moment: int) -> dict[str, Decimal]:
        """Tariff → what a kilowatt-hour costs now."""
        stretch = self.calendar.at(moment)
        terms = stretch.terms
        if terms is None:
            return {}
        if stretch.rate:
            return {stretch.rate.name: terms.full(stretch.rate.price)}
        if terms.period.tiers:
            number = terms.tier(self.period(moment).watthours)
            return {tier_name(number): terms.full(terms.period.tiers[number].price)}
        known = terms.period.registers or [register for register in self.marks if register != EXPORT] or [WHOLE]
        priced = {register: terms.register_price(register) for register in known}
        return {register: price for register, price in priced.items() if price is not None}

    def kept_costs(self, moment: int) -> dict[str, Decimal]:
        """Tariff → what its energy has cost, as kept: 0 for one that has not been used yet."""
        terms = self.calendar.at(moment).terms
        return dict.fromkeys(names(terms, self.marks), ZERO) | self.kept.costs if terms else self.kept.costs

    def go_back_to(self, at: int) -> None:
        """The clock was wrong: what comes next is booked from this moment on, which may be long before the last one."""
        self.at, self.changed = at, True
        for mark in self.marks.values():
            mark.at = min(mark.at, at)
        self._charged = self._charged and min(self._charged, self.calendar.at(at).day)
        self.periods.clear()

    def recall(self, days: Mapping[date, Day], moment: int) -> None:
        """What was booked before, where it is not known any more: the days that stay open, and this billing period."""
        here = self.calendar.at(moment)
        for day, booked in days.items():
            if day not in self.days and day > here.day - DAYS_KEPT * ONE_DAY:
                self.days[day] = booked
        if here.period not in self.periods:
            all_days, end = {**days, **self.days}, self.calendar.period_end(here.period)
            self.periods[here.period] = Sum.of(booked for day, booked in all_days.items() if here.period <= day < end)

    def closed(self) -> dict[date, Day]:
        """Days other than today that have changed since this was asked last; days that are over leave the account."""
        today = self.calendar.at(self.at).day
        changed = {day: booked for day, booked in self.days.items() if booked.changed and day != today}
        for booked in changed.values():
            booked.changed = False
        for day in [day for day in self.days if not today - DAYS_KEPT * ONE_DAY < day <= today]:
            del self.days[day]
        for period in sorted(self.periods)[:-2]:
            del self.periods[period]
        return changed

    def _is_same(self, address: str | None) -> bool:
        """Whether it is surely the meter of the last reading. Another one begins anew, without losing what was booked."""
        if address is None:
            return False
        if self.address not in (None, address):
            self.complaints.append("another meter answers: its registers are billed from here on")
            self.marks.clear()
        same, self.address = address == self.address, address
        return same

    def _book(self, register: str, rise: Decimal, since: int, at: int, step: Decimal) -> None:
        passed = list(self.calendar.stretches(since, at))
        # What rose on days that are closed is booked on the oldest that may still be open.
        oldest = self.calendar.at(self.at).day - (DAYS_KEPT - 1) * ONE_DAY
        stretches = [stretch for stretch in passed if stretch.day >= oldest]
        parts = spread(rise, [stretch.end for stretch in stretches[:-1]], since, at, step)
        write = self._feed_in if register == EXPORT else self._use
        cost = ZERO
        for stretch, part in zip(stretches, parts, strict=True):
            if part:
                cost += write(register, stretch, part)
                if passed[0].day != passed[-1].day:
                    self._open(stretch.day).spread += part
        if doubt := doubtful(register, passed, rise, cost):
            self.totals.estimated += doubt
            self._open(stretches[-1].day).doubt += doubt

    def _open(self, day: date) -> Day:
        booked = self.days.setdefault(day, Day(self.currency))
        booked.changed = self.changed = True
        return booked

    def _use(self, register: str, stretch: Stretch, watthours: Decimal) -> Decimal:
        """Book energy that was drawn; its cost."""
        period = self.periods.setdefault(stretch.period, Sum())
        cost = ZERO
        for tariff, part, price in lines(register, stretch, watthours, period.watthours):
            line = self._open(stretch.day).line(tariff)
            line.watthours += part
            if price is None:
                line.unpriced += part
                self._complain_of_price(register, stretch.terms)
                continue
            line.cost += part * price / 1000
            self.totals.costs[tariff] = self.totals.costs.get(tariff, ZERO) + part * price / 1000
            cost += part * price / 1000
        period.watthours += watthours
        period.cost += cost
        return cost

    def _feed_in(self, register: str, stretch: Stretch, watthours: Decimal) -> Decimal:
        """Book energy that was fed in; its credit."""
        day = self._open(stretch.day)
        credit = watthours * stretch.terms.period.feed_in / 1000 if stretch.terms else ZERO
        day.export += watthours
        day.credit += credit
        self.totals.credit += credit
        return credit

    def _charge(self, at: int) -> None:
        """Book the standing charge of every day up to today, once."""
        today = self.calendar.at(at).day
        day = self._charged or today - ONE_DAY
        while day < today:
            day += ONE_DAY
            if amount := self.calendar.standing(day):
                self._open(day).standing += amount
                self.totals.standing += amount
                self.periods.setdefault(self.calendar.period(day), Sum()).cost += amount
        self._charged = day

    def _complain_of_price(self, register: str, terms: Terms | None) -> None:
        if self.calendar.tariffs and (key := (register, terms.since if terms else None)) not in self._unpriced:
            self._unpriced.add(key)
            where = f"in the period since {terms.period.since}" if terms else "today"
            self.complaints.append(f"tariffs: register {register} has no price {where}: its energy is counted, not its cost")

    def to_json(self) -> dict[str, Any]:
        """Everything, as it stands now."""
        return {
            "currency": self.currency,
            "address": self.address,
            "at": self.at,
            "charged": self._charged and self._charged.isoformat(),
            "registers": {register: [str(mark.value), mark.at] for register, mark in self.marks.items()},
            "days": {day.isoformat(): booked.to_json() for day, booked in self.days.items()},
            "periods": {day.isoformat(): [str(total.watthours), str(total.cost)] for day, total in self.periods.items()},
            "totals": self.totals.to_json(),
        }

    @classmethod
    def from_json(cls, calendar: Calendar, found: Mapping[str, Any]) -> Account:
        """What `to_json` made; KeyError, TypeError, ValueError, AttributeError or ArithmeticError where it is not that.

        Costs in another currency stay in the days of then; a billing period that begins on another day is not recalled.
        """
        account = cls(calendar)
        account.address, account.at = found["address"], int(found["at"])
        account._charged = found["charged"] and date.fromisoformat(found["charged"])
        account.marks = {register: Mark(number(value), int(at)) for register, (value, at) in found["registers"].items()}
        if not max((mark.at for mark in account.marks.values()), default=0) <= account.at < YEAR_3000:
            raise ValueError("not a time at which registers were read")
        # A day that stands only here becomes one of its own when it is over, also where nothing is added to it any more.
        days = {date.fromisoformat(day): Day.from_json(booked) for day, booked in found["days"].items()}
        account.days = {day: replace(booked, changed=True) for day, booked in days.items()}
        if found["currency"] == account.currency:
            account.totals = Totals.from_json(found["totals"])
            account.periods = {
                date.fromisoformat(day): Sum(number(watthours), number(cost))
                for day, (watthours, cost) in found["periods"].items()
                if calendar.period(date.fromisoformat(day)) == date.fromisoformat(day)
            }
        account.kept = account.totals.copy()
        return account


def _rise(mark: Mark, value: Decimal, at: int, same_meter: bool, step: Decimal, wraps_at: Decimal | None) -> Decimal | None:
    """By how much a register rose; None where it is not the same register any more."""
    rise = value - mark.value
    most = SLACK * step + Decimal(MARGIN * HIGHEST_POWER) * (at - mark.at + 1) / 3600
    if rise < 0 and wraps_at is not None:
        rise += wraps_at
        return rise if 0 <= rise <= most else None
    return rise if rise >= 0 and (same_meter or rise <= most) else None
