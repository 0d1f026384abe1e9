"""What is wrong with the line is named, with the remedy; on a good line nothing is."""

from __future__ import annotations

import pickle
import re
from random import Random

import pytest
from support.decoder_contract import cut
from support.tic_bytes import even_parity, sealed
from support.tic_frames import IN_OVERLOAD, RED_ANNOUNCED, WINTER_EVENING, simulated, stream

from meterline.protocols.tic.diagnose import nothing_valid, pattern
from meterline.protocols.tic.frames import ETX, STX, Decoder, Group, encode_frame, encode_group
from meterline.protocols.tic.line_faults import ENOUGH, Symptoms
from meterline.protocols.tic.speed_probe import SpeedProbe
from meterline.simulation.line import Faults, noise

HISTORIC = stream(simulated("historic", "HC", WINTER_EVENING), 6)
STANDARD = stream(simulated("standard", "TEMPO", RED_ANNOUNCED), 6)
UNUSED = re.sub(rb"\nEASD01[^\r]*\r", encode_group("EASD01", "000000000"), STANDARD)
"""Its checksum is a space."""
CLEAN = (
    *(("ADCO", "042176000077"), ("OPTARIF", "HC.."), ("ISOUSC", "30"), ("HCHC", "001204317"), ("HCHP", "002408634")),
    *(("PTEC", "HP.."), ("IINST", "002"), ("IMAX", "090"), ("PAPP", "00390"), ("MOTDETAT", "000000")),
)
SHORT = stream(simulated("historic", "HC", IN_OVERLOAD, phases=3, overload=True), 6)
EACH = pytest.mark.parametrize("data", [HISTORIC, STANDARD], ids=["historic", "standard"])


def heard(data: bytes, size: int = 100, baud: int | None = 9600) -> SpeedProbe:
    heard, decoder = SpeedProbe(baud), Decoder()
    for piece in cut(data, size):
        heard.take(piece, decoder.feed(piece))
    return heard


def hint(data: bytes, size: int = 100) -> str:
    """What is said of a line, with its remedy; empty where nothing is."""
    line = heard(data, size)
    found = pattern(line.symptoms) if line.sure else nothing_valid([line])
    return found.sentence if found else ""


@pytest.mark.parametrize(
    "data",
    [HISTORIC, STANDARD, SHORT, HISTORIC[77:], HISTORIC + STANDARD],
    ids=["historic", "standard", "short frames", "joined in the middle", "change of mode"],
)
def test_nothing_is_wrong_with_a_good_line(data: bytes) -> None:
    for size in (1, 100, len(data)):
        assert hint(data, size) == ""


@EACH
def test_a_line_with_some_damage_needs_no_hint(data: bytes) -> None:
    assert hint(Faults(bit_errors=0.002, lost_bytes=0.002).damage(data)) == ""


@EACH
def test_a_terminal_in_cooked_mode_is_named(data: bytes) -> None:
    assert "raw" in hint(data.replace(b"\r", b"\n").replace(ETX, b""))


@EACH
def test_a_terminal_in_cooked_mode_is_named_on_an_8n1_line_too(data: bytes) -> None:
    cooked = even_parity(data).replace(b"\x8d", b"\n").replace(ETX, b"")
    assert "raw" in hint(cooked)


@EACH
def test_an_8n1_line_is_named_though_it_is_read(data: bytes) -> None:
    assert "8N1" in hint(even_parity(data))


