"""How much of what arrives is accepted: of the last minute, said once when it is little and once when that is over."""

from __future__ import annotations

import logging
import re

import pytest
from support.live_meters import POWER, fake, line, logged, reading, run, talking, tic, until

from meterline.locale import codes
from meterline.locale import language as spoken
from meterline.meter.line_quality import MOST_HINTS, SHOWN_FOR, LineQuality
from meterline.meter.meter import Meter
from meterline.meter.readings import Hint, Rejected, Snapshot
from meterline.protocols.trial import Trial
from meterline.simulation.line import Faults
from meterline.web.page.meter_tables import details

RATIO = "smartmeter_line_accepted_ratio"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def minutes(line: LineQuality, clock: Clock, accepted: int, rejected: int, seconds: int) -> list[int]:
    """The seconds in which it turns."""
    turns = []
    for second in range(seconds):
        clock.now += 1
        line.count(accepted, rejected)
        if line.turns():
            turns.append(second)
    return turns


def test_the_ratio_is_that_of_the_last_minute() -> None:
    clock = Clock()
    found = LineQuality(clock)
    assert found.accepted_ratio is None
    minutes(found, clock, 3, 1, 60)
    assert found.accepted_ratio == 0.75
    minutes(found, clock, 0, 4, 30)
    assert found.accepted_ratio == pytest.approx(0.375, abs=0.05)
    minutes(found, clock, 4, 0, 70)
    assert found.accepted_ratio == 1.0
    clock.now += 70
    assert found.accepted_ratio is None


def test_the_line_turns_once_when_most_is_lost_and_once_when_that_is_over() -> None:
    clock = Clock()
    found = LineQuality(clock)
    assert minutes(found, clock, 9, 1, 120) == []
    assert len(minutes(found, clock, 1, 9, 300)) == 1
    assert found.lossy
    assert minutes(found, clock, 5, 4, 300) == []  # near a half it does not turn to and fro
    assert len(minutes(found, clock, 9, 1, 300)) == 1
    assert not found.lossy


def test_the_line_is_not_judged_by_a_few_seconds_or_by_little() -> None:
    clock = Clock()
    assert minutes(LineQuality(clock), clock, 0, 50, 15) == []
    assert minutes(LineQuality(clock), clock, 0, 1, 15) == []


def test_what_is_implausible_did_arrive() -> None:
    meter = Meter("home", clock=Clock())
    meter.take(Snapshot((), words={"PAPP": "00390"}))
    meter.counters.reject(Rejected("implausible"))
    assert meter.counters.line.accepted_ratio == 1.0
    meter.counters.reject(Rejected("checksum"))
    meter.refresh()
    assert f'{RATIO}{{meter="home"}} 0.5\n' in "".join(meter.text.columns)


def test_the_gauge_goes_with_what_it_was_made_of() -> None:
    clock = Clock()
    meter = Meter("home", clock=clock)
    meter.take(Snapshot(()))
    meter.refresh()
    assert RATIO in "".join(meter.text.columns)
    clock.now += 100
    meter.refresh()
    assert RATIO not in "".join(meter.text.columns)


def test_hints_are_bounded_and_gone_when_the_link_is_opened_again() -> None:
    found = LineQuality(Clock())
    found.note(Hint("it works", good=True))
    for number in range(100):
        found.note(Hint(f"{number} is strange"))
    assert len(found.hints) == MOST_HINTS
    found.begin()
    assert not found.hints


