"""The standing charge: every day from the one on which the account began until today has its own, once, whatever the clock did.

Where the clock turns out to have been wrong, a day that was booked by it gives its charge back. Counters never fall: the amount
stays in the total, and pays for the next days.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from meterline.billing.calendar import ONE_DAY
from meterline.billing.totals import ZERO
from meterline.history.clock import CONFIRM_S

if TYPE_CHECKING:
    from meterline.billing.account import Account


YOUNG = 7 * 86_400
"""Seconds in which the begin of an account is found anew when the clock is set."""
SET = 60
"""Seconds by which a clock that was set differs."""


class StandingCharges:
    """Books them for an account: on each of the days from `first` to `last`, and on no other."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.boot = ""
        """Which start of the machine its uptime counts from; empty where that is not known."""
        self.began_after: tuple[str, float] | None = None
        """The same when the account began, and the uptime then; None where the begin stays."""
        self.synchronised: Callable[[], bool | None] = lambda: None
        """Whether somebody keeps the clock right."""
        self.sure = False
        """The account began by a clock that was right."""
        self._looked: tuple[int, date] | None = None
        """For which begin and day this was done last."""
        self.first: date | None = None
        self.last: date | None = None
        self.ahead = ZERO
        """What the total holds of days that gave it back."""

    def find_begin(self, at: int, uptime: float | None) -> None:
        """When the account began. Until the clock is known to be right, it may have been wrong then: the begin follows it.

        While a virtual machine is held, the wall goes on, but not the uptime: that looks like a clock that was late. So once
        the clock is synchronised, which may have set it, the begin stays. Where that is not known, it soon moves back only.
        """
        account = self._account
        if not account.began:
            account.began, self.sure = at, bool(self.synchronised())
            if self.boot and uptime is not None and not self.sure:
                self.began_after = self.boot, uptime
        elif self.began_after and uptime is not None and self.began_after[0] == self.boot:
            age = uptime - self.began_after[1]
            if age >= YOUNG:
                self.began_after, account.changed = None, True
                return
            sure, late = bool(self.synchronised()), at - age - account.began
            if abs(late) >= SET and (sure or late < 0 or age <= CONFIRM_S):
                account.began, account.changed = at - int(age), True
            if sure:
                self.sure, self.began_after, account.changed = True, None, True

    def book(self, at: int) -> None:
        """Bring the days up to date: from the begin of the account to this moment."""
        account = self._account
        last = account.calendar.at(at).day
        if self._looked == (account.began, last):
            return
        self._looked, first = (account.began, last), account.calendar.day(account.began)
        if self.first is not None and self.last is not None:
            self._give_back(self.first, min(self.last, first - ONE_DAY))
            self._give_back(max(self.first, last + ONE_DAY), self.last)
        for day in _days(first, last):
            if self.first is None or self.last is None or not self.first <= day <= self.last:
                self._charge(day, account.calendar.standing(day))
        self.first, self.last = first, last

    def _charge(self, day: date, amount: Decimal) -> None:
        if amount:
            account = self._account
            account.period_of(day).cost += amount
            account.open_day(day).standing += amount
            paid = min(amount, self.ahead)
            self.ahead -= paid
            account.totals.standing += amount - paid

    def _give_back(self, since: date, until: date) -> None:
        """These days are none of the account."""
        account = self._account
        if until < since:
            return
        for day, booked in account.booked(since, until + ONE_DAY).items():
            if booked.standing and booked.currency == account.currency:
                account.period_of(day).cost -= booked.standing
                self.ahead += booked.standing
                account.open_day(day).standing = ZERO


def _days(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += ONE_DAY
