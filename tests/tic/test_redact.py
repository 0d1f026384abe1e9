"""A redacted capture says everything but who it is."""

from __future__ import annotations

import pickle
from random import Random

import pytest
from contract import cut, flipped, fuzz, without_a_byte
from hypothesis import given
from simulated import IN_OVERLOAD, RED_ANNOUNCED, WINTER_EVENING, simulated, stream
from test_frames import CUTS, MUTATIONS, cut_at, even_parity, groups_of, mutated, rejects_of

from meterline.protocols.tic.frames import ETX, Group, encode_group
from meterline.protocols.tic.redact import Redactor

NUMBER = 987654
HISTORIC = simulated("historic", "HC", WINTER_EVENING)
STANDARD = simulated("standard", "TEMPO", RED_ANNOUNCED)
HISTORIC.number = STANDARD.number = NUMBER
STREAMS = [stream(HISTORIC, 3), stream(STANDARD, 3)]
EACH = pytest.mark.parametrize("data", STREAMS, ids=["historic", "standard"])
SECRET = b"987654"


def redacted(*pieces: bytes) -> bytes:
    redactor = Redactor()
    return b"".join(redactor.feed(piece) for piece in pieces)


def without_identity(groups: list[Group]) -> list[Group]:
    return [group for group in groups if group.label not in ("ADCO", "ADSC", "PRM")]


@EACH
def test_every_group_stays_but_those_that_name_the_household(data: bytes) -> None:
    assert SECRET in data
    out = redacted(data)
    assert SECRET not in out
    assert len(out) == len(data)
    assert rejects_of(out) == []
    assert without_identity(groups_of(out)) == without_identity(groups_of(data))
    assert len(groups_of(out)) == len(groups_of(data))


@EACH
def test_maker_year_and_type_of_the_meter_stay(data: bytes) -> None:
    for group in groups_of(redacted(data)):
        if group.label in ("ADCO", "ADSC"):
            assert group.data == "042175000000"


def test_nothing_of_the_delivery_point_stays() -> None:
    assert {group.data for group in groups_of(redacted(STREAMS[1])) if group.label == "PRM"} == {"0" * 14}


@EACH
@pytest.mark.parametrize("size", [1, 2, 7, 64, 500])
def test_the_output_is_the_same_however_the_input_comes(data: bytes, size: int) -> None:
    assert redacted(*cut(data, size)) == redacted(data)


@EACH
def test_redacting_twice_changes_nothing_more(data: bytes) -> None:
    assert redacted(redacted(data)) == redacted(data)


@EACH
def test_an_8n1_capture_comes_out_with_seven_bits_and_as_anonymous(data: bytes) -> None:
    assert redacted(even_parity(data)) == redacted(data)


def test_short_frames_are_redacted_too() -> None:
    meter = simulated("historic", "HC", IN_OVERLOAD, phases=3, overload=True)
    meter.number = NUMBER
    data = stream(meter, 4)
    assert SECRET in data
    assert SECRET not in redacted(data)


@pytest.mark.parametrize(
    "line",
    [
        b"ADCO 042175987654 ~",
        b"ADCO 042175987654",
        b"DCO 042175987654 +",
        b"75987654 +",
        b"AD\0CO 042175987654 +",
        b"ADCO 042175987654 +ADCO 042175987654 +",
        b"ADSC\t042175987654\t~",
        b"PRM\t00000000987654\t~",
        b"PRL\t00000000987654\t+",
        b"XYZ 987654987654",
    ],
)
def test_a_damaged_group_keeps_none_of_its_digits(line: bytes) -> None:
    out = redacted(b"\n" + line + b"\r")
    assert len(out) == len(line) + 2
    assert not any(digit in out for digit in b"123456789")


@EACH
def test_no_flipped_bit_and_no_lost_byte_lets_the_number_through(data: bytes) -> None:
    frame = data[: data.index(ETX) + 1]
    for kind, damaged in (("flipped", flipped(frame)), ("lost", without_a_byte(frame))):
        for where, bad in damaged:
            assert SECRET not in redacted(bad), f"{where} {kind}"


@fuzz
@given(MUTATIONS, CUTS)
def test_fuzz_no_damage_lets_the_number_through(mutations: list[tuple[int, str, int]], places: list[int]) -> None:
    for data in STREAMS:
        out = redacted(*cut_at(mutated(data, mutations), places))
        assert SECRET not in out
        assert not set(groups_of(out)) & {Group(label, None, f"042175{NUMBER}") for label in ("ADCO", "ADSC")}


def test_a_line_that_was_begun_is_never_shown() -> None:
    redactor = Redactor()
    assert redactor.feed(b"\nADCO 042175987654 ") == b"\n"
    assert redactor.feed(b"ADCO 042175987654") == b""


@pytest.mark.parametrize("end", [b"\r", b"\n", ETX], ids=["CR", "LF", "ETX"])
def test_a_line_is_shown_as_soon_as_it_ends(end: bytes) -> None:
    group = encode_group("IINST", "007")[:-1]
    redactor = Redactor()
    assert redactor.feed(group + end) == group + end


def test_endless_noise_without_line_ends_keeps_little_and_gives_nothing() -> None:
    redactor, noise = Redactor(), Random(3)
    table = bytes(byte if byte & 0x7F not in b"\r\n\x03" else 0x55 for byte in range(256))
    for _ in range(50):
        assert redactor.feed(noise.randbytes(8000).translate(table)) == b""
        assert len(pickle.dumps(redactor)) < 2000


def test_nothing_comes_of_nothing() -> None:
    assert redacted(b"", b"", b"") == b""
