"""The page of that exporter: power, current, and what it says about its own scrapes. Values as Go's client prints them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from meterline import world
from meterline.compat.smartmeter_scrapes import Scrapes
from meterline.meter.meter import Meter
from meterline.meter.text_format import number
from meterline.web.http.server import MetricsSource

LONGEST = 10.0
"""Seconds: the last of client_golang's default buckets, which are among ours."""
LOOK_EVERY = 1.0


def metrics_source(meter: Meter, interval: float) -> MetricsSource:
    """What is served. Inside a running loop: scrapes are counted where nobody looks."""
    page = Page(meter, interval)
    page.watching = asyncio.get_running_loop().create_task(page.watch())
    return MetricsSource(page.text)


def go(value: float) -> str:
    """A number as Go's client prints it: 366, 1.795311211e+09."""
    return number(value).removesuffix(".0")


class Page:
    """As in the original, a family without labels is there before its first value; only that no value is made up for it."""

    watching: asyncio.Task[None] | None = None

    def __init__(self, meter: Meter, interval: float) -> None:
        self._meter = meter
        self._scrapes = Scrapes(meter, interval)

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            self._scrapes.look()
            await world.current.sleep(LOOK_EVERY)

    def text(self, openmetrics: bool = False) -> str:
        """The page now: nothing of the meter before its first answer, nor while it is silent."""
        self._meter.expire()
        self._scrapes.look()
        currents, power = self._currents(), self._meter.value("smartmeter_power_watts")
        spoken = currents or self._scrapes.succeeded_at
        last = "last_scrape_timestamp_seconds"
        pieces = [
            _family("current_amperes", "gauge", "Instantaneous electric current in Amperes", currents) if spoken else "",
            _family(last, "gauge", "Unix timestamp of the last successful scrape", [("", self._scrapes.succeeded_at)]),
            _family(
                "power_watts",
                "gauge",
                "Instantaneous electric power consumption in Watts",
                [] if power is None else [("", float(power))],
            ),
            *self._durations(),
            self._errors(openmetrics),
            "# EOF\n" if openmetrics else "",
        ]
        return "".join(pieces)

    def _currents(self) -> list[tuple[str, float]]:
        found = ((phase, self._meter.value("smartmeter_current_amperes", phase)) for phase in "rt")
        return [(f'{{phase="{phase}"}}', float(value)) for phase, value in found if value is not None]

    def _errors(self, openmetrics: bool) -> str:
        """By type; nothing before the first."""
        name, suffix = ("scrape_errors", "_total") if openmetrics else ("scrape_errors_total", "")
        samples = [(f'{suffix}{{type="{kind}"}}', float(count)) for kind, count in sorted(self._scrapes.errors.items())]
        text = "Total number of failed scrapes, labeled by error type"
        return _family(name, "counter", text, samples) if samples else ""

    def _durations(self) -> Iterator[str]:
        """Of the scrapes, in the original's buckets."""
        name, count = "smartmeter_scrape_duration_seconds", self._scrapes.count
        yield f"# HELP {name} Scrape duration in seconds\n# TYPE {name} histogram\n"
        for limit, below in self._scrapes.buckets():
            if float(limit) <= LONGEST:
                yield f'{name}_bucket{{le="{go(float(limit))}"}} {below}\n'
        yield f'{name}_bucket{{le="+Inf"}} {count}\n{name}_sum {go(self._scrapes.seconds)}\n{name}_count {count}\n'


def _family(name: str, kind: str, text: str, samples: list[tuple[str, float]]) -> str:
    """Its lines. A sample: what follows the name, and its value."""
    head = f"# HELP smartmeter_{name} {text}\n# TYPE smartmeter_{name} {kind}\n"
    return head + "".join(f"smartmeter_{name}{suffix} {go(value)}\n" for suffix, value in samples)
