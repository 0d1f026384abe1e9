"""STGE, bit by bit: the examples of the reference, then every field by itself."""

from __future__ import annotations

import pytest

from meterline.meter.readings import Rejected, Series, Value
from meterline.protocols.tic.frames import Group, check, encode_group
from meterline.protocols.tic.stge import status_readings, supplier_tariff, tempo_tomorrow

Said = dict[Series, Value]

BREAKER = (
    "closed",
    "open_overpower",
    "open_overvoltage",
    "open_load_shedding",
    "open_remote_order",
    "open_overheating_high_current",
    "open_overheating",
)


def decoded(word: str) -> Said:
    """All readings; one-hot families as the state that is 1."""
    said: Said = {}
    for series, value in status_readings(word):
        assert series not in said
        said[series] = value
    return said


def states(said: Said, family: str) -> set[str]:
    return {series[1] for series, value in said.items() if series[0] == family and value == 1}


def flags(said: Said) -> set[str]:
    """The yes-or-no families that are 1, without their common prefix."""
    return {series[0].removeprefix("smartmeter_") for series, value in said.items() if len(series) == 1 and value == 1}


EXAMPLES = [
    # word, flags, distributor's register, PLC modem, Euridis output, notice, running, today; supplier's register, tomorrow
    ("003A0001", set(), "EASD01", "new_locked", "on_secured", set(), set(), set(), 1, None),
    ("013AC401", set(), "EASD04", "new_locked", "on_secured", set(), set(), {"blue"}, 2, None),
    ("463A0800", {"contact_closed"}, "EASD01", "new_locked", "on_secured", set(), {"1"}, {"white"}, 3, "blue"),
    ("9B3A9000", {"contact_closed"}, "EASD03", "new_locked", "on_secured", {"1"}, {"2"}, {"red"}, 5, "white"),
    ("003A0101", {"producer"}, "EASD01", "new_locked", "on_secured", set(), set(), set(), 1, None),
    ("003A0301", {"producer", "exporting"}, "EASD01", "new_locked", "on_secured", set(), set(), set(), 1, None),
    ("000A4411", {"cover_open"}, "EASD02", "new_unlocked", "on", set(), set(), set(), 2, None),
]


@pytest.mark.parametrize(
    ("word", "true", "distributor", "modem", "output", "notice", "running", "today", "supplier", "tomorrow"),
    EXAMPLES,
    ids=[str(example[0]) for example in EXAMPLES],
)
def test_the_examples_of_the_reference(
    word: str,
    true: set[str],
    distributor: str,
    modem: str,
    output: str,
    notice: set[str],
    running: set[str],
    today: set[str],
    supplier: int,
    tomorrow: str | None,
) -> None:
    said = decoded(word)
    assert flags(said) == true
    assert states(said, "smartmeter_distributor_tariff_active") == {distributor}
    assert states(said, "smartmeter_plc_modem") == {modem}
    assert states(said, "smartmeter_euridis_output") == {output}
    assert states(said, "smartmeter_breaker") == {"closed"}
    assert states(said, "smartmeter_peak_notice") == notice
    assert states(said, "smartmeter_peak_running") == running
    assert states(said, "smartmeter_tempo_colour") == today
    assert supplier_tariff(word) == supplier
    assert tempo_tomorrow(word) == tomorrow


@pytest.mark.parametrize(
    ("bit", "family"),
    [
        (4, "cover_open"),
        (6, "overvoltage"),
        (7, "overload"),
        (8, "producer"),
        (9, "exporting"),
        (16, "clock_degraded"),
        (23, "plc_synchronised"),
    ],
)
def test_a_flag_is_its_bit_and_no_other(bit: int, family: str) -> None:
    for other in set(range(32)) - {20}:  # alone it is no state of the Euridis output
        said = decoded(f"{1 << other:08X}")
        assert said[(f"smartmeter_{family}",)] == int(other == bit)


def test_bit_0_is_the_contact_and_1_means_open() -> None:
    assert decoded("00000000")[("smartmeter_contact_closed",)] == 1
    for other in set(range(32)) - {20}:
        assert decoded(f"{1 << other:08X}")[("smartmeter_contact_closed",)] == int(other != 0)


@pytest.mark.parametrize("bit", [5, 17, 18])
def test_unused_bits_say_nothing(bit: int) -> None:
    assert decoded(f"{0x003A0001 ^ 1 << bit:08X}") == decoded("003A0001")


@pytest.mark.parametrize(("code", "state"), list(enumerate(BREAKER)))
def test_the_breaker_says_why_it_is_open(code: int, state: str) -> None:
    said = decoded(f"{code << 1:08X}")
    assert states(said, "smartmeter_breaker") == {state}
    assert {series[1] for series in said if series[0] == "smartmeter_breaker"} == set(BREAKER)


@pytest.mark.parametrize(("code", "state"), [(0, "off"), (1, "on"), (3, "on_secured")])
def test_the_euridis_output(code: int, state: str) -> None:
    assert states(decoded(f"{code << 19:08X}"), "smartmeter_euridis_output") == {state}


@pytest.mark.parametrize(("code", "state"), [(0, "new_unlocked"), (1, "new_locked"), (2, "registered")])
def test_the_power_line_modem(code: int, state: str) -> None:
    assert states(decoded(f"{code << 21:08X}"), "smartmeter_plc_modem") == {state}


@pytest.mark.parametrize("bits", [7 << 1, 1 << 5, 10 << 10, 15 << 10, 1 << 18, 2 << 19, 3 << 21])
def test_a_word_with_a_code_that_is_not_defined_is_refused_as_a_whole(bits: int) -> None:
    good, bad = (check(encode_group("STGE", f"{word:08X}")[1:-1]) for word in (1 << 17, 1 << 17 | bits))
    assert isinstance(good, Group)
    assert isinstance(bad, Rejected)


def test_a_word_that_is_not_of_standard_mode_is_refused() -> None:
    assert isinstance(check(encode_group("STGE", "00380001")[1:-1]), Rejected)


@pytest.mark.parametrize("code", range(4))
def test_the_distributor_s_register(code: int) -> None:
    assert states(decoded(f"{code << 14:08X}"), "smartmeter_distributor_tariff_active") == {f"EASD0{code + 1}"}


@pytest.mark.parametrize("code", range(10))
def test_the_supplier_s_register_is_one_of_ten(code: int) -> None:
    assert supplier_tariff(f"{code << 10:08X}") == code + 1
    assert supplier_tariff(f"{0xFFFFC3FF | code << 10:08X}") == code + 1


@pytest.mark.parametrize(("code", "colour"), [(1, "blue"), (2, "white"), (3, "red")])
def test_colours_of_today_and_tomorrow(code: int, colour: str) -> None:
    assert states(decoded(f"{code << 24:08X}"), "smartmeter_tempo_colour") == {colour}
    assert tempo_tomorrow(f"{code << 26:08X}") == colour


def test_no_colour_today_clears_it_since_the_contract_may_have_none() -> None:
    assert {value for series, value in decoded("0C000000").items() if series[0] == "smartmeter_tempo_colour"} == {None}


def test_no_colour_tomorrow_is_not_known_yet() -> None:
    assert tempo_tomorrow("F3FFFFFF") is None


@pytest.mark.parametrize("code", range(4))
def test_the_notice_and_the_run_of_a_peak(code: int) -> None:
    expected = {str(code)} - {"0"}
    assert states(decoded(f"{code << 28:08X}"), "smartmeter_peak_notice") == expected
    assert states(decoded(f"{code << 30:08X}"), "smartmeter_peak_running") == expected
