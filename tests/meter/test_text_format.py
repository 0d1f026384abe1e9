"""A histogram's lines are those of prometheus_client for the same observations."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client import Histogram as Oracle
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from support.decoder_contract import fuzz

from meterline.meter.families import CATALOGUE, FAMILIES
from meterline.meter.meter import Meter
from meterline.meter.readings import Observation
from meterline.meter.text_format import Histogram, MeterLabels

FAMILY = "smartmeter_poll_duration_seconds"
LIMITS = FAMILIES[FAMILY].buckets
HISTOGRAMS = [family.name for family in CATALOGUE if family.type == "histogram"]


def lines(*observations: float, family: str = FAMILY, meter: str = "home") -> str:
    histogram = Histogram(FAMILIES[family].buckets)
    for value in observations:
        histogram.observe(value)
    return histogram.lines(family, MeterLabels({"meter": meter}))


def oracle(*observations: float, family: str = FAMILY, meter: str = "home", openmetrics: bool = False) -> str:
    """The sample lines that prometheus_client prints, without the time of creation, which we do not show."""
    registry = CollectorRegistry()
    histogram = Oracle(family, "x", ["meter"], buckets=FAMILIES[family].buckets, registry=registry).labels(meter)
    for value in observations:
        histogram.observe(value)
    page = (generate_openmetrics if openmetrics else generate_latest)(registry).decode()
    kept = [line for line in page.split("\n") if line and not line.startswith(("#", f"{family}_created"))]
    return "".join(f"{line}\n" for line in kept)


def bucket(text: str, le: str) -> float:
    (line,) = (line for line in text.splitlines() if f'le="{le}"' in line)
    return float(line.split()[-1])


def test_the_limits_of_a_histogram_rise() -> None:
    assert HISTOGRAMS == [FAMILY]
    for family in HISTOGRAMS:
        limits = FAMILIES[family].buckets
        assert limits
        assert sorted(set(limits)) == list(limits)
        assert math.inf not in limits


@pytest.mark.parametrize("openmetrics", [False, True], ids=["text_0.0.4", "openmetrics"])
class TestLines:
    @pytest.mark.parametrize("family", HISTOGRAMS)
    @pytest.mark.parametrize(
        "observations",
        [
            (),
            (0.0,),
            (0.1, 0.2, 0.3),
            LIMITS,
            LIMITS * 3,
            tuple(math.nextafter(limit, math.inf) for limit in LIMITS),
            tuple(math.nextafter(limit, 0) for limit in LIMITS),
            (90.000001, 1e9, 1e-9),
            (1_234_567.5,) * 9,
            (0.7,) * 10_000,
        ],
        ids=["none", "nought", "some", "limits", "limits_thrice", "above", "below", "beyond", "large", "many"],
    )
    def test_the_lines_of_a_histogram_are_those_of_prometheus_client(
        self, openmetrics: bool, family: str, observations: tuple[float, ...]
    ) -> None:
        assert lines(*observations, family=family) == oracle(*observations, family=family, openmetrics=openmetrics)

    @pytest.mark.parametrize("meter", ["home", 'a"b', "a\\b", "a\nb", "100 %s", "{}", "家", "a,b=c", ""])
    def test_the_meters_name_is_escaped_alike(self, openmetrics: bool, meter: str) -> None:
        assert lines(1.5, meter=meter) == oracle(1.5, meter=meter, openmetrics=openmetrics)

    @fuzz
    @given(st.lists(st.floats(0, 1e12) | st.sampled_from(LIMITS), max_size=20))
    @example([0.1, 0.2])
    def test_fuzz_any_observations(self, openmetrics: bool, observations: list[float]) -> None:
        assert lines(*observations) == oracle(*observations, openmetrics=openmetrics)


@pytest.mark.parametrize("place", range(len(LIMITS)))
def test_an_observation_on_a_limit_counts_in_it(place: int) -> None:
    histogram = Histogram(LIMITS)
    histogram.observe(LIMITS[place])
    counts = [count for _, count in histogram.buckets()]
    assert counts == [int(number >= place) for number in range(len(LIMITS) + 1)]
    assert bucket(histogram.lines(FAMILY, MeterLabels({"meter": "home"})), repr(float(LIMITS[place]))) == 1


def test_beyond_the_last_limit_only_infinity_counts() -> None:
    text = lines(91.0)
    assert [bucket(text, repr(float(limit))) for limit in LIMITS] == [0] * len(LIMITS)
    assert bucket(text, "+Inf") == 1


def test_a_meter_shows_what_its_driver_observed() -> None:
    meter = Meter('a"b', clock=lambda: 0.0)
    durations = (0.25, 3.5, 120.0)
    for seconds in durations:
        meter.counters.observe(Observation((FAMILY,), seconds, increment=True))
    (text,) = (text for family, text in zip(CATALOGUE, meter.text.columns, strict=True) if family.name == FAMILY)
    assert text == oracle(*durations, meter='a"b')


@pytest.mark.parametrize("labels", [{"flat": "12"}, {"zone": 'a"b'}, {"flat": "12", "Z": "1", "zone": ",le="}], ids=len)
def test_a_histogram_has_the_labels_of_its_meter_in_the_order_of_prometheus_client(labels: dict[str, str]) -> None:
    registry = CollectorRegistry()
    oracle = Oracle(FAMILY, "x", ["meter", *labels], buckets=LIMITS, registry=registry).labels("home", *labels.values())
    oracle.observe(3.5)
    histogram = Histogram(LIMITS)
    histogram.observe(3.5)
    for line in histogram.lines(FAMILY, MeterLabels({"meter": "home", **labels})).splitlines():
        assert line in generate_latest(registry).decode().splitlines()


def test_a_meter_shows_an_empty_histogram_when_told_to() -> None:
    meter = Meter("home", clock=lambda: 0.0)
    meter.counters.observe(Observation((FAMILY,), None))
    assert oracle() in meter.text.columns
