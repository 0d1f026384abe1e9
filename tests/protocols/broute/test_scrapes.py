"""The real driver in a world of its own time, seen through the page of the exporter that we replace: failed scrapes by type."""

from __future__ import annotations

import re

from support.virtual_time import Watched, run

from meterline.compat.smartmeter_page import Page
from meterline.protocols.broute.simulator.commands import Faults

INTERVAL = 30.0
"""That of the options: seconds between two polls."""


def errors(faults: Faults, hours: float = 0.25, **facts: object) -> dict[str, int]:
    """Type → how many scrapes failed so; the page is looked at each second."""
    pages: dict[int, Page] = {}
    text = ""

    def look(watched: Watched) -> None:
        nonlocal text
        text = pages.setdefault(0, Page(watched.meter, INTERVAL)).text()

    run(hours, faults=faults, act=look, **facts)  # type: ignore[arg-type]
    return {kind: int(n) for kind, n in re.findall(r'scrape_errors_total\{type="(\w+)"\} (\d+)', text)}


def test_a_good_meter_has_no_errors() -> None:
    assert errors(Faults()) == {}


def test_a_wrong_password_is_auth_each_interval() -> None:
    found = errors(Faults(lies=True), 0.25)
    assert found["auth"] >= 0.8 * 900 / INTERVAL - 2


def test_a_meter_that_no_scan_hears_is_ip_resolve_each_interval() -> None:
    found = errors(Faults(scan_empty=1000), 0.5)
    assert set(found) == {"ip_resolve"}
    assert found["ip_resolve"] >= 0.8 * 1800 / INTERVAL - 2


def test_a_meter_that_never_answers_is_query_and_one_that_answers_junk_is_parse() -> None:
    assert errors(Faults(silent=True))["query"] >= 5
    assert errors(Faults(wrong_pdc=1.0))["parse"] >= 5


def test_a_meter_that_goes_out_of_reach_is_counted_until_it_is_back() -> None:
    found = errors(Faults(outage=(3600, 900)), 1.0)
    assert 10 <= sum(found.values()) <= 900 / INTERVAL + 1
