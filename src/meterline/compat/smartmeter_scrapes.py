"""The original's scrapes of the meter: one each interval, which succeeds, or fails for one of four reasons.

Our driver polls in its own time, rests where a weak link needs rest, and keeps a session that the original would have lost. So
scrapes are counted by what it says of itself: a poll that was answered is a scrape, and each interval in which nothing is read
is one that failed. What fails is the last thing that was seen to fail.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Literal, TypeAlias

from meterline.meter.families import FAMILIES
from meterline.meter.meter import Meter
from meterline.meter.text_format import Histogram

Kind: TypeAlias = Literal["auth", "ip_resolve", "parse", "query"]

POLLS = "smartmeter_poll_duration_seconds"
VALUES = (
    ("smartmeter_power_watts",),
    ("smartmeter_current_amperes", "r"),
    ("smartmeter_current_amperes", "t"),
)
"""A scrape in which none of these could be read has failed."""


class Scrapes:
    """`look` once a second, and before each page."""

    def __init__(self, meter: Meter, interval: float) -> None:
        self.errors: Counter[Kind] = Counter()
        self.succeeded_at = 0
        """Unix time of the last success; 0 before the first."""
        self._meter, self._interval = meter, interval
        self._failed = Histogram(FAMILIES[POLLS].buckets)
        self._begins = self._heard = meter.clock()
        self._why: Kind | None = None
        self._seen = self._troubles()
        self._given_up = self._polls = self._rejected = 0
        self._polled, self._read, self._new = 0.0, -math.inf, False

    @property
    def count(self) -> int:
        """How many scrapes there were."""
        return self._answered.count + self._failed.count

    @property
    def seconds(self) -> float:
        """How long they took together."""
        return self._answered.sum + self._failed.sum

    def buckets(self) -> list[tuple[str, int]]:
        """Upper limit, as text → how many scrapes took no longer."""
        both = zip(self._answered.buckets(), self._failed.buckets(), strict=True)
        return [(limit, answered + failed) for (limit, answered), (_, failed) in both]

    def look(self) -> None:
        """Count what has happened, and the intervals in which nothing was read."""
        now, troubles, given_up = self._meter.clock(), self._troubles(), self._meter.counters.reach.ends["given_up"]
        news: list[Kind] = [kind for kind, times in troubles.items() if times > self._seen[kind]]
        silent = given_up > self._given_up or now - self._heard > self._meter.freshness()
        self._seen, self._given_up = troubles, given_up
        if (read := max(self._meter.confirmed(*series) for series in VALUES)) > self._read:
            self._read, self._new = read, True
            self._succeed(now)
        if self._answered.count > self._polls:
            self._take_poll(now)
        elif news:
            self._note(news[0], now)
        elif silent and not self._why:
            self._note("query" if self.succeeded_at else "ip_resolve", now)
        while self._why and now - self._begins >= self._interval:
            self._fail(self._why, self._interval, self._begins + self._interval)

    @property
    def _answered(self) -> Histogram:
        return self._meter.counters.histograms.get(POLLS) or Histogram(FAMILIES[POLLS].buckets)

    def _troubles(self) -> dict[Kind, float]:
        """What was seen to fail, and how often: the first step on the way to a value comes first."""
        observed, ends = self._meter.counters.observed, self._meter.counters.reach.ends
        return {
            "ip_resolve": observed.get(("smartmeter_radio_scans_total", "empty"), 0.0) + ends["unopened"],
            "auth": observed.get(("smartmeter_session_joins_total", "failed"), 0.0) + ends["refused"],
            "query": observed.get(("smartmeter_polls_failed_total",), 0.0),
        }

    def _succeed(self, now: float) -> None:
        self.succeeded_at = int(self._meter.last_frame_at)
        self._heard, self._begins, self._why = now, now + self._interval, None

    def _take_poll(self, now: float) -> None:
        """A poll was answered: with nothing that could be read, it is a scrape that failed."""
        rejected = sum(self._meter.counters.rejected.values())
        if self._new:
            self._succeed(now)
        else:
            self._heard, self._why = now, None
            self.errors["parse"] += 1
        self._begins = now + self._interval - (self._answered.sum - self._polled)
        self._polls, self._polled, self._rejected, self._new = self._answered.count, self._answered.sum, rejected, False

    def _note(self, kind: Kind, now: float) -> None:
        """Why scrapes fail from now on; the one that was going on has failed."""
        if kind == "query" and sum(self._meter.counters.rejected.values()) > self._rejected:
            kind, self._rejected = "parse", sum(self._meter.counters.rejected.values())
        begun, self._why, self._new = self._why is not None, kind, False
        if not begun:
            self._fail(kind, max(now - self._begins, 0.0), now)

    def _fail(self, kind: Kind, seconds: float, ended: float) -> None:
        self.errors[kind] += 1
        self._failed.observe(seconds)
        self._begins = ended
