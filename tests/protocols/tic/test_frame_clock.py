"""The end of a frame is foretold by its place and the pace of its line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterline.protocols.tic.frame_clock import ENOUGH_FRAMES, GAP_S, LONGER, LONGEST_REST_S, SHORT_FRAME_S, FrameClock

FRAME = b"\x02\nADCO " + b"x" * 192 + b"\x03"
BYTE_S = 0.01


def settled(frame: bytes = FRAME, frames: int = ENOUGH_FRAMES + 1) -> tuple[FrameClock, float]:
    """A clock that has seen some frames, and the moment at which the next one begins."""
    clock, now = FrameClock(), 0.0
    for _ in range(frames):
        now += len(frame) * BYTE_S
        clock.take(now, frame)
        now += GAP_S
    return clock, now


def test_the_end_is_foretold_by_the_bytes_that_are_there() -> None:
    clock, begin = settled()
    end = begin + len(FRAME) * BYTE_S
    assert clock.take(begin + 10 * BYTE_S, FRAME[:10]) == pytest.approx(end)
    assert clock.take(begin + 150 * BYTE_S, FRAME[10:150]) == pytest.approx(end)


def test_nothing_is_foretold_before_three_frames_and_before_the_begin_of_the_frame() -> None:
    clock, begin = settled(frames=ENOUGH_FRAMES)
    assert clock.take(begin + 10 * BYTE_S, FRAME[:10]) is None
    clock, begin = settled()
    assert clock.take(begin + 5 * BYTE_S, FRAME[:5]) is None
    assert clock.take(begin + 6 * BYTE_S, FRAME[5:6]) is not None


def test_a_frame_that_begins_otherwise_or_is_interrupted_is_not_foretold() -> None:
    clock, begin = settled()
    assert clock.take(begin + 10 * BYTE_S, FRAME[:10].replace(b"ADCO", b"ADIR")) is None
    clock, begin = settled()
    assert clock.take(begin + 50 * BYTE_S, FRAME[:50] + b"\x04") is None
    assert clock.take(begin + 60 * BYTE_S, FRAME[:10]) is None


def test_the_shorter_of_the_last_two_frames_counts() -> None:
    clock, begin = settled()
    longer = FRAME[:-1] + b"y" * 30 + b"\x03"
    begin += len(longer) * BYTE_S + GAP_S
    clock.take(begin - GAP_S, longer)
    assert clock.take(begin + 10 * BYTE_S, FRAME[:10]) == pytest.approx(begin + len(FRAME) * BYTE_S)


def test_a_frame_that_is_longer_is_awaited_for_some_bytes() -> None:
    clock, begin = settled()
    now = begin + len(FRAME) * BYTE_S
    assert clock.take(now, FRAME[:-1] + b"y") == now
    assert clock.take(now + 1, b"y" * (LONGER - 1)) == now + 1
    assert clock.take(now + 2, b"y") is None


def test_a_line_of_another_pace_is_learnt_anew() -> None:
    clock, now = settled()
    foretold: list[float | None] = []
    for _ in range(2 * ENOUGH_FRAMES):
        now += 2 * len(FRAME) * BYTE_S
        clock.take(now, FRAME[6:] if foretold else FRAME)
        now += GAP_S + 0.12
        foretold.append(clock.take(now, FRAME[:6]))
    assert foretold[0] is None
    assert foretold[-1] == pytest.approx(now + (len(FRAME) - 6) * 2 * BYTE_S, rel=0.01)


def test_parity_bits_change_nothing() -> None:
    clock, begin = settled(bytes(byte | (byte.bit_count() & 1) << 7 for byte in FRAME))
    assert clock.take(begin + 10 * BYTE_S, FRAME[:10]) == pytest.approx(begin + len(FRAME) * BYTE_S)


def test_three_phases_are_looked_at_before_a_short_frame_could_end() -> None:
    assert settled()[0].longest_rest == LONGEST_REST_S
    assert settled(FRAME.replace(b"x" * 20, b"\nIINST1 002 Y\rxxxxxx"))[0].longest_rest == SHORT_FRAME_S


def test_bytes_that_were_found_after_a_rest_came_at_the_pace_of_the_line() -> None:
    clock, begin = settled()
    clock.take(begin + 10 * BYTE_S, FRAME[:10])
    read_at = begin + 10 * BYTE_S
    assert clock.arrival(read_at + 5, 20) == pytest.approx(read_at + 20 * BYTE_S + GAP_S)
    assert clock.arrival(read_at + 0.1, 20) == read_at + 0.1
    assert FrameClock().arrival(7.0, 20) == 7.0


PIECES = [b"", b"x", b"\x03", b"\x04", FRAME, FRAME[:20], FRAME[20:], b"\xff" * 300]


@given(st.lists(st.tuples(st.floats(0, 5), st.sampled_from(PIECES))))
def test_no_end_is_foretold_that_has_passed(reads: list[tuple[float, bytes]]) -> None:
    clock, now = FrameClock(), 0.0
    for seconds, data in reads:
        now += seconds
        assert clock.arrival(now, len(data)) <= now
        end = clock.take(now, data)
        assert end is None or end >= now
