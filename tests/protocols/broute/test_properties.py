"""The properties of a low-voltage meter: what each says, and that nothing is shown of bytes that cannot be right."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.decoder_contract import fuzz

from meterline.meter.families import FAMILIES
from meterline.meter.readings import Rejected, Series, Value
from meterline.protocols.broute import properties as p
from meterline.protocols.broute.echonet import Property
from meterline.protocols.broute.readings import readings

STEP = {
    0x00: "1000",
    0x01: "100",
    0x02: "10",
    0x03: "1",
    0x04: "0.1",
    0x0A: "10000",
    0x0B: "100000",
    0x0C: "1000000",
    0x0D: "10000000",
}
"""E1 → watt-hours of one step, by the standard's table."""
UNIT = p.unit(b"\0\0\0\1", b"\1", b"\6")
"""The usual one: steps of 0.1 kWh, six digits."""
WIDEST = p.unit(b"\0\0\0\1", b"\1", None)

POWER: Series = ("smartmeter_power_watts",)
R: Series = ("smartmeter_current_amperes", "r")
T: Series = ("smartmeter_current_amperes", "t")
IMPORT: Series = ("smartmeter_energy_import_watthours_total",)
EXPORT: Series = ("smartmeter_energy_export_watthours_total",)
REGISTERS = pytest.mark.parametrize(("epc", "series"), [(p.IMPORT, IMPORT), (p.EXPORT, EXPORT)], ids=["E0", "E3"])
HALF_HOURS = pytest.mark.parametrize(
    ("epc", "direction"), [(p.HALF_HOUR_IMPORT, "import"), (p.HALF_HOUR_EXPORT, "export")], ids=["EA", "EB"]
)
NONE = bytes.fromhex("FFFFFFFE")

RIGHT = {
    0x80: "30",
    0x82: "00004600",
    0x88: "42",
    0x8A: "000016",
    0x8D: "543031323334353637383900",
    0xC0: "00000016" + "0123456789ABCDEF01234567",
    0xD0: "07EA05140E0A00" + "0000FE73" + "00000016",
    0xE0: "0000FE73",
    0xE3: "00000016",
    0xE7: "00000278",
    0xE8: "001E0032",
    0xEA: "07EA05140E0000" + "0000FE68",
    0xEB: "07EA0518161E00" + "00000016",
}
"""A right value of every property that is read."""
EACH = pytest.mark.parametrize("epc", RIGHT, ids=lambda epc: f"{epc:02X}")


def said(*properties: tuple[int, bytes | str]) -> list[Property]:
    return [Property(epc, bytes.fromhex(edt) if isinstance(edt, str) else edt) for epc, edt in properties]


def values(*properties: tuple[int, bytes | str], unit: p.Unit | None = UNIT) -> dict[Series, Value]:
    """What is read; nothing of it is rejected, nothing comes twice."""
    found, rejected = readings(said(*properties), unit)
    assert rejected == []
    assert len(dict(found)) == len(found)
    return dict(found)


def assert_rejected(epc: int, edt: bytes | str, unit: p.Unit | None = UNIT) -> None:
    """It is counted and nothing of it is shown, and the properties around it are as without it."""
    ((_, raw),) = said((epc, edt))
    found, rejected = readings(said((0xE7, "FFFFFCB8"), (0x97, "0E1A"), (epc, raw), (0xE8, "001E0032"), (0x83, b"")), unit)
    assert rejected == [Rejected("malformed", bytes([epc, len(raw)]) + raw)]
    assert dict(found) == {POWER: -840, R: 3.0, T: 5.0}


def four(number: int) -> bytes:
    return number.to_bytes(4, signed=number < 0)


