"""The page of that exporter: power, current, and what it says about its own rounds. Values as Go's client prints them."""

from __future__ import annotations

from collections.abc import Iterator

from meterline.meter import Meter
from meterline.samples import number
from meterline.web.server import Face

LONGEST = 10.0
"""Seconds: the last of client_golang's default buckets."""
ERRORS = {
    "auth": (("smartmeter_session_joins_total", "failed"),),
    "ip_resolve": (("smartmeter_radio_scans_total", "empty"),),
    "parse": (),
    "query": (("smartmeter_polls_failed_total",),),
}
"""Kind of error → our counters that count it; parse: what was rejected."""


def face(meter: Meter) -> Face:
    """What is served."""
    return Face(lambda openmetrics: page(meter, openmetrics))


def go(value: float) -> str:
    """A number as Go's client prints it: 366, 1.795311211e+09."""
    return number(value).removesuffix(".0")


def page(meter: Meter, openmetrics: bool = False) -> str:
    """The page now: nothing of the meter before its first answer, nor while it is silent."""
    meter.expire()
    pieces = [
        *_family("current_amperes", "gauge", "Instantaneous electric current in Amperes", _currents(meter), openmetrics),
        *_family(
            "last_scrape_timestamp_seconds",
            "gauge",
            "Unix timestamp of the last successful scrape",
            [("", int(meter.last_frame_at))] if meter.frames else [],
            openmetrics,
        ),
        *_family("power_watts", "gauge", "Instantaneous electric power consumption in Watts", _power(meter), openmetrics),
        *_histogram(meter),
        *_family(
            "scrape_errors_total",
            "counter",
            "Total number of failed scrapes",
            [(f'{{type="{kind}"}}', count) for kind in ERRORS if (count := _errors(meter, kind))],
            openmetrics,
        ),
        "# EOF\n" if openmetrics else "",
    ]
    return "".join(pieces)


def _currents(meter: Meter) -> list[tuple[str, float]]:
    found = ((phase, meter.value("smartmeter_current_amperes", phase)) for phase in "rt")
    return [(f'{{phase="{phase}"}}', float(value)) for phase, value in found if value is not None]


def _power(meter: Meter) -> list[tuple[str, float]]:
    value = meter.value("smartmeter_power_watts")
    return [] if value is None else [("", float(value))]


def _errors(meter: Meter, kind: str) -> float:
    if kind == "parse":
        return float(sum(meter.rejected.values()))
    return sum(meter.observed.get(series, 0.0) for series in ERRORS[kind])


def _family(name: str, kind: str, text: str, samples: list[tuple[str, float]], openmetrics: bool) -> Iterator[str]:
    if samples:
        headed = name.removesuffix("_total") if openmetrics else name
        yield f"# HELP smartmeter_{headed} {text}\n# TYPE smartmeter_{headed} {kind}\n"
        yield from (f"smartmeter_{name}{labels} {go(value)}\n" for labels, value in samples)


def _histogram(meter: Meter) -> Iterator[str]:
    """Our rounds of questions, in the original's buckets, which are among ours."""
    rounds = meter.histograms.get("smartmeter_poll_duration_seconds")
    if rounds is None:
        return
    name, total = "smartmeter_scrape_duration_seconds", rounds.count
    yield f"# HELP {name} Scrape duration in seconds\n# TYPE {name} histogram\n"
    for limit, (_, count) in zip(rounds.limits, rounds.buckets(), strict=False):
        if limit <= LONGEST:
            yield f'{name}_bucket{{le="{go(limit)}"}} {count}\n'
    yield f'{name}_bucket{{le="+Inf"}} {total}\n{name}_sum {go(rounds.sum)}\n{name}_count {total}\n'
