"""The clock of the machine: what of its jumps is believed, and when."""

from __future__ import annotations

from pathlib import Path

import pytest

from meterline.history import clock as wall
from meterline.history.clock import CONFIRM_S, EARLIEST_UNIX, TrustedClock, synchronised

NOON = 1_780_000_000
HOUR = 3600
DAY = 86_400


class Clock:
    """A clock on the wall that can be set, beside one that cannot."""

    def __init__(self, shows: float = NOON) -> None:
        self.shows, self.monotonic = shows, 0.0
        self.wall = TrustedClock(lambda: self.shows)
        self.wall.moment(self.monotonic)

    def after(self, seconds: float) -> int | None:
        self.shows += seconds
        self.monotonic += seconds
        return self.wall.moment(self.monotonic)


def test_a_clock_that_goes_is_believed() -> None:
    clock = Clock()
    assert [clock.after(seconds) for seconds in (0, 1, HOUR, 30 * DAY)] == [NOON, NOON + 1, NOON + 3601, NOON + 3601 + 30 * DAY]


def test_one_that_was_never_set_is_not() -> None:
    clock = Clock(5.0)
    assert clock.after(100) is None
    clock.shows = NOON
    assert clock.after(1) == NOON + 1
    assert EARLIEST_UNIX < NOON


def test_one_that_is_corrected_by_minutes_is_believed_at_once() -> None:
    clock = Clock()
    clock.after(2 * DAY)
    clock.shows -= 600
    assert clock.after(1) == int(clock.shows)


def test_one_that_is_late_after_a_start_is_believed_as_soon_as_it_is_set() -> None:
    clock = Clock(NOON - 19 * DAY)
    clock.after(30)
    clock.shows = NOON
    assert clock.after(1) == NOON + 1


def test_a_jump_back_is_tried_for_an_hour_also_soon_after_a_start() -> None:
    clock = Clock()
    clock.after(30)
    clock.shows -= DAY
    assert clock.after(1) is None
    assert clock.after(CONFIRM_S - 2) is None
    assert clock.after(2) == int(clock.shows)


def test_a_jump_later_is_believed_when_it_has_held_for_an_hour() -> None:
    for jump in (-DAY, DAY):
        clock = Clock()
        clock.after(DAY)
        clock.shows += jump
        assert clock.after(1) is None
        assert clock.after(CONFIRM_S - 2) is None
        assert clock.after(2) == int(clock.shows)


def test_a_jump_that_is_taken_back_was_none() -> None:
    clock = Clock()
    clock.after(DAY)
    clock.shows += 365 * DAY
    assert clock.after(60) is None
    clock.shows -= 365 * DAY
    assert clock.after(60) == NOON + DAY + 120


def test_another_jump_begins_its_own_trial() -> None:
    clock = Clock()
    clock.after(DAY)
    clock.shows += DAY
    clock.after(HOUR - 10)
    clock.shows += DAY
    assert clock.after(20) is None
    assert clock.after(CONFIRM_S) == int(clock.shows)


def test_the_kernel_says_whether_its_clock_is_kept_right_or_not_at_all() -> None:
    assert synchronised() in (True, False, None)


@pytest.mark.parametrize(
    ("state", "set_once", "known"), [(0, False, True), (5, True, False), (-1, True, True), (-1, False, None)]
)
def test_where_the_kernel_may_not_be_asked_the_file_of_systemd_tells(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, state: int, set_once: bool, known: bool | None
) -> None:
    monkeypatch.setattr(wall, "_question", lambda: lambda: state)
    monkeypatch.setattr(wall, "TIMESYNC", tmp_path / "synchronized")
    if set_once:
        wall.TIMESYNC.touch()
    assert synchronised() is known
