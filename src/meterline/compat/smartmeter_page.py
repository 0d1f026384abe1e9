"""The metrics of `smartmeter-exporter`: power, current, and its scrapes. Values are printed as by Go's client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from meterline import world
from meterline.compat.smartmeter_scrapes import Scrapes
from meterline.meter.meter import Meter
from meterline.meter.text_format import number
from meterline.web.http.server import MetricsSource

BUCKET_MAX_S = 10.0
"""The last of client_golang's default buckets, which meterline's include."""
UPDATE_INTERVAL_S = 1.0


def metrics_source(meter: Meter, interval: float) -> MetricsSource:
    """Make the source of /metrics, in a running event loop: the meter's scrapes are counted without scrapes of the page too.

    Args:
        meter: The meter.
        interval: Seconds between two scrapes of the meter.
    """
    page = Page(meter, interval)
    page.watching = asyncio.get_running_loop().create_task(page.watch())
    return MetricsSource(page.text)


def go(value: float) -> str:
    """Format a number as Go's client does: 366, 1.795311211e+09."""
    return number(value).removesuffix(".0")


class Page:
    """The page. As in the original, a family without labels exists before its first value; but no value is invented."""

    watching: asyncio.Task[None] | None = None

    def __init__(self, meter: Meter, interval: float) -> None:
        self._meter = meter
        self._scrapes = Scrapes(meter, interval)

    async def watch(self) -> None:
        """Update once a second until cancelled."""
        while True:
            self._scrapes.update()
            await world.current.sleep(UPDATE_INTERVAL_S)

    def text(self, openmetrics: bool = False) -> str:
        """Render the page; without readings before the first reply, and while the meter is silent."""
        self._meter.expire()
        self._scrapes.update()
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
            if float(limit) <= BUCKET_MAX_S:
                yield f'{name}_bucket{{le="{go(float(limit))}"}} {below}\n'
        yield f'{name}_bucket{{le="+Inf"}} {count}\n{name}_sum {go(self._scrapes.seconds)}\n{name}_count {count}\n'


def _family(name: str, kind: str, text: str, samples: list[tuple[str, float]]) -> str:
    """Its lines. A sample: what follows the name, and its value."""
    head = f"# HELP smartmeter_{name} {text}\n# TYPE smartmeter_{name} {kind}\n"
    return head + "".join(f"smartmeter_{name}{suffix} {go(value)}\n" for suffix, value in samples)
