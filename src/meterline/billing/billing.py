"""The accounts of all meters: fed by what the meters say, shown on /metrics, kept in the state.

Kept is what has changed: at a meter's first reading, at each boundary (price, local day, billing period), every 15 minutes and
at the end. Counters show what has been kept, so that they never fall; the day and the billing period are shown as they stand.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from functools import partial
from itertools import chain
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from meterline import world
from meterline.billing.account import Account, History, Subject
from meterline.billing.calendar import Calendar
from meterline.billing.codec import from_json, to_json
from meterline.billing.meter_account import MeterAccount, step_and_end
from meterline.billing.tariff import Tariffs
from meterline.billing.totals import Day, days_from_json
from meterline.history.clock import CONFIRM_S, EARLIEST_UNIX, STEP_MAX_S, TrustedClock
from meterline.logs import Reminders, about
from meterline.meter.families import BILLING_FAMILIES
from meterline.meter.meter import Meter
from meterline.meter.readings import Series, Snapshot
from meterline.store import State

log = logging.getLogger("meterline")

KEEP_EVERY = 900.0
GATHER = 0.25
"""Seconds in which what many meters have to keep becomes one transaction."""
FAR = 45 * 86_400
"""Seconds since the books were open: rather a clock that is wrong than a meter that was off."""
OPEN_AGAIN = 60.0
"""Seconds until books that could not be read are tried again."""


class Starts(NamedTuple):
    """Unix time at which the local day, the billing period and the account of a meter began; None before its first reading."""

    day: int
    period: int
    account: int | None


class BillingService:
    """Books what the registers of all meters rise by, and keeps the accounts.

    `open` a meter, `take` its snapshots, `refresh` before a page, `run` beside the meters, `close` at the end.
    """

    def __init__(
        self,
        state: State,
        now: Callable[[], float] | None = None,
        uptime: Callable[[], float] | None = None,
        boot: str | None = "",
        synchronised: Callable[[], bool | None] = lambda: None,
    ) -> None:
        """`now`: Unix time. `uptime`: what jumps of it are told by; the clock of the meter where it is None.

        `boot`: which start of the machine `uptime` counts from; empty: one of its own; None: it does not count all time.
        `synchronised`: whether somebody keeps what `now` shows right; None: that is not known.
        """
        self._state = state
        self._uptime = uptime
        self._boot = secrets.token_hex(8) if boot == "" else boot or ""
        self._synchronised = synchronised
        self.now = now or world.current.now
        self._wall = TrustedClock(self.now)
        self._books: dict[str, MeterAccount] = {}
        self._later: dict[str, tuple[float, Callable[[], None]]] = {}
        """Books that could not be read yet: when to try again, and how."""
        self._due = asyncio.Event()
        self._writing: asyncio.Future[bool] | None = None
        self._reminders: dict[str, Reminders] = {}

    def open(self, meter: Meter, tariffs: Tariffs | None, zone: str, by_tariff: bool) -> None:
        """Begin the account of a meter, or go on with it.

        Args:
            meter: The meter; its counters of energy are booked.
            tariffs: Prices of the configuration; None: only energy is booked.
            zone: IANA name of the time zone of its country; `tariffs` may name another.
            by_tariff: The meter has a register for each tariff.
        """
        calendar = Calendar((tariffs and tariffs.time_zone) or ZoneInfo(zone), tariffs)
        known = self._books.get(meter.name)
        if known and known.by_tariff == by_tariff and known.account.calendar.same(calendar):
            return
        if not known and not self._state.readable():
            self._later[meter.name] = (meter.clock() + OPEN_AGAIN, lambda: self.open(meter, tariffs, zone, by_tariff))
            return
        history = partial(self._days, meter.name)
        self.forget(meter.name)
        if known:
            account = from_json(calendar, to_json(known.account), history)
            account.changed, account.due = known.account.changed, known.account.due
            same = known.account.money in ("", account.money)
            account.kept = known.account.kept if same else known.account.kept.in_another_currency()
        else:
            account = self._recall(meter.name, calendar, history)
        account.max_power_va = meter.max_power_va
        account.standing.boot, account.standing.synchronised = self._boot, self._synchronised
        book = self._books[meter.name] = MeterAccount(meter, account, by_tariff)
        now = int(self.now())
        book.show_kept(now)
        book.show_prices(now)
        if now >= EARLIEST_UNIX:
            self._say(meter, ("prices",), book.look_ahead(now))

    def account(self, meter: str) -> Account | None:
        """The account of a meter, once its registers are booked after a start."""
        book = self._books.get(meter)
        return book.account if book and book.booked else None

    def forget(self, meter: str) -> None:
        """Keep the books of a meter, and close them."""
        self._later.pop(meter, None)
        if book := self._books.pop(meter, None):
            self.keep([book])
            self._reminders.pop(meter, None)
            for family in BILLING_FAMILIES:
                book.meter.text.show(family, [])

    @property
    def due(self) -> bool:
        """Something must be kept now."""
        return self._due.is_set()

    def today(self, meter: str) -> tuple[float, float | None, str | None] | None:
        """Watt-hours drawn since local midnight, their cost and its currency; None where the meter does not bear it out."""
        book, now = self._books.get(meter), int(self.now())
        if book is None or not book.is_live(now):
            return None
        day, currency = book.account.day(now), book.account.currency
        return float(day.watthours), float(day.cost) if currency else None, currency or None

    def shown(self, meter: str) -> Iterator[tuple[Series, float]]:
        """What /metrics shows of the books of a meter, as `refresh` left it."""
        if book := self._books.get(meter):
            yield from chain.from_iterable(book.shown.values())

    def starts(self, meter: str) -> Starts | None:
        """Since when what is shown of a meter is counted; None where the meter has no books."""
        if (book := self._books.get(meter)) is None:
            return None
        account = book.account
        calendar, today = account.calendar, account.calendar.day(int(self.now()))
        return Starts(calendar.midnight(today), calendar.midnight(calendar.period(today)), account.began or None)

    def take(self, meter: Meter, snapshot: Snapshot) -> None:
        """Book what the registers of a meter rose by.

        Args:
            meter: Has taken the snapshot already: its `registers` are those that it believes.
            snapshot: Says the contract, and the steps of the registers.
        """
        book = self._books.get(meter.name) or self._open_again(meter)
        if book is None:
            return
        monotonic = self._monotonic(meter)
        if (now := self._wall.moment(monotonic)) is None:
            doubt = "this machine's clock is not set, or jumped: nothing is booked until it can be believed"
            self._say(meter, ("clock",), doubt)
            return
        self._say(meter, ("prices",), book.look_ahead(now))
        self._say(meter, ("contract",), book.compare_contract(snapshot.contract, now))
        if not (registers := book.registers()) or not self._is_time(book, now, monotonic):
            return
        account = book.account
        step, wraps_at = step_and_end(snapshot.resolution)
        moved = account.take(now, registers, meter.address, step, wraps_at, monotonic, book.resolutions(snapshot))
        book.show_live(now, moved)
        if account.due or (account.changed and account.calendar.by_tier):
            book.show_prices(now)
        if account.due:
            self._due.set()
        while account.complaints:
            self._say(meter, *account.complaints.popitem())

    def _open_again(self, meter: Meter) -> MeterAccount | None:
        at, again = self._later.get(meter.name, (math.inf, lambda: None))
        if meter.clock() >= at:
            again()
        return self._books.get(meter.name)

    def _is_time(self, book: MeterAccount, now: int, monotonic: float) -> bool:
        """Whether it can be booked now. A clock behind the books, or far ahead, is believed when it has been so for a while."""
        account = book.account
        behind, far = account.at - now > STEP_MAX_S, 0 < account.at < now - FAR and not book.booked
        if not (behind or far):
            book.doubted_since = None
            return True
        if book.doubted_since is None:
            book.doubted_since = monotonic
            what = "an earlier time than the books" if behind else "a time long after the last one in the books"
            held = f"this machine shows {what}: nothing is booked for an hour, unless its clock is set"
            self._say(book.meter, ("clock", "behind" if behind else "far"), held)
        if monotonic - book.doubted_since < CONFIRM_S:
            return False
        book.doubted_since = None
        if far:
            return True
        log.warning("the clock of this machine was ahead: costs go on at what it shows now", extra=about(book.meter.name))
        account.go_back_to(now)
        self.keep([book])
        book.forget_times()
        return True

    def refresh(self) -> None:
        """Bring what /metrics shows up to date."""
        now = int(self.now())
        for book in self._books.values():
            book.refresh(now)

    async def run(self) -> None:
        """Keep what is due, until cancelled."""
        loop = asyncio.get_running_loop()
        everything_at = loop.time() + KEEP_EVERY
        while True:
            try:
                async with asyncio.timeout_at(everything_at):
                    await self._due.wait()
                    await world.current.sleep(GATHER)
                due = [book for book in self._books.values() if book.account.due]
            except TimeoutError:
                everything_at = loop.time() + KEEP_EVERY
                due = list(self._books.values())
            self._due.clear()
            batch = [PendingWrite(book) for book in due if book.account.changed or book.account.due]
            self._writing = world.current.in_thread(self._state.book, *_rows(batch))
            self._settle(batch, await asyncio.shield(self._writing))

    async def close(self) -> None:
        """Keep everything."""
        if self._writing:
            await self._writing
        self.keep()

    def keep(self, books: Iterable[MeterAccount] | None = None) -> None:
        """Keep these now, or all."""
        if books is None:
            self._due.clear()
        every = self._books.values() if books is None else books
        batch = [PendingWrite(book) for book in every if book.account.changed or book.account.due]
        self._settle(batch, self._state.book(*_rows(batch)))

    def _settle(self, batch: list[PendingWrite], written: bool) -> None:
        now = int(self.now())
        for kept in batch:
            if kept.settle(written) and self._books.get(kept.book.meter.name) is kept.book:
                kept.book.show_kept(now)

    def _recall(self, name: str, calendar: Calendar, history: History) -> Account:
        found = self._state.account(name)
        try:
            if found is not None:
                return from_json(calendar, found, history)
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
            log.warning("what was kept of its costs cannot be read: they begin anew", extra=about(name))
        return Account(calendar, history)

    def _days(self, name: str, since: date, until: date) -> dict[date, Day]:
        return days_from_json(self._state.days(name, since.isoformat(), until.isoformat()))

    def _monotonic(self, meter: Meter) -> float:
        return self._uptime() if self._uptime else meter.clock()

    def _say(self, meter: Meter, subject: Subject, text: str | None) -> None:
        if text:
            reminders = self._reminders.setdefault(meter.name, Reminders(partial(self._monotonic, meter)))
            if reminders.due(*subject):
                log.warning("%s", text, extra=about(meter.name))


class PendingWrite:
    """The rows of one account as they stand now, on their way to the disk."""

    def __init__(self, book: MeterAccount) -> None:
        self.book = book
        book.batches += 1
        self._number = book.batches
        self.totals = book.account.totals.copy()
        self.days = book.account.closed()
        self.record = to_json(book.account)
        book.account.changed = book.account.due = False

    def settle(self, written: bool) -> bool:
        """It is on the disk: True, where nothing later is. Or it is not: it is still to be kept."""
        account = self.book.account
        if not written:
            account.changed = True
            for day in self.days.values():
                day.changed = True
        elif self._number > self.book.settled:
            self.book.settled = self._number
            account.kept, self.book.kept = self.totals, True
            account.let_go()
            return True
        return False


def _rows(batch: Iterable[PendingWrite]) -> tuple[dict[str, Any], list[tuple[str, str, dict[str, Any]]]]:
    """For the state: open books by meter, and days."""
    days = [(kept.book.meter.name, day.isoformat(), it.to_json()) for kept in batch for day, it in kept.days.items()]
    return {kept.book.meter.name: kept.record for kept in batch}, days
