"""The log: one line an event, with the meter in a key of its own; and a link that flaps does not fill the disk."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from meterline.logs import DAY, QUIET, REMEMBERED, Reminders, RepeatFilter, about, set_up

LOGGER = logging.getLogger("meterline")


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "meterline")
    return caplog


def written(style: str, capsys: pytest.CaptureFixture[str], *values: str, meter: str = "", defect: bool = False) -> str:
    """The line of one message."""
    handlers, level = logging.root.handlers[:], LOGGER.level
    try:
        set_up("info", style)
        LOGGER.warning(*values, extra=about(meter) if meter else None, exc_info=defect)
        return capsys.readouterr().err
    finally:
        logging.root.handlers[:] = handlers
        LOGGER.setLevel(level)


def test_logfmt_holds_time_level_meter_and_message(capsys: pytest.CaptureFixture[str]) -> None:
    time, level, rest = written("logfmt", capsys, "%s: lost", "tcp://x:1", meter="home").split(" ", 2)
    assert time.startswith("time=20")
    assert time.endswith("Z")
    assert level == "level=warn"
    assert rest == 'meter=home msg="tcp://x:1: lost"\n'


def test_json_holds_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.loads(written("json", capsys, "%s: lost", "tcp://x:1", meter="Büro 1"))
    assert list(facts) == ["time", "level", "meter", "msg"]
    assert facts["meter"] == "Büro 1"
    assert facts["msg"] == "tcp://x:1: lost"


def test_what_is_about_no_meter_has_no_such_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert "meter=" not in written("logfmt", capsys, "stopping")
    assert "meter" not in json.loads(written("json", capsys, "stopping"))


@pytest.mark.parametrize("value", ["a b", "a=b", 'a"b', "a\nb", "a\rb", "a\\b", "\x1b[2J", ""])
def test_whatever_a_value_holds_it_stays_on_its_line_and_can_be_read_back(
    value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = written("logfmt", capsys, "%s", value)
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1
    assert json.loads(line.partition("msg=")[2]) == value


@pytest.mark.parametrize("style", ["logfmt", "json"])
def test_a_defect_is_one_line_with_its_traceback(style: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ZeroDivisionError("oops")
    except ZeroDivisionError:
        assert sys.exc_info()
        line = written(style, capsys, "a defect", defect=True)
    assert line.count("\n") == 1
    assert "ZeroDivisionError: oops" in line


class Hours:
    """A clock that the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def flap(seconds: float, *states: str, every: float = 20.0, clock: Hours | None = None) -> RepeatFilter:
    """A link that changes between states."""
    clock = clock or Hours()
    news = RepeatFilter(clock)
    while clock.now < seconds:
        for state in states:
            news.tell(logging.WARNING, state, "home")
            news.tell(logging.WARNING, state, "home")  # the next try finds the same
            clock.now += every
    return news


def test_a_link_that_flaps_every_twenty_seconds_writes_two_lines_an_hour_for_each_state(
    said: pytest.LogCaptureFixture,
) -> None:
    flap(3600, "unplugged", "no such device", "the meter speaks again")
    assert len(said.messages) == 6
    assert said.messages[:3] == ["unplugged", "no such device", "the meter speaks again"]
    assert said.messages[3:] == [
        "unplugged (repeated 29 times)",
        "no such device (repeated 29 times)",
        "the meter speaks again (repeated 29 times)",
    ]


def test_numbers_in_a_text_do_not_make_it_news(said: pytest.LogCaptureFixture) -> None:
    flap(3600, *(f"in use by process {number}" for number in range(200)))
    assert said.messages == ["in use by process 0"]


def test_what_stays_is_written_once(said: pytest.LogCaptureFixture) -> None:
    flap(10 * QUIET, "silent")
    assert said.messages == ["silent"]


def test_what_was_held_back_and_is_still_so_is_written_in_the_end(said: pytest.LogCaptureFixture) -> None:
    clock = Hours()
    news = flap(60, "silent", "speaks", clock=clock)
    said.clear()
    assert not news.tell(logging.WARNING, "silent", "home")
    clock.now += QUIET
    assert news.tell(logging.WARNING, "silent", "home")
    assert said.messages == ["silent (repeated 2 times)"]
    assert news.tell(logging.WARNING, "silent", "home")
    assert len(said.messages) == 1


def test_a_reminder_is_due_once_and_again_after_a_day() -> None:
    clock = [0.0]
    reminders = Reminders(lambda: clock[0])
    due = []
    for hours in range(73):
        clock[0] = hours * 3600.0
        due += [hours] * reminders.due("home", "the meter is not heard")
    assert due == [0, 24, 48, 72]
    assert reminders.due("other", "the meter is not heard"), "each meter has its own"


def test_the_memory_of_reminders_is_bounded_and_forgets_the_oldest() -> None:
    reminders = Reminders(lambda: 0.0)
    for number in range(REMEMBERED + 1):
        assert reminders.due("home", str(number))
    assert len(reminders._written) == REMEMBERED
    assert not reminders.due("home", str(REMEMBERED))
    assert reminders.due("home", "0")
    assert DAY == 86_400
