"""A line wakes the reader once or twice a frame, no frame is late, and no byte is lost: the driver in virtual time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise

import pytest
from support.kernel_lines import at_speed, frames_of, watch
from support.tic_frames import IN_OVERLOAD, SUMMER_NOON, simulated

from meterline.meter.readings import Silent
from meterline.protocols.tic import listener
from meterline.protocols.tic.frames import ETX, encode_group
from meterline.simulation.line import noise

BYTE_S = {"standard": 10 / 9600, "historic": 10 / 1200}
FIXED = 0.14
"""Seconds by which a frame is late at the most where its end was not known: the fixed rest, a tick, a piece of the line."""
SOON = 0.05
"""Seconds by which a frame whose end was known is late at the most."""
LEARNING = 4
"""Frames until the pace is known."""
MESSAGE = encode_group("MSG2", "COUPURE DEMAIN  ")
ADPS = encode_group("ADPS", "040")


def frames(mode: str, count: int = 30, phases: int = 1) -> list[bytes]:
    return frames_of(simulated(mode, "HC", SUMMER_NOON, phases), count, BYTE_S[mode])


@pytest.mark.parametrize("mode", ["standard", "historic"])
@pytest.mark.parametrize("piece_s", [0.001, 0.01, 0.02])
def test_a_frame_is_published_at_once_and_costs_few_wake_ups(mode: str, piece_s: float) -> None:
    found = watch(at_speed(frames(mode), BYTE_S[mode], piece_s))
    assert max(found.delays) < FIXED
    assert max(found.delays[LEARNING:]) < SOON
    since = found.published[LEARNING]
    assert sum(moment > since for moment in found.wake_ups) <= 3 * len(found.published[LEARNING:])
    assert not found.lost


@pytest.mark.parametrize("mode", ["standard", "historic"])
def test_the_line_rests_for_fixed_times_until_its_pace_is_known(mode: str) -> None:
    found = watch(at_speed(frames(mode), BYTE_S[mode]))
    rests = [after - before for before, after in pairwise(found.wake_ups)]
    known = found.published[LEARNING - 1]
    begin = [rest for rest, woken in zip(rests, found.wake_ups[1:], strict=True) if woken < known]
    assert max(begin) < FIXED
    assert max(rests) > 0.4


def test_a_frame_is_cut_into_rests_shorter_than_what_the_kernel_keeps() -> None:
    tempo = frames_of(simulated("historic", "TEMPO", SUMMER_NOON, phases=3), 30, BYTE_S["historic"])
    for line in (tempo, frames_of(simulated("standard", "TEMPO", SUMMER_NOON, 3, True), 30, BYTE_S["standard"])):
        for crowd in (1, 100, 1000, 10_000):
            found = watch(at_speed(line, BYTE_S["historic" if line is tempo else "standard"]), crowd)
            assert max(after - before for before, after in pairwise(found.wake_ups)) < 2.1
            assert not found.lost


@pytest.mark.parametrize("mode", ["standard", "historic"])
def test_a_random_gap_between_frames_delays_none(mode: str) -> None:
    def line() -> Iterator[tuple[float, bytes]]:
        chance, begin = random.Random(1), 0.0
        for frame in frames(mode, 60):
            for moment, piece in at_speed([frame], BYTE_S[mode], 0.01):
                last = moment
                yield begin + moment, piece
            begin += last + chance.uniform(0.0067, 0.0234)  # a piece ends up to 10 ms late

    found = watch(line())
    assert max(found.delays[LEARNING:]) < SOON


@pytest.mark.parametrize("mode", ["standard", "historic"])
@pytest.mark.parametrize("burst_s", [0.1, 0.25, 1.0, 2.5])
def test_a_bridge_that_sends_in_bursts_delays_no_frame_by_more_than_a_burst(mode: str, burst_s: float) -> None:
    found = watch(at_speed(frames(mode, 60), BYTE_S[mode], burst_s))
    assert max(found.delays) < max(FIXED, min(burst_s, 0.3))
    assert not found.lost


def test_a_meter_of_another_speed_than_any_real_one_is_followed() -> None:
    found = watch(at_speed(frames("standard"), 10 / 4800))
    assert max(found.delays[LEARNING:]) < SOON


@pytest.mark.parametrize("drift", [0.99, 1.01])
def test_a_drifting_clock_of_a_meter_is_followed(drift: float) -> None:
    def line() -> Iterator[tuple[float, bytes]]:
        begin, byte_s = 0.0, BYTE_S["standard"]
        for frame in frames("standard", 100):
            for moment, piece in at_speed([frame], byte_s):
                last = moment
                yield begin + moment, piece
            begin += last + 0.02
            byte_s *= drift ** (1 / 50)

    assert max(watch(line()).delays[LEARNING:]) < SOON


def test_a_group_that_comes_and_goes_delays_its_frames_no_more_than_a_fixed_rest() -> None:
    plain = frames("standard", 60)
    line = [frame[:-1] + MESSAGE + ETX if number % 20 in (7, 11, 12) else frame for number, frame in enumerate(plain)]
    assert max(watch(at_speed(line, BYTE_S["standard"])).delays) < FIXED


def test_a_warning_of_overload_within_a_frame_is_not_delayed() -> None:
    plain = frames("historic", 40)
    line = [frame.replace(b"\nIMAX", ADPS + b"\nIMAX") if 10 <= number < 20 else frame for number, frame in enumerate(plain)]
    found = watch(at_speed(line, BYTE_S["historic"]))
    assert max(found.delays[LEARNING:20]) < SOON
    assert max(found.delays) < FIXED


def test_short_frames_of_an_overload_are_not_delayed() -> None:
    line = frames_of(simulated("historic", "HC", IN_OVERLOAD, phases=3, overload=True), 80, BYTE_S["historic"])
    lengths = [len(frame) for frame in line]
    assert min(lengths) < 0.5 * max(lengths)
    found = watch(at_speed(line, BYTE_S["historic"]))
    short = [delay for delay, length in zip(found.delays[LEARNING:], lengths[LEARNING:], strict=True) if length < 120]
    assert len(short) > 20
    assert max(short) < FIXED


@pytest.mark.parametrize("mode", ["standard", "historic"])
def test_a_frame_that_is_lost_or_torn_delays_no_other(mode: str) -> None:
    plain = frames(mode, 40)
    plain[10] = plain[10][: len(plain[10]) // 2] + ETX
    plain[20] = plain[20][:1] + plain[20][-60:]
    pieces = list(at_speed(plain, BYTE_S[mode]))
    found = watch([(moment, piece) for moment, piece in pieces if not 5.0 < moment < 5.3])
    assert len(found.published) >= 38
    rests = [after - before for before, after in pairwise(found.published)]
    assert max(rests) < 2 * max(map(len, plain)) * BYTE_S[mode] + 0.1


def test_a_line_without_etx_is_read_with_fixed_rests() -> None:
    line = [frame.replace(b"\r", b"\n").replace(ETX, b"") for frame in frames("historic")]
    found = watch(at_speed(line, BYTE_S["historic"]))
    assert max(after - before for before, after in pairwise(found.wake_ups)) < FIXED


@pytest.mark.parametrize("mode", ["standard", "historic"])
@pytest.mark.parametrize("part", [1.0, 0.2, 0.5, 0.9])
def test_silence_is_noticed_ten_seconds_after_the_last_byte(mode: str, part: float) -> None:
    line = frames(mode)
    line[-1] = line[-1][: int(part * len(line[-1]))]
    found = watch(at_speed(line, BYTE_S[mode]))
    assert isinstance(found.error, Silent)
    assert listener.REST_S + 9.5 < found.ended - found.last_byte < 10.2


def test_a_change_of_mode_and_speed_is_noticed_as_soon_as_ever() -> None:
    standard, historic = frames("standard", 20), b"".join(frames("historic", 20))
    after = list(at_speed(standard, BYTE_S["standard"]))
    change = after[-1][0]
    noisy = noise(historic[:2000], 1200, 9600)
    found = watch(after + [(change + moment, piece) for moment, piece in at_speed([noisy], 10 / 1200)])
    assert isinstance(found.error, Silent)
    assert found.ended - change < 10.2


@pytest.mark.parametrize("mode", ["standard", "historic"])
def test_a_meter_of_a_thousand_is_read_at_a_fixed_pace(mode: str) -> None:
    found = watch(at_speed(frames(mode, 60), BYTE_S[mode], 0.1), crowd=1000)
    assert min(after - before for before, after in pairwise(found.wake_ups)) > 1.0
    assert max(found.delays[20:]) < 1.3
    assert not found.lost


@pytest.mark.parametrize("mode", ["standard", "historic"])
def test_a_meter_of_two_hundred_wakes_the_reader_once_a_frame(mode: str) -> None:
    found = watch(at_speed(frames(mode, 60), BYTE_S[mode], 0.1), crowd=200)
    settled = found.published[20]
    assert sum(moment > settled for moment in found.wake_ups) <= 1.1 * len(found.published[20:])
    assert max(found.delays[20:]) < 0.3
    assert not found.lost


def test_noise_that_looks_like_frames_is_read_with_fixed_rests() -> None:
    """Else the next speed would be tried later."""
    found = watch(at_speed([b"\x02\nADCO noise" + 200 * b"U" + ETX] * 30, BYTE_S["historic"]))
    assert isinstance(found.error, Silent)
    assert max(after - before for before, after in pairwise(found.wake_ups)) < FIXED