def utc(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[misc,arg-type]


class TestPowerAndCurrent:
    @pytest.mark.parametrize("watts", [0, 1, 632, -1, -840, -1500, 2_147_483_645, -2_147_483_647])
    def test_power_is_signed_and_negative_is_injected(self, watts: int) -> None:
        assert values((0xE7, four(watts))) == {POWER: watts}

    @pytest.mark.parametrize("edt", ["7FFFFFFE", "7FFFFFFF", "80000000"], ids=["not_measured", "over", "under"])
    def test_there_is_no_power_where_the_meter_says_so(self, edt: str) -> None:
        assert values((0xE7, edt)) == {POWER: None}

    @pytest.mark.parametrize(
        ("edt", "r", "t"),
        [
            ("001E0032", 3.0, 5.0),
            ("FFF6FFEC", -1.0, -2.0),
            ("00010003", 0.1, 0.3),
            ("00000000", 0.0, 0.0),
            ("7FFD8001", 3276.5, -3276.7),
            ("00107FFE", 1.6, None),
            ("7FFE0010", None, 1.6),
            ("7FFF8000", None, None),
            ("80007FFF", None, None),
            ("7FFE7FFE", None, None),
            ("FFFFFFFF", -0.1, -0.1),
        ],
    )
    def test_current_is_signed_in_tenths_by_phase(self, edt: str, r: float | None, t: float | None) -> None:
        assert values((0xE8, edt)) == {R: r, T: t}

    def test_every_tenth_of_an_ampere_is_printed_without_noise(self) -> None:
        for tenths in range(-32767, 32766, 7):
            found = values((0xE8, tenths.to_bytes(2, signed=True) * 2))
            assert repr(found[R]) == repr(found[T]) == str(Decimal(tenths) / 10 if tenths % 10 else f"{tenths // 10}.0")


class TestEnergy:
    @REGISTERS
    @pytest.mark.parametrize("factor", [1, 2, 100, 999_999])
    @pytest.mark.parametrize("code", STEP, ids=lambda code: f"E1={code:02X}")
    @pytest.mark.parametrize("steps", [0, 1, 3, 336_213, 99_999_999])
    def test_a_register_is_its_steps_times_e1_times_d3(
        self, epc: int, series: Series, factor: int, code: int, steps: int
    ) -> None:
        unit = p.unit(four(factor), bytes([code]), None)
        assert values((epc, four(steps)), unit=unit) == {series: float(Fraction(STEP[code]) * factor * steps)}

    def test_steps_of_a_tenth_of_a_kilowatthour(self) -> None:
        assert values((0xE0, four(336_213))) == {IMPORT: 33_621_300.0}

    @pytest.mark.parametrize("steps", [1, 3, 7, 123_456, 33_333_333, 99_999_999])
    def test_steps_of_a_tenth_of_a_watthour_have_no_noise(self, steps: int) -> None:
        unit = p.unit(b"\0\0\0\1", b"\4", None)
        assert repr(values((0xE0, four(steps)), unit=unit)[IMPORT]) == f"{steps // 10}.{steps % 10}"

    @REGISTERS
    def test_not_measured_is_no_value(self, epc: int, series: Series) -> None:
        assert values((epc, NONE)) == {series: None}

    @pytest.mark.parametrize("steps", [100_000_000, 0x7FFFFFFF, 0xFFFFFFFD, 0xFFFFFFFF])
    @pytest.mark.parametrize("epc", [0xE0, 0xE3])
    def test_more_than_eight_digits_are_rejected(self, epc: int, steps: int) -> None:
        assert_rejected(epc, four(steps), WIDEST)

    @pytest.mark.parametrize("digits", range(1, 9))
    @pytest.mark.parametrize("epc", [0xE0, 0xE3])
    def test_a_register_has_no_more_digits_than_the_meter_says(self, epc: int, digits: int) -> None:
        unit = p.unit(b"\0\0\0\1", b"\1", bytes([digits]))
        assert unit.steps == 10**digits
        assert list(values((epc, four(10**digits - 1)), unit=unit).values()) == [float((10**digits - 1) * 100)]
        assert_rejected(epc, four(10**digits), unit)

    @pytest.mark.parametrize("epc", [0xE0, 0xE3, 0xEA, 0xEB, 0xD0], ids=lambda epc: f"{epc:02X}")
    def test_without_a_unit_there_is_no_energy(self, epc: int) -> None:
        found = values((epc, RIGHT[epc]), (0xE7, RIGHT[0xE7]), unit=None)
        assert found.pop(POWER) == 632
        assert set(found.values()) <= {None}

    @fuzz
    @given(st.integers(0, 99_999_999), st.integers(1, 999_999), st.sampled_from(sorted(STEP)))
    def test_fuzz_energy_is_the_nearest_number(self, steps: int, factor: int, code: int) -> None:
        unit = p.unit(four(factor), bytes([code]), None)
        assert values((0xE0, four(steps)), unit=unit) == {IMPORT: float(Fraction(STEP[code]) * factor * steps)}


class TestUnit:
    @pytest.mark.parametrize("coefficient", ["", "01", "000001", "0000000001", "00000000", "000F4240", "7FFFFFFF", "FFFFFFFF"])
    def test_a_wrong_coefficient_is_refused(self, coefficient: str) -> None:
        with pytest.raises(ValueError, match=r"D3|width"):
            p.unit(bytes.fromhex(coefficient), b"\1", b"\6")

    @pytest.mark.parametrize("exponent", ["", "0100", "05", "09", "0E", "10", "81", "FF"])
    def test_a_wrong_exponent_is_refused(self, exponent: str) -> None:
        with pytest.raises(ValueError, match=r"E1|width"):
            p.unit(b"\0\0\0\1", bytes.fromhex(exponent), b"\6")

    @pytest.mark.parametrize("digits", ["", "0006", "00", "09", "0A", "FF"])
    def test_wrong_digits_are_refused(self, digits: str) -> None:
        with pytest.raises(ValueError, match=r"D7|width"):
            p.unit(b"\0\0\0\1", b"\1", bytes.fromhex(digits))

    def test_only_the_codes_of_the_standard_are_known(self) -> None:
        for code in set(range(256)) - STEP.keys():
            with pytest.raises(ValueError, match="E1"):
                p.unit(b"\0\0\0\1", bytes([code]), None)

    def test_a_meter_without_digits_has_eight(self) -> None:
        assert p.unit(b"\0\0\0\1", b"\0", None) == (Decimal(1000), 10**8)

    def test_the_largest_coefficient_is_taken(self) -> None:
        assert p.unit(four(999_999), b"\2", b"\1") == (Decimal(9_999_990), 10)


class TestTimes:
    @HALF_HOURS
    @pytest.mark.parametrize(
        ("edt", "at"),
        [
            ("07EA05140E0000", utc(2026, 5, 20, 5, 0)),
            ("07E70C13001E00", utc(2023, 12, 18, 15, 30)),
            ("07EA0101000000", utc(2025, 12, 31, 15, 0)),
            ("07E8021D080000", utc(2024, 2, 28, 23, 0)),
            ("07EA0C1F173B3B", utc(2026, 12, 31, 14, 59, 59)),
            ("07D00101090000", utc(2000, 1, 1)),
        ],
    )
    def test_a_half_hour_is_in_japans_time(self, epc: int, direction: str, edt: str, at: float) -> None:
        family = f"smartmeter_fixed_energy_{direction}"
        assert values((epc, edt + "0000FE68")) == {
            (f"{family}_watthours", "30m"): 6_512_800.0,
            (f"{family}_timestamp_seconds", "30m"): at,
        }

    @HALF_HOURS
    def test_a_half_hour_that_was_not_measured_has_no_time_either(self, epc: int, direction: str) -> None:
        family = f"smartmeter_fixed_energy_{direction}"
        expected = {(f"{family}_watthours", "30m"): None, (f"{family}_timestamp_seconds", "30m"): None}
        assert values((epc, "07EA05140E0000FFFFFFFE")) == expected

    @pytest.mark.parametrize(
        ("registers", "imported", "exported"),
        [
            ("0000FE7300000016", 6_513_900.0, 2200.0),
            ("FFFFFFFE00000016", None, 2200.0),
            ("0000FE73FFFFFFFE", 6_513_900.0, None),
            ("FFFFFFFEFFFFFFFE", None, None),
        ],
    )
    def test_a_minute_has_both_directions(self, registers: str, imported: float | None, exported: float | None) -> None:
        at = utc(2026, 5, 20, 5, 10)
        found = values((0xD0, "07EA05140E0A00" + registers))
        for direction, energy in (("import", imported), ("export", exported)):
            family = f"smartmeter_fixed_energy_{direction}"
            assert found[f"{family}_watthours", "1m"] == energy
            assert found[f"{family}_timestamp_seconds", "1m"] == (None if energy is None else at)
        assert len(found) == 4

    @pytest.mark.parametrize("epc", [0xEA, 0xEB, 0xD0], ids=lambda epc: f"{epc:02X}")
    @pytest.mark.parametrize(
        "edt",
        [
            "07EA00140E0000",
            "07EA0D140E0000",
            "07EA05000E0000",
            "07EA05200E0000",
            "07EA021E0E0000",
            "07EA021D0E0000",
            "07EA041F0E0000",
            "07EA0514180000",
            "07EA05140E3C00",
            "07EA05140E003C",
            "000005140E0000",
            "271005140E0000",
            "FFFFFFFFFFFFFF",
            "00000000000000",
        ],
    )
    def test_an_impossible_date_is_rejected(self, epc: int, edt: str) -> None:
        assert_rejected(epc, edt + RIGHT[epc][14:])

    @pytest.mark.parametrize("registers", ["05F5E10000000016", "00000016FFFFFFFF", "000F424000000016", "00000016000F4240"])
    def test_neither_direction_of_a_minute_is_shown_where_one_is_impossible(self, registers: str) -> None:
        assert_rejected(0xD0, "07EA05140E0A00" + registers)

    @pytest.mark.parametrize("epc", [0xEA, 0xEB])
    def test_a_half_hour_has_no_more_digits_than_the_meter(self, epc: int) -> None:
        assert_rejected(epc, "07EA05140E0000000F4240")

    def test_the_meters_clock_says_the_beginning_of_a_minute(self) -> None:
        assert p.minute(bytes.fromhex("0E1A"), bytes.fromhex("07EA0514")) == utc(2026, 5, 20, 5, 26)
        assert p.minute(bytes.fromhex("0000"), bytes.fromhex("07EA0301")) == utc(2026, 2, 28, 15, 0)

    @pytest.mark.parametrize(
        ("time", "date"),
        [
            ("1800", "07EA0514"),
            ("0E3C", "07EA0514"),
            ("0E1A", "07EA021D"),
            ("0E1A", "00000514"),
            ("0E1A", "FFFFFFFF"),
            ("0E", "07EA0514"),
            ("0E1A00", "07EA0514"),
            ("0E1A", "07EA05"),
            ("", ""),
            ("0E1A07", "EA0514"),
        ],
    )
    def test_an_impossible_clock_is_refused(self, time: str, date: str) -> None:
        with pytest.raises(ValueError, match=r"width|must be|out of range"):
            p.minute(bytes.fromhex(time), bytes.fromhex(date))

    def test_time_and_date_are_no_readings_by_themselves(self) -> None:
        assert values((0x97, "0E1A"), (0x98, "07EA0514")) == {}


class TestStatesAndIdentity:
    @pytest.mark.parametrize(
        ("epc", "edt", "family", "value"),
        [
            (0x80, "30", "smartmeter_operating", 1.0),
            (0x80, "31", "smartmeter_operating", 0.0),
            (0x88, "41", "smartmeter_fault", 1.0),
            (0x88, "42", "smartmeter_fault", 0.0),
        ],
    )
    def test_on_and_off_and_fault_and_none(self, epc: int, edt: str, family: str, value: float) -> None:
        assert values((epc, edt)) == {(family,): value}

    @pytest.mark.parametrize(("epc", "allowed"), [(0x80, (0x30, 0x31)), (0x88, (0x41, 0x42))], ids=["80", "88"])
    def test_every_other_state_is_rejected(self, epc: int, allowed: tuple[int, int]) -> None:
        for code in set(range(256)) - {*allowed}:
            assert_rejected(epc, bytes([code]))

    @pytest.mark.parametrize(
        ("edt", "text"), [("00004600", "F.0"), ("00005201", "R.1"), ("00005A0C", "Z.12"), ("00004100", "A.0")]
    )
    def test_the_release_of_the_standard(self, edt: str, text: str) -> None:
        assert values((0x82, edt)) == {("smartmeter_info", "release"): text}

    @pytest.mark.parametrize("edt", ["010C0100", "00000000", "00006100", "00004000", "00005B00", "0000C600"])
    def test_a_release_that_is_no_capital_letter_is_rejected(self, edt: str) -> None:
        assert_rejected(0x82, edt)

    @pytest.mark.parametrize(
        ("edt", "text"),
        [
            ("000016", "Toshiba"),
            ("000035", "Toshiba Toko Meter Systems"),
            ("000008", "000008"),
            ("00ABCD", "00ABCD"),
            ("FFFFFF", "FFFFFF"),
        ],
    )
    def test_a_known_maker_has_a_name_and_an_unknown_one_its_code(self, edt: str, text: str) -> None:
        assert values((0x8A, edt)) == {("smartmeter_info", "manufacturer"): text}

    @pytest.mark.parametrize(
        ("edt", "text"),
        [
            (b"T01234567890", "T01234567890"),
            (b"T0123\0\0\0\0\0\0\0", "T0123"),
            (b"T 0123-45\0\0\0", "T 0123-45"),
            (b"T0123       ", "T0123"),
            (b"T0123 \0 \0  \0", "T0123"),
            (b"\0" * 12, None),
            (b" " * 12, None),
        ],
    )
    def test_a_number_is_printed_without_its_padding(self, edt: bytes, text: str | None) -> None:
        assert values((0x8D, edt)) == {("smartmeter_info", "address"): text}

    @pytest.mark.parametrize(
        "edt",
        [
            b"T0123456789\xff",
            b"\x8301234567890",
            "Ｔ0123".encode().ljust(12, b"\0"),
            b"T0123\x00456789",
            b"\0T0123456789",
            b"T0123\r\n\0\0\0\0\0",
            b"\xff" * 12,
        ],
    )
    def test_a_number_that_cannot_be_printed_is_rejected(self, edt: bytes) -> None:
        assert_rejected(0x8D, edt)

    def test_the_identification_is_hexadecimal(self) -> None:
        assert values((0xC0, RIGHT[0xC0])) == {("smartmeter_info", "identification"): RIGHT[0xC0]}


class TestFrames:
    @EACH
    def test_every_right_value_is_shown(self, epc: int) -> None:
        found = values((epc, RIGHT[epc]))
        assert found
        assert None not in found.values()

    @EACH
    def test_another_length_is_rejected_and_the_rest_of_the_frame_is_kept(self, epc: int) -> None:
        right = bytes.fromhex(RIGHT[epc])
        for wrong in (right[:-1], right + b"\0", right[1:], right * 2, right[:1] + right):
            if wrong:
                assert_rejected(epc, wrong)

    @EACH
    def test_refused_is_passed_over(self, epc: int) -> None:
        assert values((epc, b""), (0xE7, four(5))) == {POWER: 5}
        assert values((epc, b"")) == {}

    def test_several_wrong_ones_are_each_counted(self) -> None:
        found, rejected = readings(said((0xE7, "00"), (0xE0, NONE), (0xE8, "00"), (0x80, "30")), UNIT)
        assert dict(found) == {IMPORT: None, ("smartmeter_operating",): 1.0}
        assert rejected == [Rejected("malformed", b"\xe7\x01\0"), Rejected("malformed", b"\xe8\x01\0")]

    def test_what_is_not_read_is_passed_over(self) -> None:
        others = [epc for epc in range(256) if epc not in RIGHT]
        assert values(*((epc, bytes(length)) for epc in others for length in (0, 1, 4))) == {}

    def test_a_real_poll_with_a_refused_property(self) -> None:
        found = values((0x80, "30"), (0x88, "42"), (0xE7, "00000698"), (0xE8, "00A00028"), (0xE0, "0004F3FD"), (0xE3, b""))
        assert found == {
            ("smartmeter_operating",): 1.0,
            ("smartmeter_fault",): 0.0,
            POWER: 1688,
            R: 16.0,
            T: 4.0,
            IMPORT: 32_460_500.0,
        }

    def test_no_property_at_all_says_nothing(self) -> None:
        assert readings([], UNIT) == ([], [])


WIDTHS = (0, 1, 2, 3, 4, 7, 11, 12, 15, 16)
EDTS = st.sampled_from(WIDTHS).flatmap(lambda width: st.binary(min_size=width, max_size=width)) | st.binary(max_size=20)
PROPERTIES = st.builds(Property, st.sampled_from(sorted(RIGHT)) | st.integers(0, 255), EDTS)
UNITS = st.none() | st.builds(
    p.unit,
    st.integers(1, 999_999).map(four),
    st.sampled_from(sorted(STEP)).map(lambda code: bytes([code])),
    st.none() | st.integers(1, 8).map(lambda count: bytes([count])),
)


def assert_sane(said: Iterable[Property], unit: p.Unit | None) -> None:
    found, rejected = readings(said, unit)
    for series, value in found:
        family = FAMILIES[series[0]]
        if family.type == "info":
            assert series[1] in family.labels
            assert value is None or (isinstance(value, str) and value and value.isprintable())
        else:
            assert len(series) == 1 + len(family.labels)
            assert value is None or (isinstance(value, int | float) and math.isfinite(value))
            assert value is None or not series[0].endswith("_total") or value >= 0
    assert all(reject.reason == "malformed" for reject in rejected)


@fuzz
@given(st.lists(PROPERTIES, max_size=6), UNITS)
@example([Property(0xEA, b"\x27\x0f\x0c\x1f\x17\x3b\x3b\0\0\0\1"), Property(0xEB, b"\0\1\1\1\0\0\0\0\0\0\1")], UNIT)
@example([Property(0xE0, four(99_999_999))], p.unit(four(999_999), b"\x0d", None))
def test_fuzz_any_bytes_give_finite_values_or_none(found: list[Property], unit: p.Unit | None) -> None:
    assert_sane(found, unit)


def test_every_byte_of_a_right_value_may_be_any_other() -> None:
    for epc, edt in RIGHT.items():
        right = bytes.fromhex(edt)
        for place in range(len(right)):
            for byte in range(256):
                assert_sane([Property(epc, right[:place] + bytes([byte]) + right[place + 1 :])], UNIT)