@EACH
def test_a_burst_of_noise_on_a_7e1_line_is_not_taken_for_8n1(data: bytes) -> None:
    dice = Random(4)
    for length in (400, 2000):
        for place in (0, len(data) // 2):
            assert "8N1" not in hint(data[:place] + dice.randbytes(length) + data[place:])


def test_nuls_between_groups_are_no_weak_signal() -> None:
    assert hint(STANDARD.replace(b"\n", b"\0" * 9 + b"\n")) == ""


@pytest.mark.parametrize(("data", "label"), [(HISTORIC, "PTEC"), (UNUSED, "EASD01")], ids=["historic", "standard"])
def test_lines_that_something_trims_are_named_with_the_group_that_is_always_lost(data: bytes, label: str) -> None:
    trimmed = re.sub(rb"[ \t]+\r", b"\r", data)
    assert trimmed != data
    text = hint(trimmed)
    assert "spaces at the ends of lines are cut off" in text
    assert label in text
    assert "raw" in text
    assert "screws" not in text


@EACH
def test_the_first_byte_after_each_pause_is_named_where_groups_lose_it(data: bytes) -> None:
    for lost in (b"", b"\x01", b"?"):
        text = hint(re.sub(rb"\n.", b"\n" + lost, data))
        assert "the first byte after each pause is lost" in text, lost


@EACH
def test_the_first_byte_after_each_pause_is_named_where_frames_lose_it(data: bytes) -> None:
    assert "no frame has its first byte" in hint(data.replace(STX, b""))
    assert "no frame has its first byte" in hint(data.replace(STX, b"\x7f"))


def test_a_label_that_is_always_damaged_is_named() -> None:
    text = hint(re.sub(rb"\nPAPP 0", b"\nPAPP O", HISTORIC))
    assert text.startswith("the group PAPP is damaged in each frame, and hardly any other")


def test_a_label_that_is_damaged_now_and_then_is_not_named() -> None:
    assert hint(HISTORIC * 9 + HISTORIC.replace(b"\nPAPP 0", b"\nPAPP O")) == ""


def test_what_begins_after_hours_is_named_too() -> None:
    symptoms, decoder = Symptoms(), Decoder()
    day, night = re.sub(rb" +\r", b"\r", HISTORIC), HISTORIC.replace(b"HP..  ", b"HC.. S")
    for data in (*[night] * 400, *[day] * 100):
        symptoms.feed(data, decoder.feed(data))
    found = pattern(symptoms)
    assert found
    assert found.text.endswith("are lost: PTEC")


def test_only_the_address_is_standby() -> None:
    standby = encode_frame([Group("ADCO", None, "021528000001")]) * 30
    assert "standby" in hint(standby)
    assert hint(standby + HISTORIC) == ""


def test_text_that_is_not_of_a_meter_is_told_from_noise_and_from_damage() -> None:
    gps = b"$GPGGA,120000,4800.000,N,00200.000,E,1,08,0.9,100.0,M,46.9,M,,*47\r\n"
    assert hint(gps * 40).startswith("text, but not of a meter")
    assert hint(Random(2).randbytes(6000)).startswith("only noise arrives: this is no meter, or the wrong speed")
    assert hint(re.sub(rb".\r", b"~\r", STANDARD)).startswith("groups arrive, and every one of them is damaged")


def test_a_wrong_speed_is_mended_on_the_bridge_where_the_link_has_none() -> None:
    line = heard(noise(STANDARD * 8, 9600, 1200), baud=None)
    assert nothing_valid([line]).remedy.startswith("set the bridge to the meter's speed")


def test_what_is_remembered_is_bounded() -> None:
    symptoms, decoder, dice = Symptoms(), Decoder(), Random(6)
    for _ in range(300):
        for data in (HISTORIC, STANDARD.replace(b"\n", b"\n!"), dice.randbytes(5000)):
            symptoms.feed(data, decoder.feed(data))
    assert len(pickle.dumps(symptoms)) < 8000


@EACH
def test_wrong_parity_is_named(data: bytes) -> None:
    assert "parity" in hint(bytes(len(data)))


@EACH
def test_a_weak_signal_is_named(data: bytes) -> None:
    dice = Random(5)
    assert "weak signal" in hint(bytes(byte if dice.random() > 0.3 else 0 for byte in data))


@EACH
def test_bytes_that_are_hardly_ever_printable_are_named_as_noise(data: bytes) -> None:
    dice = Random(5)
    assert "noise" in hint(bytes(dice.choice((0x01, 0x80, 0x8F, 0x9E, 0xF8, 0x1F, 0x55)) for _ in data))


@pytest.mark.parametrize(("data", "sent", "heard"), [(HISTORIC, 1200, 9600), (STANDARD, 9600, 1200)])
def test_a_wrong_speed_is_named_and_not_taken_for_a_wrong_parity(data: bytes, sent: int, heard: int) -> None:
    text = hint(noise(data * 8, sent, heard))
    assert "wrong speed" in text
    assert "parity" not in text


def test_the_meter_of_a_company_is_named() -> None:
    groups = [f"PS {n:03d}kVA " for n in range(4)] + [f"EApP {n:06d}kWh " for n in range(4)] + ["DATE 22/01/25 10:00:00 "]
    frame = STX + b"".join(b"\n" + sealed(text) + b"\r" for text in groups) + ETX
    assert "not that of a household" in hint(frame * 5)


def test_a_household_s_meter_with_new_labels_is_not_a_company_s() -> None:
    new = b"".join(b"\n" + sealed(f"EASF{n}\t000000000\t") + b"\r" for n in range(11, 20))
    assert hint((STANDARD + STX + new + ETX) * 3) == ""


def test_no_cause_is_named_of_too_few_bytes() -> None:
    assert "hardly anything arrives" in hint(b"\0" * (ENOUGH - 1))
    assert "NULs" in hint(b"\0" * ENOUGH)
    assert "nothing arrives at all" in hint(b"")


def test_a_line_that_was_good_for_long_is_not_blamed_for_noise() -> None:
    assert hint(HISTORIC * 20 + bytes(5000)) == ""


@EACH
def test_valid_groups_are_counted_for_ever(data: bytes) -> None:
    symptoms, decoder = Symptoms(), Decoder()
    for _ in range(20):
        symptoms.feed(data, decoder.feed(data))
    assert symptoms.groups == 20 * data.count(b"\n")


@pytest.mark.parametrize("reads", [1, 2, 3, 4, 8, 16])
def test_a_clean_line_has_no_symptom_however_its_frames_are_cut(reads: int) -> None:
    frame = encode_frame(Group(label, None, data) for label, data in CLEAN)
    size = -(-len(frame) // reads)
    decoder, seen = Decoder(), Symptoms()
    for _ in range(4000):
        for start in range(0, len(frame), size):
            data = frame[start : start + size]
            seen.feed(data, decoder.feed(data))
        assert pattern(seen) is None
