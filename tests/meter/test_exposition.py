"""The page: the same bytes as prometheus_client's for the same values, and readable by its parsers in both formats."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import MappingProxyType

import pytest
from hypothesis import given, strategies
from prometheus_client import CollectorRegistry, exposition
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.openmetrics import exposition as openmetrics_exposition
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse
from prometheus_client.utils import floatToGoString
from support.live_meters import fake

from meterline.meter.exposition import Page, negotiate
from meterline.meter.families import CATALOGUE, FAMILIES
from meterline.meter.meter import Meter
from meterline.meter.readings import REASONS, Observation, Reading, Snapshot
from meterline.meter.text_format import number
from meterline.protocols.tic.derived import readings
from meterline.protocols.tic.frames import Assembler, Decoder

NOW = 1_763_800_000


class Oracle:
    """The same values as a collector of prometheus_client."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def collect(self) -> list[Metric]:
        about: dict[tuple[str, ...], float] = {
            ("smartmeter_up",): float(self._meter.up),
            ("smartmeter_last_frame_timestamp_seconds",): self._meter.last_frame_at,
            ("smartmeter_frames_total",): self._meter.counters.frames,
            ("smartmeter_received_bytes_total",): self._meter.counters.received,
            ("smartmeter_link_opened_total",): self._meter.counters.opened,
            ("smartmeter_line_accepted_ratio",): 1.0,
            ("smartmeter_meter_swaps_total",): self._meter.counters.swaps,
            ("smartmeter_defects_total",): self._meter.counters.defects,
            **{("smartmeter_rejected_total", reason): self._meter.counters.rejected[reason] for reason in REASONS},
            **self._meter.counters.observed,
        }
        shown = {**about, **{series: entry.value for series, entry in self._meter._entries.items()}}
        families: list[Metric] = []
        for family in CATALOGUE:
            samples = {series: value for series, value in shown.items() if series[0] == family.name}
            if not samples:
                continue
            if family.type == "info":
                info = InfoMetricFamily(family.name.removesuffix("_info"), family.help, labels=["meter", *self._meter.labels])
                info.add_metric(
                    [self._meter.name, *self._meter.labels.values()],
                    {series[1]: str(value) for series, value in samples.items()},
                )
                families.append(info)
                continue
            kind = CounterMetricFamily if family.type == "counter" else GaugeMetricFamily
            metric = kind(family.name, family.help, labels=["meter", *self._meter.labels, *family.labels])
            for series, value in samples.items():
                metric.add_metric([self._meter.name, *self._meter.labels.values(), *series[1:]], float(value))
            families.append(metric)
        return families


def simulated(mode: str, name: str = "home", labels: Mapping[str, str] = MappingProxyType({}), **facts: object) -> Meter:
    clock = [0.0]
    meter, source = Meter(name, clock=lambda: clock[0]), fake(mode, "TEMPO", **facts)
    meter.labels = labels
    decoder, assembler = Decoder(), Assembler()
    for second in range(4000, 4010):
        clock[0] = second
        source.advance(NOW + second)
        for frame in assembler.feed(decoder.feed(source.frame())):
            meter.take(readings(frame))
    meter.counters.observe(Observation(("smartmeter_link_speed_bauds",), 9600))
    return meter


def ours(page: str) -> str:
    """The page without our own process."""
    end = page.find("# HELP process_")
    return page[: end if end >= 0 else page.find("# HELP meterline_build")]


METERS = [("historic", {}), ("historic", {"phases": 3}), ("standard", {}), ("standard", {"phases": 3, "producer": True})]
NAMES = ["home", 'a "quoted" \\ näme %s {x}']
LABELS = {"flat": "12", "owner": '"A", \\ {x} %s 家', "_z": ',meter="b"', "Building": "north"}


def assert_as_prometheus_client_writes(meter: Meter) -> None:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Oracle(meter))
    page = Page([meter])
    assert ours(page.text()) == exposition.generate_latest(registry).decode()
    expected = openmetrics_exposition.generate_latest(registry).decode().removesuffix("# EOF\n")
    assert ours(page.text(openmetrics=True)) == expected


@pytest.mark.parametrize(("mode", "facts"), METERS)
@pytest.mark.parametrize("name", NAMES)
def test_the_page_is_byte_for_byte_what_prometheus_client_writes(mode: str, facts: dict[str, object], name: str) -> None:
    assert_as_prometheus_client_writes(simulated(mode, name, {}, **facts))


@pytest.mark.parametrize(("mode", "facts"), METERS)
@pytest.mark.parametrize("name", NAMES)
def test_labels_of_the_configuration_stand_where_prometheus_client_writes_them(
    mode: str, facts: dict[str, object], name: str
) -> None:
    assert_as_prometheus_client_writes(simulated(mode, name, LABELS, **facts))


def timeless(meter: Meter) -> str:
    """Its page, without the moment at which the test took a frame."""
    return re.sub(r"^(smartmeter_last_frame_timestamp_seconds.*) \S+$", r"\1", ours(Page([meter]).text()), flags=re.MULTILINE)


