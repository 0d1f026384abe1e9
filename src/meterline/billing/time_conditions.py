"""Conditions of time in a tariff: hours of the clock, days of the week, dates. All of local time."""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import lru_cache
from itertools import product
from typing import NamedTuple, TypeAlias

DAY = 24 * 60
"""Minutes."""
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOLIDAY = 7

_HOURS = "expected hours such as 22:00-06:00, several with commas between"
_DAYS = "expected days such as mon-fri, sat, holiday"
_DATES = "expected dates such as 2026-01-15, 2026-07-01..2026-09-30 or, for every year, 07-01..09-30"


class Clock(int):
    """Minutes since midnight."""

    @classmethod
    def parse(cls, text: str) -> Clock:
        """``06:00``"""
        if not (match := re.fullmatch(r"([01]?\d|2[0-4]):([0-5]\d)", text)) or (match[1] == "24" and match[2] != "00"):
            raise ValueError(f"{text!r} is not allowed; allowed: a time such as 06:00")
        return cls(int(match[1]) * 60 + int(match[2]))


class Hours(NamedTuple):
    """Stretches of the day, from one minute to the next; over midnight where the end is earlier. None: all day."""

    ranges: tuple[tuple[int, int], ...] = ()

    def hold(self, minute: int) -> bool:
        """Whether the minute is in one of them."""
        return not self.ranges or any(
            start <= minute < end if start < end else minute >= start or minute < end for start, end in self.ranges
        )

    @classmethod
    def parse(cls, text: str) -> Hours:
        """``22:00-06:00, 12:00-14:00``"""
        ranges = []
        for part in text.split(","):
            start, dash, end = part.strip().partition("-")
            if not dash:
                raise ValueError(f"{text!r} is not allowed; {_HOURS}")
            edges = Clock.parse(start.strip()) % DAY, Clock.parse(end.strip())
            if edges[0] == edges[1]:
                raise ValueError(f"{part.strip()!r} is not allowed: it ends where it begins; {_HOURS}")
            ranges.append(edges)
        return cls(tuple(ranges))


class Days(NamedTuple):
    """Days of the week, 0 is Monday, 7 is a holiday. None: all."""

    numbers: frozenset[int] = frozenset()

    def hold(self, day: date, holiday: bool) -> bool:
        """Whether the day is one of them. A holiday is also the day of the week that it falls on."""
        return not self.numbers or day.weekday() in self.numbers or (holiday and HOLIDAY in self.numbers)

    @classmethod
    def parse(cls, text: str) -> Days:
        """``mon-fri, holiday``"""
        numbers: set[int] = set()
        for part in text.lower().split(","):
            first, dash, last = part.strip().partition("-")
            if first == "holiday" and not dash:
                numbers.add(HOLIDAY)
                continue
            if first not in WEEKDAYS or (dash and last not in WEEKDAYS):
                raise ValueError(f"{text!r} is not allowed; {_DAYS}")
            start, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
            numbers |= {number % 7 for number in range(start, (end if end >= start else end + 7) + 1)}
        return cls(frozenset(numbers))


YearDay: TypeAlias = tuple[int, int, int]
"""Year, month, day; year 0 means every year."""


class Dates(NamedTuple):
    """Dates, both ends included. None: all."""

    ranges: tuple[tuple[YearDay, YearDay], ...] = ()

    def hold(self, day: date) -> bool:
        """Whether the day is in one of them."""
        return not self.ranges or any(_within(day, *edges) for edges in self.ranges)

    @classmethod
    def parse(cls, text: str) -> Dates:
        """``2026-01-15, 07-01..09-30``"""
        ranges = []
        for part in text.split(","):
            first, dots, last = part.strip().partition("..")
            edges = _day(first, text), _day(last if dots else first, text)
            if bool(edges[0][0]) != bool(edges[1][0]) or (edges[0][0] and edges[0] > edges[1]):
                raise ValueError(f"{part.strip()!r} is not allowed; {_DATES}")
            ranges.append(edges)
        return cls(tuple(ranges))


def _within(day: date, first: YearDay, last: YearDay) -> bool:
    if first[0]:
        return first <= (day.year, day.month, day.day) <= last
    here = (0, day.month, day.day)
    return first <= here <= last if first <= last else here >= first or here <= last


def _day(text: str, whole: str) -> YearDay:
    if match := re.fullmatch(r"(?:(\d{4})-)?(\d\d)-(\d\d)", text.strip()):
        year, month, day = int(match[1] or 0), int(match[2]), int(match[3])
        try:
            date(year or 2024, month, day)
        except ValueError:
            pass
        else:
            return year, month, day
    raise ValueError(f"{whole!r} is not allowed; {_DATES}")


_NEW_YEAR = date(2024, 1, 1)
"""A Monday of a leap year: the date that a rate begins on may be any day of the week in another year."""


@lru_cache(maxsize=64)
def uncovered(conditions: tuple[tuple[Hours, Days, Dates], ...]) -> str:
    """When none of the conditions holds, in words; empty where one always does. Dates of one year alone cover nothing."""
    yearly = [(hours, days, dates) for hours, days, dates in conditions if all(not first[0] for first, _ in dates.ranges)]
    edges = sorted({0, *(edge % DAY for hours, _, _ in yearly for pair in hours.ranges for edge in pair)})
    seasons = {_NEW_YEAR, *(day for _, _, dates in yearly for first, last in dates.ranges for day in _edges(first, last))}
    week = [_NEW_YEAR + timedelta(days=offset) for offset in range(7)]
    for season, day, minute in product(sorted(seasons), week, edges):
        if not any(h.hold(minute) and d.hold(day, False) and s.hold(season) for h, d, s in yearly):
            return f"at {minute // 60:02}:{minute % 60:02} on {WEEKDAYS[day.weekday()]} {season:%m-%d}"
    return ""


def _edges(first: YearDay, last: YearDay) -> tuple[date, date]:
    """Where a range of dates begins, and where what it leaves does."""
    return date(2024, *first[1:]), date(2024, *last[1:]) + timedelta(days=1)
