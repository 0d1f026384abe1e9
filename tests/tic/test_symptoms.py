"""What is wrong with the line is named, with the remedy; on a good line nothing is."""

from __future__ import annotations

from random import Random

import pytest
from contract import cut
from simulated import IN_OVERLOAD, RED_ANNOUNCED, WINTER_EVENING, simulated, stream
from test_frames import even_parity, sealed

from meterline.protocols.tic.frames import ETX, STX, Decoder
from meterline.protocols.tic.symptoms import ENOUGH, Symptoms
from meterline.simulator import Faults, noise

HISTORIC = stream(simulated("historic", "HC", WINTER_EVENING), 6)
STANDARD = stream(simulated("standard", "TEMPO", RED_ANNOUNCED), 6)
SHORT = stream(simulated("historic", "HC", IN_OVERLOAD, phases=3, overload=True), 6)
EACH = pytest.mark.parametrize("data", [HISTORIC, STANDARD], ids=["historic", "standard"])


def hint(data: bytes, size: int = 100) -> str:
    symptoms, decoder = Symptoms(), Decoder()
    for piece in cut(data, size):
        symptoms.feed(piece, decoder.feed(piece))
    return symptoms.hint() or ""


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


def test_nothing_is_said_of_too_few_bytes() -> None:
    assert hint(b"\0" * (ENOUGH - 1)) == ""
    assert hint(b"\0" * ENOUGH) != ""


def test_nothing_is_said_of_nothing() -> None:
    assert hint(b"") == ""


def test_a_line_that_was_good_for_long_is_not_blamed_for_noise() -> None:
    assert hint(HISTORIC * 20 + bytes(5000)) == ""


@EACH
def test_valid_groups_are_counted_for_ever(data: bytes) -> None:
    symptoms, decoder = Symptoms(), Decoder()
    for _ in range(20):
        symptoms.feed(data, decoder.feed(data))
    assert symptoms.groups == 20 * data.count(b"\n")
