"""When which price holds. Time is cut into stretches on which nothing changes: one local day, one set of terms, one rate.

Moments are whole seconds of Unix time; days begin at local midnight, so that one has 23 or 25 hours when the clock changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from meterline.billing.tariff import Rate, Tariffs, Terms
from meterline.billing.time_conditions import DAY

ONE_DAY = timedelta(days=1)
FARTHEST = 400
"""Days that are searched for the next change of a price: a season comes back within a year."""


class Stretch(NamedTuple):
    """From `start` to `end`, without it."""

    start: int
    end: int
    day: date
    period: date
    """First day of the billing period."""
    terms: Terms | None
    """None: no price is known."""
    rate: Rate | None
    """With prices by time of use."""

    def same_price(self, other: Stretch) -> bool:
        """Whether a kilowatt-hour costs the same on both, whatever was used before."""
        tiered = self.terms is not None and self.terms.period.tiers is not None
        return self.terms == other.terms and self.rate == other.rate and (self.period == other.period or not tiered)


class Calendar:
    """The stretches of one contract; without `tariffs` days and months only."""

    def __init__(self, zone: ZoneInfo, tariffs: Tariffs | None = None) -> None:
        self.zone, self.tariffs = zone, tariffs
        self.reading_day = tariffs.reading_day if tariffs else 1
        self._last: Stretch | None = None
        self.by_tier = tariffs is not None and any(period.tiers for period in tariffs.periods)
        """A price may change with every kilowatt-hour."""

    def same(self, other: Calendar) -> bool:
        """Whether nothing is different on it."""
        return (self.zone, self.tariffs) == (other.zone, other.tariffs)

    def at(self, moment: int) -> Stretch:
        """The stretch that holds the moment."""
        if self._last is None or not self._last.start <= moment < self._last.end:
            self._last = self._find(moment)
        return self._last

    def stretches(self, start: int, end: int) -> Iterator[Stretch]:
        """All from `start` to `end`, at least one."""
        stretch = self.at(start)
        yield stretch
        while stretch.end < end:
            stretch = self.at(stretch.end)
            yield stretch

    def day(self, moment: int) -> date:
        """The local day."""
        return datetime.fromtimestamp(moment, self.zone).date()

    def midnight(self, day: date) -> int:
        """When a local day begins."""
        return int(datetime.combine(day, time(), self.zone).timestamp())

    def period(self, day: date) -> date:
        """First day of the billing period that holds the day."""
        return period_of(day, self.reading_day)

    def period_end(self, start: date) -> date:
        """First day of the next billing period."""
        return _reading(start.year, start.month + 1, self.reading_day)

    def standing(self, day: date) -> Decimal:
        """What is due for a day without consumption. The days of a billing period add up to exactly its month's amount."""
        terms = self.tariffs.on(day) if self.tariffs else None
        standing = terms.period.standing if terms else None
        if terms is None or standing is None:
            return Decimal(0)
        if standing.per == "day":
            return standing.amount * terms.standing_factor
        start = self.period(day)
        days, before = (self.period_end(start) - start).days, (day - start).days
        return (_share(standing.amount, before + 1, days) - _share(standing.amount, before, days)) * terms.standing_factor

    def change_after(self, moment: int) -> int | None:
        """When the price changes next; None where nothing says that it does."""
        now = self.at(moment)
        if self.tariffs is None:
            return None
        if now.terms is not None and (now.rate or now.terms.period.tiers):
            end = self.midnight(now.day + FARTHEST * ONE_DAY)
            stretches = self.stretches(moment, end)
            return next((stretch.start for stretch in stretches if not stretch.same_price(now)), None)
        change = self.tariffs.change_after(now.day)
        return self.midnight(change) if change else None

    def _find(self, moment: int) -> Stretch:
        day = self.day(moment)
        start, end = self.midnight(day), self.midnight(day + ONE_DAY)
        terms = self.tariffs.on(day) if self.tariffs else None
        rate = None
        if self.tariffs and terms and terms.period.times:
            edges = self._edges(day, terms.period.times, start, end)
            start = max(edge for edge in edges if edge <= moment)
            end = min(edge for edge in edges if edge > moment)
            rate = self._rate(start, terms.period.times, self.tariffs)
        return Stretch(start, end, day, self.period(day), terms, rate)

    def _edges(self, day: date, rates: tuple[Rate, ...], start: int, end: int) -> set[int]:
        """Moments of a day at which a rate may begin: an hour that comes twice does so twice."""
        minutes = {int(self.tariffs.day_start) if self.tariffs else 0}
        minutes |= {edge % DAY for rate in rates for pair in rate.hours.ranges for edge in pair}
        edges = {start, end, *self._clock_changes(start, end)}
        for minute in minutes:
            clock = datetime.combine(day, time(minute // 60, minute % 60), self.zone)
            edges |= {int(clock.replace(fold=fold).timestamp()) for fold in (0, 1)}
        return {edge for edge in edges if start <= edge <= end}

    def _clock_changes(self, start: int, end: int) -> Iterator[int]:
        """Where the zone's offset changes: at a quarter of an hour, as all zones do."""
        if end - start != 86_400:
            offsets = [(moment, self._local(moment).utcoffset()) for moment in range(start, end + 1, 900)]
            yield from (moment for (_, before), (moment, after) in pairwise(offsets) if before != after)

    def _rate(self, moment: int, rates: tuple[Rate, ...], tariffs: Tariffs) -> Rate | None:
        local = self._local(moment)
        minute = local.hour * 60 + local.minute
        day = local.date() if minute >= tariffs.day_start else local.date() - ONE_DAY
        return next((rate for rate in rates if rate.holds(day, minute, tariffs.holiday(day))), None)

    def _local(self, moment: int) -> datetime:
        return datetime.fromtimestamp(moment, self.zone)


def period_of(day: date, reading_day: int) -> date:
    """First day of the billing period that holds the day."""
    start = _reading(day.year, day.month, reading_day)
    return start if start <= day else _reading(day.year, day.month - 1, reading_day)


def _reading(year: int, month: int, day: int) -> date:
    """The reading day of a month, which may be written as 0 or 13; its last day where it is shorter."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    following = date(year + month // 12, month % 12 + 1, 1)
    return min(date(year, month, 1) + (day - 1) * ONE_DAY, following - ONE_DAY)


def _share(amount: Decimal, days: int, of: int) -> Decimal:
    return (amount * days / of).quantize(Decimal("0.000001"))
