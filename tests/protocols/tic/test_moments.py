"""Timestamps and switching profiles, on both sides of every change of the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.decoder_contract import fuzz

from meterline.protocols.tic.simulator.state import PARIS
from meterline.protocols.tic.timestamps import Switch, next_day, parse_profile, parse_timestamp, switch_instant


def utc(timestamp: str) -> str | None:
    when = parse_timestamp(timestamp)
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if when else None


class TestMoment:
    @pytest.mark.parametrize(
        ("timestamp", "expected"),
        [
            ("H250122222926", "2025-01-22 21:29:26"),
            ("E240614053107", "2024-06-14 03:31:07"),
            ("E170915101601", "2017-09-15 08:16:01"),
            ("H000101000000", "1999-12-31 23:00:00"),
            ("H240229120000", "2024-02-29 11:00:00"),
            ("h250122222926", "2025-01-22 21:29:26"),
            ("e240614053107", "2024-06-14 03:31:07"),
            (" 250123060000", "2025-01-23 05:00:00"),
            (" 250723060000", "2025-07-23 04:00:00"),
        ],
    )
    def test_the_season_fixes_the_offset(self, timestamp: str, expected: str) -> None:
        assert utc(timestamp) == expected

    def test_the_hour_that_repeats_in_october_is_two_hours(self) -> None:
        assert utc("E251026023000") == "2025-10-26 00:30:00"
        assert utc("H251026023000") == "2025-10-26 01:30:00"
        assert utc("e251026023000") == "2025-10-26 00:30:00"
        assert utc("h251026023000") == "2025-10-26 01:30:00"

    def test_time_goes_on_through_both_changes(self) -> None:
        for before, after in (("H250330015959", "E250330030000"), ("E251026025959", "H251026020000")):
            first, second = parse_timestamp(before), parse_timestamp(after)
            assert (second - first) == timedelta(seconds=1)

    def test_a_letter_that_does_not_fit_the_date_is_believed(self) -> None:
        assert utc("H250722120000") == "2025-07-22 11:00:00"

    @fuzz
    @given(st.datetimes(datetime(2000, 1, 2), datetime(2068, 12, 30), timezones=st.just(PARIS)))
    def test_fuzz_every_second_is_told_by_its_legal_time_and_season(self, local: datetime) -> None:
        instant = local.astimezone(UTC).replace(microsecond=0)
        legal = instant.astimezone(PARIS)
        letter = "E" if legal.dst() else "H"
        assert parse_timestamp(f"{letter}{legal:%y%m%d%H%M%S}") == instant
        assert parse_timestamp(f"{letter.lower()}{legal:%y%m%d%H%M%S}") == instant


UNUSED = " NONUTILE"


class TestProfile:
    def test_a_single_register_all_day(self) -> None:
        assert parse_profile("00008001" + 10 * UNUSED) == [Switch(0, 0, 1, False), *[None] * 10]

    def test_off_peak_at_night_and_noon_with_the_contact(self) -> None:
        assert parse_profile("00008002 0100C001 06008002 1230C001 15308002" + 6 * UNUSED) == [
            Switch(0, 0, 2, False),
            Switch(1, 0, 1, True),
            Switch(6, 0, 2, False),
            Switch(12, 30, 1, True),
            Switch(15, 30, 2, False),
            *[None] * 6,
        ]

    @pytest.mark.parametrize(("colour", "off_peak", "peak"), [("blue", 1, 2), ("white", 3, 4), ("red", 5, 6)])
    def test_a_tempo_day_leaves_the_contact_to_the_tempo_configuration(self, colour: str, off_peak: int, peak: int) -> None:
        assert parse_profile(f"0000400{off_peak} 0600400{peak} 2200400{off_peak}" + 8 * UNUSED) == [
            Switch(0, 0, off_peak, None),
            Switch(6, 0, peak, None),
            Switch(22, 0, off_peak, None),
            *[None] * 8,
        ], colour

    def test_the_first_block_may_close_the_contact(self) -> None:
        assert parse_profile("0000C001" + 10 * UNUSED)[0] == Switch(0, 0, 1, True)

    def test_the_last_minute_of_the_day_and_the_last_register(self) -> None:
        assert parse_profile("2359800A" + 10 * UNUSED)[0] == Switch(23, 59, 10, False)

    @pytest.mark.parametrize("code", [0, 11, 12, 13, 14, 15])
    def test_a_register_that_does_not_exist_is_no_change(self, code: int) -> None:
        assert parse_profile(f"0000800{code:X}" + 10 * UNUSED)[0] == Switch(0, 0, None, False)

    @pytest.mark.parametrize(("bits", "contact"), [(0, None), (1, None), (2, False), (3, True)])
    def test_the_two_highest_bits_are_the_dry_contact(self, bits: int, contact: bool | None) -> None:
        for virtual in (0, 0x3FF0):
            assert parse_profile(f"0000{bits << 14 | virtual | 1:04X}" + 10 * UNUSED)[0] == Switch(0, 0, 1, contact)

    def test_eleven_blocks_may_be_used(self) -> None:
        blocks = " ".join(f"{hour:02d}008001" for hour in range(11))
        assert parse_profile(blocks) == [Switch(hour, 0, 1, False) for hour in range(11)]


class TestDay:
    @pytest.mark.parametrize(
        ("day", "hours"),
        [
            (datetime(2025, 1, 22), (-1, 5, 21)),
            (datetime(2025, 7, 22), (-2, 4, 20)),
            (datetime(2025, 3, 30), (-1, 4, 20)),
            (datetime(2025, 10, 26), (-2, 5, 21)),
        ],
        ids=["winter", "summer", "spring change", "autumn change"],
    )
    def test_a_switch_is_at_legal_time(self, day: datetime, hours: tuple[int, int, int]) -> None:
        for legal, expected in zip((0, 6, 22), hours, strict=True):
            when = switch_instant(day, Switch(legal, 0, 1, None)).astimezone(UTC).replace(tzinfo=None)
            assert when == day + timedelta(hours=expected)

    def test_a_switch_in_the_hour_that_does_not_exist_happens_an_hour_later_on_the_clock(self) -> None:
        when = switch_instant(datetime(2025, 3, 30), Switch(2, 30, 1, None))
        assert when.astimezone(UTC).astimezone(ZoneInfo("Europe/Paris")).strftime("%H:%M") == "03:30"

    def test_a_switch_in_the_hour_that_repeats_happens_the_first_time(self) -> None:
        assert switch_instant(datetime(2025, 10, 26), Switch(2, 30, 1, None)).astimezone(UTC).strftime("%H:%M") == "00:30"

    @pytest.mark.parametrize(
        ("now", "expected"),
        [
            ("H250122235959", (2025, 1, 23)),
            ("H250123000000", (2025, 1, 24)),
            ("E250630233000", (2025, 7, 1)),
            ("H241231120000", (2025, 1, 1)),
            ("H240228120000", (2024, 2, 29)),
            ("H250329233000", (2025, 3, 30)),
            ("E251025233000", (2025, 10, 26)),
        ],
    )
    def test_the_next_day_is_the_next_legal_day(self, now: str, expected: tuple[int, int, int]) -> None:
        when = parse_timestamp(now)
        assert when is not None
        day = next_day(when)
        assert (day.year, day.month, day.day) == expected
