"""The accounts of all meters: fed by what the meters say, shown on /metrics, kept in the state.

Kept is what has changed: at a meter's first reading, at each boundary (price, local day, billing period), every 15 minutes and
at the end. Counters show what has been kept, so that they never fall; the day and the billing period are shown as they stand.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from meterline.cost.account import Account
from meterline.cost.book import Book, decimal
from meterline.cost.calendar import ONE_DAY, Calendar
from meterline.cost.ledger import days_from_json
from meterline.cost.record import from_json, to_json
from meterline.cost.tariffs import Tariffs
from meterline.logs import about
from meterline.meter import Meter
from meterline.metrics import BOOKED
from meterline.model import Snapshot
from meterline.state import State

log = logging.getLogger("meterline")

KEEP_EVERY = 900.0
GATHER = 0.25
"""Seconds in which what many meters have to keep becomes one transaction."""
CLOCK_IS_SET = 1_735_689_600
"""2025: a machine without a battery begins in 1970."""
WRONG_CLOCK = 3600
"""Seconds: a clock that goes back further was wrong before."""


class Books:
    """`open` a meter, `take` its snapshots, `refresh` before a page, `run` beside the meters, `close` at the end."""

    def __init__(self, state: State, now: Callable[[], float] | None = None) -> None:
        self._state = state
        self.now = now or (lambda: time.time())
        self._books: dict[str, Book] = {}
        self._due = asyncio.Event()
        self._writing: asyncio.Future[bool] | None = None
        self._said: set[tuple[str, str]] = set()

    def open(self, meter: Meter, tariffs: Tariffs | None, zone: str, by_tariff: bool) -> None:
        """Begin or go on with the books of a meter. `zone`: of its country; `by_tariff`: it has a register for each tariff."""
        calendar = Calendar((tariffs and tariffs.time_zone) or ZoneInfo(zone), tariffs)
        if known := self._books.get(meter.name):
            if known.account.calendar.same(calendar):
                return
            self.forget(meter.name)
        account = from_json(calendar, to_json(known.account)) if known else self._recall(meter.name, calendar)
        self._recall_days(meter.name, account, account.at or int(self.now()))
        book = self._books[meter.name] = Book(meter, account, by_tariff)
        now = int(self.now())
        book.show_kept(now)
        book.show_prices(now)

    def account(self, meter: str) -> Account | None:
        """The account of a meter, once its registers are booked after a start."""
        book = self._books.get(meter)
        return book.account if book and book.booked else None

    def forget(self, meter: str) -> None:
        """Keep the books of a meter, and close them."""
        if book := self._books.pop(meter, None):
            self.keep([book])
            for family in BOOKED:
                book.meter.show(family, [])

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

    def take(self, meter: Meter, snapshot: Snapshot) -> None:
        """Book what the registers of a snapshot say, that the meter has taken already."""
        book, now = self._books[meter.name], int(self.now())
        if now < CLOCK_IS_SET:
            self._say(meter.name, "the clock of this machine is not set: nothing is booked until it is")
            return
        if not (registers := book.registers()):
            return
        account = book.account
        if account.at - now > WRONG_CLOCK:
            self._go_back(book, now)
        moved = account.take(now, registers, meter.address, decimal(snapshot.step), _limit(snapshot.wraps_at))
        book.show_live(now, moved)
        if account.due or (account.changed and account.calendar.by_tier):
            book.show_prices(now)
        if account.due:
            self._due.set()
        while account.complaints:
            self._say(meter.name, account.complaints.pop())

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
                    await asyncio.sleep(GATHER)
                due = [book for book in self._books.values() if book.account.due]
            except TimeoutError:
                everything_at = loop.time() + KEEP_EVERY
                due = list(self._books.values())
            self._due.clear()
            batch = [Kept(book) for book in due if book.account.changed or book.account.due]
            self._writing = loop.run_in_executor(None, self._state.book, *_rows(batch))
            self._settle(batch, await asyncio.shield(self._writing))

    async def close(self) -> None:
        """Keep everything."""
        if self._writing:
            await self._writing
        self.keep()

    def keep(self, books: Iterable[Book] | None = None) -> None:
        """Keep these now, or all."""
        if books is None:
            self._due.clear()
        every = self._books.values() if books is None else books
        batch = [Kept(book) for book in every if book.account.changed or book.account.due]
        self._settle(batch, self._state.book(*_rows(batch)))

    def _settle(self, batch: list[Kept], written: bool) -> None:
        now = int(self.now())
        for kept in batch:
            kept.settle(written)
            if written:
                kept.book.show_kept(now)

    def _recall(self, name: str, calendar: Calendar) -> Account:
        account = Account(calendar)
        found = self._state.account(name)
        try:
            if found is not None:
                account = from_json(calendar, found)
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
            log.warning("what was kept of its costs cannot be read: they begin anew", extra=about(name))
        return account

    def _recall_days(self, name: str, account: Account, moment: int) -> None:
        """What the account does not hold itself."""
        stretch = account.calendar.at(moment)
        if stretch.period not in account.periods:
            since = min(stretch.period, stretch.day - ONE_DAY)
            account.recall(days_from_json(self._state.days(name, since.isoformat())), moment)

    def _go_back(self, book: Book, now: int) -> None:
        log.warning("the clock of this machine was ahead: costs go on at what it shows now", extra=about(book.meter.name))
        book.account.go_back_to(now)
        self.keep([book])
        self._recall_days(book.meter.name, book.account, now)

    def _say(self, name: str, text: str) -> None:
        if (name, text) not in self._said:
            self._said.add((name, text))
            log.warning("%s", text, extra=about(name))


class Kept:
    """What is written of one account, as it stands now."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.totals = book.account.totals.copy()
        self.days = book.account.closed()
        self.record = to_json(book.account)
        book.account.changed = book.account.due = False

    def settle(self, written: bool) -> None:
        """It is on the disk: show it. Or it is not: it is still to be kept."""
        account = self.book.account
        if written:
            account.kept, self.book.kept = self.totals, True
            account.let_go()
            return
        account.changed = True
        for day in self.days.values():
            day.changed = True


def _rows(batch: Iterable[Kept]) -> tuple[dict[str, Any], list[tuple[str, str, dict[str, Any]]]]:
    """For the state: open books by meter, and days."""
    days = [(kept.book.meter.name, day.isoformat(), it.to_json()) for kept in batch for day, it in kept.days.items()]
    return {kept.book.meter.name: kept.record for kept in batch}, days


def _limit(wraps_at: float) -> Decimal | None:
    return None if math.isinf(wraps_at) else decimal(wraps_at)
