"""Frames of all kinds on the page of the Linky exporter: which labels its series have, and when there is nothing to scrape."""

from __future__ import annotations

import re

import pytest

from meterline.compat.linky_env_page import MISSING_LABEL_WAIT_S, Page
from meterline.meter.link_reach import HOLDS
from meterline.meter.meter import Meter
from meterline.protocols.tic.derived import readings
from meterline.protocols.tic.frames import Assembler, Decoder, Group, encode_frame

BASE = {
    "ADCO": "041876097767",
    "OPTARIF": "BASE",
    "ISOUSC": "30",
    "BASE": "002354947",
    "PTEC": "TH..",
    "IINST": "011",
    "IMAX": "090",
    "PAPP": "02610",
    "HHPHC": "A",
    "MOTDETAT": "000000",
}
LABELS = {"ADCO", "HHPHC", "IMAX", "MOTDETAT", "OPTARIF", "PTEC"}
EVERY = 1.5
"""Seconds between two frames."""


class Line:
    """A meter whose clock the test sets, and the page of it."""

    def __init__(self, stale_after: float = 10.0) -> None:
        self.now = 1000.0
        self.meter = Meter("m", stale_after, clock=lambda: self.now)
        self.page = Page(self.meter, "job")
        self._decoder, self._assembler = Decoder(), Assembler()

    def hear(self, said: dict[str, str], times: int = 1) -> None:
        """Frames that hold all of this."""
        self.feed(encode_frame(Group(label, None, data) for label, data in said.items()), times)

    def feed(self, data: bytes, times: int = 1) -> None:
        for _ in range(times):
            self.now += EVERY
            for frame in self._assembler.feed(self._decoder.feed(data)):
                self.meter.take(readings(frame))

    def labels(self) -> set[str]:
        """Names of the labels of each series, which are the same for all."""
        found = {tuple(re.findall(r'[{,](\w+)="', row)) for row in self.page.text().splitlines() if row[0] != "#"}
        assert len(found) <= 1
        return {name for names in found for name in names}


def without(*labels: str) -> dict[str, str]:
    return {label: data for label, data in BASE.items() if label not in labels}


@pytest.mark.parametrize("missing", sorted(LABELS))
def test_a_label_that_the_meter_does_not_send_is_no_label_and_all_else_is_shown(missing: str) -> None:
    line = Line()
    line.hear(without(missing), 3)
    assert line.labels() == {label.lower() for label in LABELS - {missing}} | {"job"}
    for family in ("isousc", "base", "iinst", "papp"):
        assert f"\nlinky_{family}{{" in line.page.text()


@pytest.mark.parametrize("missing", ["ISOUSC", "BASE", "PAPP", "IINST"])
def test_a_value_that_the_meter_does_not_send_is_no_family(missing: str) -> None:
    line = Line()
    line.hear(without(missing), 3)
    assert f"linky_{missing.lower()}" not in line.page.text()
    assert line.labels() == {label.lower() for label in LABELS} | {"job"}


@pytest.mark.parametrize("missing", ["ADCO", "OPTARIF", "PTEC"])
def test_one_frame_in_which_a_label_is_missing_proves_nothing(missing: str) -> None:
    line = Line()
    line.hear(without(missing))
    assert line.page.text() == "", "a group may be lost without a trace"
    frame = encode_frame(Group(label, None, data) for label, data in BASE.items())
    line.feed(frame.replace(missing.encode(), missing.encode().lower()), 3)
    assert line.page.text() == "", "it was sent, and damaged"
    line.hear(BASE)
    assert line.labels() == {label.lower() for label in LABELS} | {"job"}


@pytest.mark.parametrize("missing", sorted(LABELS))
def test_no_series_becomes_another_one_because_a_label_is_not_said_any_more(missing: str) -> None:
    line = Line()
    line.hear(BASE, 3)
    before = line.labels()
    for _ in range(40):
        line.hear(without(missing))
        assert line.labels() in (before, set())
    assert line.labels() == set(), "its last value is too old to be shown"
    line.hear(BASE)
    assert line.labels() == before
    for _ in range(int(MISSING_LABEL_WAIT_S / EVERY) + 40):
        line.hear(without(missing))
    assert line.labels() == before - {missing.lower()}, "not for ever"


def test_another_meter_has_its_own_labels_and_no_value_of_the_one_before() -> None:
    line = Line()
    line.hear(BASE | {"ADPS": "031"}, 3)
    line.hear(without("HHPHC") | {"ADCO": "031428097115"}, 2)
    assert 'adco="031428097115"' in line.page.text()
    assert "hhphc" not in line.labels()
    assert "linky_adps" not in line.page.text()


def test_help_texts_are_those_of_the_original() -> None:
    line = Line()
    line.hear(without("BASE") | {"OPTARIF": "HC..", "HCHC": "012345678", "HCHP": "023456789"}, 2)
    assert "# HELP linky_hchc_total Index Heure Creuse en Wh\n" in line.page.text()
    assert "# HELP linky_hchp_total Index Heure Pleine en Wh\n" in line.page.text()


# When there is nothing to scrape.


def test_a_scrape_fails_once_no_frame_has_come_for_longer_than_the_time_of_a_frame() -> None:
    line = Line(stale_after=30)
    line.now += 30
    assert line.page.failure() == "", "a restart does not flash"
    line.feed(b"noise" * 20)
    assert "no complete frame" in line.page.failure()
    line.hear(without("PTEC"))
    assert "no complete frame" in line.page.failure(), "it may be torn"
    line.hear(BASE)
    assert line.page.failure() == ""
    line.now += 3600
    assert (line.page.failure(), line.page.text()) == ("", ""), "silence after a first frame is no failure of the scrape"


def test_a_scrape_fails_while_the_link_cannot_be_opened() -> None:
    line = Line()
    line.hear(BASE, 2)
    line.meter.counters.reach.end("lost", line.now)
    line.now += 10
    assert line.page.failure() == ""
    for _ in range(3):
        line.now += 5
        line.meter.counters.reach.end("unopened", line.now)
        assert "cannot be opened" in line.page.failure()
    for _ in range(2):  # a bridge without its device accepts and closes
        line.meter.counters.reach.open(line.now)
        line.now += 1
        line.meter.counters.reach.end("lost", line.now)
        assert "cannot be opened" in line.page.failure()
    line.meter.counters.reach.open(line.now)
    line.now += HOLDS
    assert line.page.failure() == ""


def test_a_link_that_rests_because_the_meter_is_silent_is_no_failure_of_the_scrape() -> None:
    line = Line()
    line.hear(BASE, 2)
    line.meter.counters.reach.end("given_up", line.now)
    line.now += 60
    assert line.page.failure() == ""