@pytest.mark.parametrize("before", [{}, {"flat": "11", "street": "x"}, LABELS])
@pytest.mark.parametrize("after", [{}, {"flat": "12"}, LABELS])
def test_other_labels_are_on_every_series_at_once(before: dict[str, str], after: dict[str, str]) -> None:
    meter, other = (simulated("standard", 'a "b" %s', labels=labels) for labels in (before, after))
    for each in (meter, other):
        each.counters.observe(Observation(("smartmeter_poll_duration_seconds",), 3.5, increment=True))
    meter.labels = after
    assert timeless(meter) == timeless(other)
    for each in (meter, other):
        each.counters.observe(Observation(("smartmeter_poll_duration_seconds",), 3.5, increment=True))
        each.take(Snapshot((Reading(("smartmeter_voltage_volts", "1"), 231),)))
    assert timeless(meter) == timeless(other)


def test_without_labels_a_meter_is_written_as_ever() -> None:
    assert 'smartmeter_rejected_total{meter="home",reason="checksum"} 0.0\n' in Page([Meter("home")]).text()


def test_meters_with_and_without_labels_share_a_page() -> None:
    meters = [Meter(name) for name in ("a", "b", "c")]
    meters[1].labels = {"zone": "north"}
    meters[2].labels = {"flat": "3"}
    lines = [line for line in Page(meters).text().splitlines() if line.startswith("smartmeter_up{")]
    assert lines == [
        'smartmeter_up{meter="a"} 0.0',
        'smartmeter_up{meter="b",zone="north"} 0.0',
        'smartmeter_up{flat="3",meter="c"} 0.0',
    ]


def test_both_formats_are_read_by_the_parsers() -> None:
    page = Page([simulated("standard", phases=3, producer=True), simulated("historic", name="annexe")])
    for families in (list(parse(page.text())), list(parse_openmetrics(page.text(openmetrics=True)))):
        names = {sample.name for family in families for sample in family.samples}
        assert {"smartmeter_up", "smartmeter_info", "smartmeter_energy_import_watthours_total", "meterline_build_info"} <= names
        assert all(
            sample.labels.get("meter") for family in families for sample in family.samples if "smartmeter" in sample.name
        )


def test_each_family_has_one_header_for_all_meters() -> None:
    page = Page([simulated("historic", name=name) for name in ("a", "b", "c")]).text()
    assert page.count("# TYPE smartmeter_up gauge") == 1
    assert page.index('smartmeter_up{meter="c"}') < page.index("# HELP smartmeter_last_frame")


def test_our_own_process_is_on_the_page() -> None:
    page = Page([]).text()
    assert "process_resident_memory_bytes" in page
    assert 'meterline_build_info{python="' in page
    assert Page([]).text(openmetrics=True).endswith("# EOF\n")


def test_a_meter_that_has_not_spoken_has_no_values_but_is_there() -> None:
    page = Page([Meter("home")]).text()
    assert 'smartmeter_up{meter="home"} 0.0' in page
    assert 'smartmeter_rejected_total{meter="home",reason="checksum"} 0.0' in page
    assert "smartmeter_last_frame_timestamp_seconds" not in page
    assert "watthours" not in page


def test_counters_about_the_line_move_during_pure_noise() -> None:
    from meterline.meter.readings import Rejected

    meter = Meter("home")
    page = Page([meter])
    for _ in range(3):
        meter.counters.reject(Rejected("malformed"))
    assert 'smartmeter_rejected_total{meter="home",reason="malformed"} 3.0' in page.text()


def test_the_values_of_a_silent_meter_vanish_from_the_page() -> None:
    clock = [0.0]
    meter = Meter("home", clock=lambda: clock[0])
    meter.take(Snapshot((Reading(("smartmeter_voltage_volts", "1"), 230),)))
    page = Page([meter])
    assert "smartmeter_voltage_volts{" in page.text()
    clock[0] = 10.5
    assert "smartmeter_voltage_volts" not in page.text()
    assert 'smartmeter_up{meter="home"} 0.0' in page.text()
    assert 'smartmeter_frames_total{meter="home"} 1.0' in page.text()


@given(strategies.one_of(strategies.floats(allow_nan=False, allow_infinity=False), strategies.integers(-(10**15), 10**15)))
def test_numbers_are_written_as_prometheus_client_writes_them(value: float) -> None:
    assert number(value) == floatToGoString(value)
    assert math.isclose(float(number(value)), float(value), rel_tol=0, abs_tol=0)


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain;version=0.0.4", False),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", True),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            True,
        ),
        ("nonsense;;;,,=", False),
    ],
)
def test_the_format_is_negotiated(accept: str, openmetrics: bool) -> None:
    assert negotiate(accept)[0] is openmetrics


def test_every_family_is_named_by_the_rules() -> None:
    for family in CATALOGUE:
        assert family.name.startswith("smartmeter_")
        assert family.name.endswith("_total") == (family.type == "counter"), family.name
        assert family.name.endswith("_info") == (family.type == "info"), family.name
        assert family.help.endswith("."), family.name
        assert list(family.labels) == sorted(family.labels) or family.type != "info", family.name
    assert len(FAMILIES) == len(CATALOGUE)
