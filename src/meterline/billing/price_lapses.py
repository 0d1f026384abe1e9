"""When prices are not known: no period holds, or a levy ends and none takes its place. Pure.

How many levies are raised is what tells: where there are fewer than the day before, one has run out. One that ends for good is
followed by one of 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from meterline.billing.calendar import ONE_DAY
from meterline.billing.tariff import Levy, Tariffs
from meterline.billing.time_conditions import HOLIDAY


class PriceLapse(NamedTuple):
    """Local days on which a price is not known, from `since` on, before `until`; None: for good."""

    since: date
    until: date | None
    """None: for ever."""
    what: str
    """Why, and what to do, in words."""

    def holds(self, day: date) -> bool:
        """Whether it is so on that day."""
        return self.since <= day and (self.until is None or day < self.until)


def lapses(tariffs: Tariffs) -> list[PriceLapse]:
    """All, in their order."""
    return sorted((*_of_periods(tariffs), *_of_levies(tariffs), *_of_holidays(tariffs)), key=lambda lapse: lapse.since)


def to_come(tariffs: Tariffs, today: date) -> list[PriceLapse]:
    """Those of today and later."""
    return [lapse for lapse in lapses(tariffs) if lapse.until is None or lapse.until > today]


def _of_periods(tariffs: Tariffs) -> Iterator[PriceLapse]:
    first, last = tariffs.periods[0], tariffs.periods[-1]
    yield PriceLapse(date.min, first.since, f"the first period begins on {first.since}: nothing has a price before")
    if last.until:
        yield PriceLapse(
            last.until, None, f"the last period ends on {last.until}: nothing has a price from then on; add a period"
        )


def _of_levies(tariffs: Tariffs) -> Iterator[PriceLapse]:
    begin, end = tariffs.periods[0].since, tariffs.periods[-1].until
    for kind in ("per_kwh", "percent"):
        levies = [levy for levy in tariffs.levies if getattr(levy, kind) is not None]
        edges = sorted({day for levy in levies for day in (levy.since, levy.until) if day})
        for number, edge in enumerate(edges):
            if edge <= begin or (end and edge >= end):
                continue
            before, ended = _raised(levies, edge - ONE_DAY), [levy.name for levy in levies if levy.until == edge]
            missing = before - _raised(levies, edge)
            if missing <= 0:
                continue
            until = next((later for later in edges[number + 1 :] if _raised(levies, later) >= before), None)
            yield PriceLapse(edge, until, _ended(ended, missing, edge, until, kind))


def _ended(ended: list[str], missing: int, edge: date, until: date | None, kind: str) -> str:
    which = f"{', '.join(map(repr, ended))} end{'s' * (len(ended) == 1)} on {edge}"
    place = "nothing" if missing == len(ended) else f"only {len(ended) - missing}"
    then = f" until {until}" if until else ""
    return f"levies: {which}, and {place} follows{then}; add what follows, or a levy with {kind}: 0 where nothing does"


def _raised(levies: list[Levy], day: date) -> int:
    return sum(levy.holds(day) for levy in levies)


def _of_holidays(tariffs: Tariffs) -> Iterator[PriceLapse]:
    """The list of holidays is over, where a price hangs on it. Those of a country go on."""
    asked = any(HOLIDAY in rate.days.numbers for period in tariffs.periods for rate in period.times or ())
    if asked and tariffs.holidays and isinstance(tariffs.holidays, tuple):
        last, end = max(tariffs.holidays), tariffs.periods[-1].until
        if last < (end or date.max) - ONE_DAY:
            yield PriceLapse(last + ONE_DAY, None, f"holidays: the last one listed is {last}; add those that follow")