def test_the_page_of_the_meter_shows_what_is_wrong_with_its_remedy() -> None:
    clock = Clock()
    meter = Meter("home", clock=clock)
    for language in map(spoken, codes()):
        assert details(meter, language)["diagnosis"].startswith('<tr><td colspan="2">')
    meter.counters.line.note(Hint("<b>lines</b> are trimmed", remedy="set it to <raw>"))
    meter.counters.line.trouble = "nothing arrives & nobody knows why"
    rows = details(meter, spoken("fr"))["diagnosis"]
    assert [re.sub(r"<[^>]+>", "|", row) for row in rows.split('<tr lang="en">')[1:]] == [
        "|nothing arrives &amp; nobody knows why||||",
        "|&lt;b&gt;lines&lt;/b&gt; are trimmed||set it to &lt;raw&gt;||",
    ]
    meter.take(Snapshot((), words={"PAPP": "00390"}))
    assert "Accepté cette dernière minute</th><td>100,0\u00a0%" in details(meter, spoken("fr"))["counters"]


def test_detect_says_that_most_is_lost_in_words() -> None:
    meter = Meter("home", clock=Clock())
    meter.take(Snapshot((), words={"PAPP": "00390"}))
    assert list(Trial(meter, [Hint("it is strange", remedy="mend it")], "").notes) == ["it is strange; mend it"]
    for _ in range(3):
        meter.counters.reject(Rejected("checksum"))
    (text,) = Trial(meter, [], "").notes
    assert text.startswith("most of what arrives is damaged: 25% of it is accepted")


@pytest.mark.usefixtures("soon")
def test_the_log_says_once_that_most_is_lost_and_once_that_it_is_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "meterline")
    monkeypatch.setattr("meterline.meter.line_quality.STEP", 0.1)
    monkeypatch.setattr("meterline.meter.line_quality.ENOUGH", 1)

    async def test() -> None:
        meter, faults = fake(), Faults(bit_errors=0.012)
        async with line() as (url, write), reading(tic("home", url)) as runtime:

            async def speak(until_said: str, faults: Faults) -> None:
                def spoken() -> bool:
                    meter.advance(meter.now + 1)
                    write(faults.damage(meter.frame()))
                    return until_said in caplog.text

                await until(spoken)

            meter.advance(1_763_800_000)
            await speak("most of what arrives is damaged", faults)
            assert runtime.meters["home"].counters.line.lossy
            await speak("whole again", Faults())
            assert not runtime.meters["home"].counters.line.lossy

    run(test())
    lines = [text for text in logged(caplog) if "most of what arrives" in text]
    assert len(lines) == 2, lines
    assert "meterline doctor looks for the cause" in lines[0]


@pytest.mark.usefixtures("soon")
def test_a_good_line_accepts_everything() -> None:
    async def test() -> None:
        async with talking(fake()) as url, reading(tic("home", url)) as runtime:
            await until(lambda: runtime.meters["home"].value(*POWER))
            assert runtime.meters["home"].counters.line.accepted_ratio == 1.0
            assert not runtime.meters["home"].counters.line.trouble

    run(test())


def test_a_hint_that_nobody_repeats_is_no_longer_shown_and_the_latest_stay() -> None:
    clock = Clock()
    found = LineQuality(clock)
    for number in range(MOST_HINTS + 1):
        found.note(Hint(f"{number} is strange"))
    assert found.hints[0].text == "1 is strange", "the oldest gave way"
    clock.now += SHOWN_FOR
    found.note(Hint("1 is strange"))
    clock.now += 1
    assert [hint.text for hint in found.hints] == ["1 is strange"]


def test_the_page_does_not_say_that_nothing_is_strange_where_most_is_lost() -> None:
    meter = Meter("home", clock=Clock())
    meter.counters.reject(Rejected("checksum"))
    meter.counters.line.lossy = True
    rows = details(meter, spoken("en"))["diagnosis"]
    assert "most of what arrives is damaged: 0% of the groups or replies of the last minute accepted" in rows


def test_labels_of_a_newer_meter_are_no_damage() -> None:
    meter = Meter("home", clock=Clock())
    meter.take(Snapshot((), words={"PAPP": "00390"}))
    meter.counters.reject(Rejected("unknown_label", times=3))
    assert meter.counters.line.accepted_ratio == 1.0
