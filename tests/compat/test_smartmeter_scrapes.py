"""What alerts read of the B-route exporter: failed scrapes by type, when one succeeded last, and how long they took."""

from __future__ import annotations

import re

import pytest

from meterline.compat.smartmeter_page import Page
from meterline.meter.meter import Meter
from meterline.meter.readings import Observation, Reading, Rejected, Snapshot

INTERVAL = 60.0
POWER, CURRENT = ("smartmeter_power_watts",), ("smartmeter_current_amperes", "r")
SCAN = Observation(("smartmeter_radio_scans_total", "empty"), 1.0, True)
JOIN = Observation(("smartmeter_session_joins_total", "failed"), 1.0, True)
POLL = Observation(("smartmeter_polls_failed_total",), 1.0, True)
JUNK = Rejected("malformed")


class Exporter:
    """A meter whose clock the test sets, and the page of it, looked at each second."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.meter = Meter("m", 3 * INTERVAL, clock=lambda: self.now)
        self.page = Page(self.meter, INTERVAL)

    def wait(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.now += 1
            self.page.text()

    def answer(self, *readings: Reading, took: float = 0.2) -> None:
        """The meter answers a poll."""
        self.meter.take(Snapshot(readings))
        self.meter.counters.observe(Observation(("smartmeter_poll_duration_seconds",), took))
        self.wait(1)

    def see(self, *items: Observation | Rejected) -> None:
        for item in items:
            if isinstance(item, Rejected):
                self.meter.counters.reject(item)
            else:
                self.meter.counters.observe(item)
        self.wait(1)

    @property
    def errors(self) -> dict[str, int]:
        """Type → how many."""
        found = re.findall(r'(?m)^smartmeter_scrape_errors_total\{type="(\w+)"\} (\d+)$', self.page.text())
        return {kind: int(count) for kind, count in found}

    def value(self, name: str) -> float:
        (found,) = re.findall(rf"(?m)^smartmeter_{name} (\S+)$", self.page.text())
        return float(found)

    @property
    def count(self) -> float:
        return self.value("scrape_duration_seconds_count")


def test_before_the_first_success_the_time_of_the_last_one_is_0_and_there_is_no_value() -> None:
    exporter = Exporter()
    text = exporter.page.text()
    assert "\nsmartmeter_last_scrape_timestamp_seconds 0\n" in text
    assert "# TYPE smartmeter_power_watts gauge\n#" in text, "the family is there, as in the original, without a sample"
    assert "current_amperes" not in text
    assert exporter.count == 0
    assert exporter.errors == {}


@pytest.mark.parametrize(
    ("kind", "items"), [("ip_resolve", [SCAN]), ("auth", [JOIN]), ("query", [POLL]), ("parse", [JUNK, POLL])]
)
def test_a_failed_scrape_is_counted_by_its_type_once_an_interval_until_one_succeeds(
    kind: str, items: list[Observation | Rejected]
) -> None:
    exporter = Exporter()
    exporter.see(*items)
    assert exporter.errors == {kind: 1}
    exporter.wait(10 * INTERVAL - 1)
    assert exporter.errors == {kind: 10}, "also while the driver rests"
    assert exporter.count == 10
    exporter.answer(Reading(POWER, 366))
    exporter.wait(INTERVAL)
    assert exporter.errors == {kind: 10}
    assert exporter.count == 11
    assert exporter.value("last_scrape_timestamp_seconds") > 0


@pytest.mark.parametrize(("end", "kind"), [("unopened", "ip_resolve"), ("refused", "auth"), ("given_up", "ip_resolve")])
def test_how_a_link_ended_is_a_type_of_error(end: str, kind: str) -> None:
    exporter = Exporter()
    exporter.meter.counters.reach.end(end, exporter.now)  # type: ignore[arg-type]
    exporter.wait(3 * INTERVAL)
    assert set(exporter.errors) == {kind}
    assert exporter.errors[kind] >= 3


def test_a_device_that_was_lost_for_a_moment_is_no_error() -> None:
    exporter = Exporter()
    exporter.answer(Reading(POWER, 366))
    exporter.meter.counters.reach.end("lost", exporter.now)
    exporter.wait(20)
    exporter.meter.counters.reach.open(exporter.now)
    exporter.wait(30)
    exporter.answer(Reading(POWER, 366))
    assert exporter.errors == {}


def test_the_type_is_the_last_thing_that_was_seen_to_fail() -> None:
    exporter = Exporter()
    exporter.see(POLL)
    exporter.wait(INTERVAL)
    exporter.see(JOIN)
    exporter.wait(INTERVAL)
    exporter.see(SCAN)
    exporter.wait(INTERVAL)
    assert set(exporter.errors) == {"query", "auth", "ip_resolve"}
    assert sum(exporter.errors.values()) == 4


def test_a_module_that_falls_silent_after_values_is_a_query_that_fails() -> None:
    exporter = Exporter()
    exporter.answer(Reading(POWER, 366))
    before = exporter.value("last_scrape_timestamp_seconds")
    exporter.meter.counters.reach.end("given_up", exporter.now)
    exporter.wait(10 * INTERVAL)
    assert set(exporter.errors) == {"query"}
    assert exporter.value("last_scrape_timestamp_seconds") == before
    assert "\nsmartmeter_power_watts " not in exporter.page.text()


def test_silence_without_any_word_of_the_driver_is_counted_too() -> None:
    exporter = Exporter()
    exporter.wait(3 * INTERVAL)
    assert exporter.errors == {}, "a restart takes its time"
    exporter.wait(2 * INTERVAL + 1)
    assert exporter.errors == {"ip_resolve": 3}


def test_a_reply_that_cannot_be_read_is_a_scrape_that_failed() -> None:
    exporter = Exporter()
    exporter.answer(Reading(POWER, 366))
    last = exporter.value("last_scrape_timestamp_seconds")
    exporter.wait(INTERVAL)
    exporter.see(JUNK)
    exporter.answer()
    assert exporter.errors == {"parse": 1}
    assert exporter.value("last_scrape_timestamp_seconds") == last
    assert exporter.count == 2


def test_a_reply_without_any_value_is_a_scrape_that_failed_and_noise_beside_a_value_is_none() -> None:
    exporter = Exporter()
    exporter.answer(Reading(("smartmeter_info", "protocol"), "broute"))
    assert exporter.errors == {"parse": 1}
    assert exporter.value("last_scrape_timestamp_seconds") == 0
    exporter.see(JUNK)
    exporter.answer(Reading(CURRENT, 2.8))
    assert exporter.errors == {"parse": 1}
    assert exporter.count == 2


def test_value_and_time_of_the_last_success_come_together() -> None:
    exporter = Exporter()
    exporter.meter.take(Snapshot((Reading(POWER, 366),)))  # the poll goes on: there is more to ask
    assert "\nsmartmeter_power_watts 366\n" in exporter.page.text()
    assert exporter.value("last_scrape_timestamp_seconds") > 0


def test_what_the_meter_announces_by_itself_is_no_scrape() -> None:
    exporter = Exporter()
    exporter.meter.take(Snapshot((Reading(("smartmeter_info", "protocol"), "broute"),)))
    assert exporter.value("last_scrape_timestamp_seconds") == 0


def test_a_slow_poll_is_no_error_and_a_failed_one_lasts_from_when_it_was_due() -> None:
    exporter = Exporter()
    exporter.answer(Reading(POWER, 366), took=25.0)
    exporter.wait(INTERVAL + 50)
    exporter.answer(Reading(POWER, 366), took=75.0)
    assert exporter.errors == {}
    before = exporter.value("scrape_duration_seconds_sum")
    exporter.wait(14)
    exporter.see(POLL)
    assert exporter.value("scrape_duration_seconds_sum") - before == pytest.approx(30, abs=2)
