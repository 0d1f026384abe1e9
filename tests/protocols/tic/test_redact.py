"""A redacted capture says everything but who it is."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from support.decoder_contract import cut, flipped, fuzz, without_a_byte
from support.tic_bytes import CUTS, MUTATIONS, cut_at, even_parity, groups_of, mutated, rejects_of, sealed
from support.tic_frames import IN_OVERLOAD, RED_ANNOUNCED, WINTER_EVENING, simulated, stream

from meterline.protocols.tic.fields import FIELDS
from meterline.protocols.tic.frames import ETX, Group, encode_group
from meterline.protocols.tic.redact import HARMLESS, Redactor

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
    return [group for group in groups if group.label not in ("ADCO", "ADSC", "PRM", "MSG1", "MSG2")]


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


NAMES = (b"DUPONT", b"DURAND", b"LILAS", b"12345678901234")


def message(label: str, text: str) -> bytes:
    """A frame with a message of the distributor."""
    return re.sub(rb"\nMSG1[^\r]*\r", encode_group(label, text), STANDARD.frame())


MESSAGES = [
    message("MSG1", "M. DUPONT, 3 rue des LILAS".ljust(32)),
    message("MSG1", "PRM 12345678901234".ljust(32)),
    message("MSG2", "DURAND".ljust(16)),
]


@pytest.mark.parametrize("data", MESSAGES)
def test_messages_are_masked_whole(data: bytes) -> None:
    out = redacted(data)
    assert len(out) == len(data)
    assert rejects_of(out) == []
    assert not any(name.lower() in out.lower() for name in NAMES)
    (shown,) = [group.data for group in groups_of(out) if group.label.startswith("MSG")]
    assert set(shown) == {"X"}


@pytest.mark.parametrize("data", MESSAGES)
def test_no_damage_lets_a_message_through(data: bytes) -> None:
    start = data.index(b"\nMSG")
    end = data.index(b"\r", start) + 1
    for kind, damaged in (("flipped", flipped(data[start:end])), ("lost", without_a_byte(data[start:end]))):
        for where, bad in damaged:
            out = redacted(data[:start] + bad + data[end:])
            assert not any(name.lower() in out.lower() for name in NAMES), f"{where} {kind}"


def test_only_listed_labels_pass_and_every_label_was_thought_about() -> None:
    masked = {"ADCO", "ADSC", "PRM", "MSG1", "MSG2", "NGTF", "LTARF"}
    assert HARMLESS | masked == FIELDS.keys()
    assert not HARMLESS & masked


@pytest.mark.parametrize(
    ("label", "text", "stays"),
    [
        ("NGTF", " H PLEINE/CREUSE", True),
        ("NGTF", "HC et Week-End  ", True),
        ("LTARF", "   HC  BLANC    ", True),
        ("LTARF", "INDEX INACTIF 2 ", True),
        ("NGTF", "OFFRE DUPONT    ", False),
        ("LTARF", "12345678901234  ", False),
    ],
)
def test_the_name_of_a_tariff_stays_where_it_is_known(label: str, text: str, stays: bool) -> None:
    (group,) = groups_of(redacted(encode_group(label, text)))
    assert group == Group(label, None, text if stays else "X" * 16)


def test_an_unknown_label_shows_nothing() -> None:
    out = redacted(b"\n" + sealed("NOM\tDUPONT 12345678901234\t") + b"\r")
    assert not any(name in out for name in NAMES)
    assert not any(digit in out for digit in b"123456789")


@EACH
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda data: data.replace(b"\n", b"\x0e"), id="LF as 0E"),
        pytest.param(lambda data: data.replace(b"\r", b"\x0c").replace(b"\n", b"\x0b"), id="both"),
        pytest.param(lambda data: data.replace(b"\n", b"\0" * 9 + b"\n"), id="NULs"),
        pytest.param(lambda data: data.replace(b"\n", b"\x11\n\x13"), id="XON and XOFF"),
    ],
)
def test_what_is_wrong_with_the_line_ends_stays(change: Callable[[bytes], bytes], data: bytes) -> None:
    out = redacted(change(data))
    assert out == change(redacted(data))
    assert SECRET not in out


def test_a_group_whose_spaces_were_cut_off_stays_but_not_one_that_names_the_household() -> None:
    assert redacted(b"\nPTEC HP..\r") == b"\nPTEC HP..\r"
    addresses = (encode_group("ADCO", f"{'9' * nines}{digit}".ljust(12, "0")) for nines in range(12) for digit in range(10))
    sent = next(group for group in addresses if group.endswith(b" \r"))
    assert redacted(b"\n" + sent.strip() + b"\r") == b"\nADCO 000000000000\r"


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
