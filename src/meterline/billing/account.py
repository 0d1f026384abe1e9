"""The engine: a register of the meter rose, so book it. Pure: moments and registers come in, nothing goes out.

cost       rise of the register x the price that held while it rose
gap        what rose while nobody read the meter is booked when it is read again: on a register with one price at that price,
           otherwise spread by time, in whole steps of the register; by how much that can be off is counted
counters   never fall: only totals that have been kept are shown (`kept`), so that no restart can show less
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import TypeAlias

from meterline.billing.calendar import ONE_DAY, Calendar, Stretch
from meterline.billing.mark import Mark
from meterline.billing.pricing import EXPORT, doubtful, lines, names, spread, tier_name
from meterline.billing.standing_charge import StandingCharges
from meterline.billing.tariff import WHOLE, Terms
from meterline.billing.totals import ZERO, Day, Sum, Totals
from meterline.meter.plausibility import DEFAULT_MAX_POWER_VA

History: TypeAlias = Callable[[date, date], dict[date, Day]]
Subject: TypeAlias = tuple[str, ...]
"""The kind of what is said or kept, and what it is about. However its numbers change, it is the same."""

GAP = 600
"""Seconds without a reading."""
FORGOTTEN = 3600
"""Seconds that a register is not read while others are."""
DAYS_KEPT = 2
"""Days that stay open: today, and yesterday for a register that is read late."""


class Account:
    """The books of one meter. `take` what its registers say; `due` says that a boundary was passed and must be kept."""

    def __init__(self, calendar: Calendar, history: History = lambda since, until: {}) -> None:
        """`history`: days that are kept elsewhere, from one on, before another."""
        self.calendar, self._history = calendar, history
        self.currency = calendar.tariffs.currency if calendar.tariffs else ""
        self.max_power_va = DEFAULT_MAX_POWER_VA
        """The highest power that the rise of a register may imply."""
        self.address: str | None = None
        self.began = self.at = 0
        self.marks: dict[str, Mark] = {}
        self.days: dict[date, Day] = {}
        self.periods: dict[date, Sum] = {}
        self.totals = Totals()
        self.kept = Totals()
        self.due = False
        self.changed = False
        self.complaints: dict[Subject, str] = {}
        """What a person should know, in words; whoever reads them takes them out."""
        self._resumed = 0
        """Since when it is read without a gap."""
        self._waiting: set[str] = set()
        """Registers that rose faster than they can."""
        self.money = self.currency
        """Currency of the totals: they stay while there are no prices."""
        self.standing = StandingCharges(self)
        self._kept_for: dict[Subject, int] = {}
        """Why it was asked to keep out of turn → when."""

    def take(
        self,
        at: int,
        registers: Mapping[str, Decimal],
        address: str | None = None,
        step: Decimal = Decimal(1),
        wraps_at: Decimal | None = None,
        uptime: float | None = None,
        resolutions: Mapping[str, tuple[Decimal, Decimal | None]] = MappingProxyType({}),
    ) -> bool:
        """What the registers (watt-hours) stand at; True where something is to be booked.

        A clock that went back stands still here until it is there again. `uptime`: seconds by one that does not jump.
        `resolutions`: step and end of the registers that have others than `step` and `wraps_at`.
        """
        self.standing.find_begin(at, uptime)
        at, moved = max(at, self.at), False
        now = at if uptime is None else uptime
        if at - self.at > GAP:
            self._resumed = at
        same_meter = self._is_same(address)
        if self.at and self.calendar.at(self.at).end <= at:
            self.due = moved = True
        usual = step, wraps_at
        for register, value in registers.items():
            step, wraps_at = resolutions.get(register, usual)
            mark = self.marks.get(register)
            if mark is None:
                self.marks[register] = Mark(value, at, now)
                self.changed = moved = True
                self._keep_soon(("new", register), at)
                continue
            if value != mark.value:
                rise = mark.rise(value, wraps_at)
                sudden = mark.sudden(rise, at, now, step, self.max_power_va)
                if sudden and same_meter and value > mark.value and mark.read is None:
                    self._wait(register, rise)
                    continue
                if rise < 0 or sudden:
                    self._begin_anew(register, mark, value, at)
                else:
                    self._book(register, rise, mark.at, at, step)
                mark.value = value
                self.changed = moved = True
            mark.at, mark.read = at, now
            self._waiting.discard(register)
        self._drop_unread(at)
        self.standing.book(at)
        self.at = at
        return moved

    def day(self, moment: int) -> Day:
        """The local day of a moment, as far as it is booked."""
        return self.days.get(self.calendar.at(moment).day) or Day(self.currency)

    def period(self, moment: int) -> Sum:
        """Its billing period."""
        return self._period(self.calendar.at(moment).period)

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
        known = terms.period.registers or [register for register in self.marks if register != EXPORT]
        priced = {register: terms.register_price(register) for register in known}
        return {register: price for register, price in priced.items() if price is not None}

    def kept_costs(self, moment: int) -> dict[str, Decimal]:
        """Tariff → what its energy has cost, as kept: 0 for one that has not been used yet."""
        terms = self.calendar.at(moment).terms
        return dict.fromkeys(names(terms, self.marks), ZERO) | self.kept.costs if terms else self.kept.costs

    def go_back_to(self, at: int) -> None:
        """The clock was wrong: what comes next is booked from this moment on, which may be long before the last one."""
        self.at, self.changed = at, True
        if not self.standing.sure:
            self.began = min(self.began, at)
        for mark in self.marks.values():
            mark.at = min(mark.at, at)
        self._resumed = min(self._resumed, at)
        self._kept_for.clear()
        self.periods.clear()

    def closed(self) -> dict[date, Day]:
        """Days other than today that have changed since this was asked last."""
        today = self.calendar.at(self.at).day
        changed = {day: booked for day, booked in self.days.items() if booked.changed and day != today}
        for booked in changed.values():
            booked.changed = False
        return changed

    def let_go(self) -> None:
        """Days and billing periods that are over, and kept, leave the account."""
        today = self.calendar.at(self.at).day
        over = [day for day in self.days if not today - DAYS_KEPT * ONE_DAY < day <= today]
        for day in over:
            if not self.days[day].changed:
                del self.days[day]
        for period in sorted(self.periods)[:-2]:
            del self.periods[period]

    def _wait(self, register: str, rise: Decimal) -> None:
        """By this clock, which is late, it cannot have risen so."""
        if register not in self._waiting:
            self._waiting.add(register)
            what = f"register {register} rose by {rise} Wh: booked when this machine's clock allows for it"
            self.complaints["waits", register] = what

    def _begin_anew(self, register: str, mark: Mark, value: Decimal, at: int) -> None:
        """It fell, or rose as no register can."""
        what = f"register {register} went from {mark.value} to {value} Wh: it is billed from there on"
        self.complaints["begins anew", register] = what
        mark.fell = mark.fell or value < mark.value
        self._keep_soon(("begins anew", register), at)

    def _keep_soon(self, why: Subject, at: int) -> None:
        """Where a register begins is kept at once, so that a kill loses nothing; one that flips costs no commit each time."""
        if at - self._kept_for.get(why, at - GAP) >= GAP:
            self._kept_for[why] = at
            self.due = True

    def _drop_unread(self, at: int) -> None:
        """A register that is not there any more, while others are: a meter in another mode counts the same on others."""
        for register, mark in list(self.marks.items()):
            unread = at - max(mark.at, self._resumed) > FORGOTTEN
            if unread and register not in (EXPORT, WHOLE, *self._waiting):
                del self.marks[register]

    def _is_same(self, address: str | None) -> bool:
        """Whether it is surely the meter of the last reading. Another one begins anew, without losing what was booked."""
        if address is None:
            return False
        if self.address not in (None, address):
            self.complaints[("another meter",)] = "another meter answers: its registers are billed from here on"
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
                    self.open_day(stretch.day).spread += part
        if doubt := doubtful(register, passed, rise, cost):
            self.totals.estimated += doubt
            self.open_day(stretches[-1].day).doubt += doubt

    def open_day(self, day: date) -> Day:
        """A day to book something on."""
        booked = self.days.get(day)
        if booked is None:
            booked = self.days[day] = self._history(day, day + ONE_DAY).get(day) or Day()
        booked.currency = booked.currency or self.currency
        booked.changed = self.changed = True
        return booked

    def booked(self, since: date, until: date) -> dict[date, Day]:
        """Days from one on, before another."""
        return self._history(since, until) | {day: booked for day, booked in self.days.items() if since <= day < until}

    def period_of(self, day: date) -> Sum:
        """The billing period that holds a day."""
        return self._period(self.calendar.period(day))

    def _period(self, start: date) -> Sum:
        if start not in self.periods:
            days = self.booked(start, self.calendar.period_end(start)).values()
            self.periods[start] = Sum.of(booked for booked in days if booked.currency in ("", self.currency))
        return self.periods[start]

    def _use(self, register: str, stretch: Stretch, watthours: Decimal) -> Decimal:
        """Book energy that was drawn; its cost."""
        period = self._period(stretch.period)
        cost = ZERO
        for tariff, part, price in lines(register, stretch, watthours, period.watthours):
            line = self.open_day(stretch.day).line(tariff)
            line.watthours += part
            if price is None:
                line.unpriced += part
                if self.calendar.tariffs:
                    self.totals.unpriced += part
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
        day = self.open_day(stretch.day)
        credit = watthours * stretch.terms.period.feed_in / 1000 if stretch.terms else ZERO
        day.export += watthours
        day.credit += credit
        self.totals.credit += credit
        return credit

    def _complain_of_price(self, register: str, terms: Terms | None) -> None:
        where = f"in the period since {terms.period.since}" if terms else "today"
        what = f"tariffs: register {register} has no price {where}: its energy is counted, not its cost"
        self.complaints["no price", register, str(terms and terms.period.since)] = what
