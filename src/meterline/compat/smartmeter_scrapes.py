"""The scrapes of the meter as the original counts them: one in each interval, which succeeds or fails for one of four reasons.

meterline's driver polls at other times, pauses on a weak radio link, and keeps sessions that the original would lose. Scrapes
are therefore derived from its counters: an answered poll is a scrape, and each interval without a reading is a failed one. Its
reason is the last failure.
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
"""A scrape that read none of these series has failed."""


class Scrapes:
    """The counted scrapes. `update` runs once a second, and before each scrape.

    Attributes:
        errors: Kind of failure → number of failed scrapes.
        succeeded_at: Unix time of the last success; 0 before the first.
    """

    def __init__(self, meter: Meter, interval: float) -> None:
        self.errors: Counter[Kind] = Counter()
        self.succeeded_at = 0
        self._meter, self._interval = meter, interval
        self._failed = Histogram(FAMILIES[POLLS].buckets)
        self._begins = self._read_at = meter.clock()
        self._reason: Kind | None = None
        self._seen = self._failures()
        self._given_up = self._polls = self._rejected = 0
        self._polled, self._read, self._new = 0.0, -math.inf, False

    @property
    def count(self) -> int:
        """Number of scrapes."""
        return self._answered.count + self._failed.count

    @property
    def seconds(self) -> float:
        """Total duration of the scrapes in seconds."""
        return self._answered.sum + self._failed.sum

    def buckets(self) -> list[tuple[str, int]]:
        """Return upper limits as text, with the number of scrapes that took no longer."""
        both = zip(self._answered.buckets(), self._failed.buckets(), strict=True)
        return [(limit, answered + failed) for (limit, answered), (_, failed) in both]

    def update(self) -> None:
        """Count the polls since the last call, and the intervals without a reading."""
        now, failures, given_up = self._meter.clock(), self._failures(), self._meter.counters.reach.ends["given_up"]
        news: list[Kind] = [kind for kind, times in failures.items() if times > self._seen[kind]]
        silent = given_up > self._given_up or now - self._read_at > self._meter.freshness()
        self._seen, self._given_up = failures, given_up
        if (read := max(self._meter.confirmed(*series) for series in VALUES)) > self._read:
            self._read, self._new = read, True
            self._succeed(now)
        if self._answered.count > self._polls:
            self._take_poll(now)
        elif news:
            self._note(news[0], now)
        elif silent and not self._reason:
            self._note("query" if self.succeeded_at else "ip_resolve", now)
        while self._reason and now - self._begins >= self._interval:
            self._fail(self._reason, self._interval, self._begins + self._interval)

    @property
    def _answered(self) -> Histogram:
        return self._meter.counters.histograms.get(POLLS) or Histogram(FAMILIES[POLLS].buckets)

    def _failures(self) -> dict[Kind, float]:
        """Return the number of failures of each kind, in the order of the steps towards a reading."""
        observed, ends = self._meter.counters.observed, self._meter.counters.reach.ends
        return {
            "ip_resolve": observed.get(("smartmeter_radio_scans_total", "empty"), 0.0) + ends["unopened"],
            "auth": observed.get(("smartmeter_session_joins_total", "failed"), 0.0) + ends["refused"],
            "query": observed.get(("smartmeter_polls_failed_total",), 0.0),
        }

    def _succeed(self, now: float) -> None:
        self.succeeded_at = int(self._meter.last_frame_at)
        self._read_at, self._begins, self._reason = now, now + self._interval, None

    def _take_poll(self, now: float) -> None:
        """Count an answered poll; without a reading, it is a failed scrape."""
        rejected = sum(self._meter.counters.rejected.values())
        if self._new:
            self._succeed(now)
        else:
            self._read_at, self._reason = now, None
            self.errors["parse"] += 1
        self._begins = now + self._interval - (self._answered.sum - self._polled)
        self._polls, self._polled, self._rejected, self._new = self._answered.count, self._answered.sum, rejected, False

    def _note(self, kind: Kind, now: float) -> None:
        """Record why scrapes fail from now on, and end the current one."""
        if kind == "query" and sum(self._meter.counters.rejected.values()) > self._rejected:
            kind, self._rejected = "parse", sum(self._meter.counters.rejected.values())
        begun, self._reason, self._new = self._reason is not None, kind, False
        if not begun:
            self._fail(kind, max(now - self._begins, 0.0), now)

    def _fail(self, kind: Kind, seconds: float, ended: float) -> None:
        self.errors[kind] += 1
        self._failed.observe(seconds)
        self._begins = ended
