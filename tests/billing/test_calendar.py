"""When which price holds: local days, billing periods, and the two nights of the year on which the clock lies."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal as D
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.decoder_contract import fuzz
from support.sample_tariffs import CONTRACTS, PARIS, TEMPO, TOKYO, WEEK, Contract, tariffs, unix, walked

from meterline.billing.calendar import ONE_DAY, Calendar
from meterline.billing.tariff import Tariffs


def timed(hours: str, **keys: object) -> Tariffs:
    times = [{"name": "low", "price": "0.1", "hours": hours}, {"name": "high", "price": "0.2"}]
    return tariffs(periods=[{"since": "2025-01-01", "times": times}], **keys)


def rates(contract: Tariffs, start: str, end: str, zone: ZoneInfo = PARIS) -> list[tuple[str, int]]:
    """Names of the rates one after the other, with their minutes."""
    found: list[tuple[str, int]] = []
    first, last = unix(start, zone), unix(end, zone)
    for stretch in Calendar(zone, contract).stretches(first, last):
        assert stretch.rate
        minutes = (min(stretch.end, last) - max(stretch.start, first)) // 60
        if found and found[-1][0] == stretch.rate.name:
            minutes += found.pop()[1]
        found.append((stretch.rate.name, minutes))
    return found


class TestDays:
    @pytest.mark.parametrize(("day", "hours"), [("2026-03-28", 24), ("2026-03-29", 23), ("2026-10-24", 24), ("2026-10-25", 25)])
    def test_a_day_lasts_from_local_midnight_to_local_midnight(self, day: str, hours: int) -> None:
        calendar = Calendar(PARIS)
        stretch = calendar.at(unix(f"{day} 12:00"))
        assert stretch.day == date.fromisoformat(day)
        assert stretch.end - stretch.start == hours * 3600
        assert stretch.start == unix(f"{day} 00:00")

    def test_the_last_second_before_midnight_is_of_the_day_and_midnight_is_of_the_next(self) -> None:
        calendar = Calendar(PARIS)
        midnight = unix("2026-02-01 00:00")
        assert calendar.at(midnight - 1).day == date(2026, 1, 31)
        assert calendar.at(midnight).day == date(2026, 2, 1)

    @pytest.mark.parametrize(
        "zone", ["Africa/Cairo", "America/Havana", "Atlantic/Azores", "Australia/Lord_Howe", "Asia/Beirut"]
    )
    def test_where_midnight_is_skipped_or_comes_twice_days_still_follow_each_other(self, zone: str) -> None:
        calendar = Calendar(ZoneInfo(zone), timed("22:00-06:00"))
        start = calendar.midnight(date(2025, 1, 1))
        stretches = list(calendar.stretches(start, calendar.midnight(date(2027, 1, 1))))
        assert all(before.end == after.start for before, after in pairwise(stretches))
        days = list(dict.fromkeys(stretch.day for stretch in stretches))
        assert days == [date(2025, 1, 1) + n * ONE_DAY for n in range(730)]
        for stretch in stretches:
            assert calendar.day(stretch.start) == calendar.day(stretch.end - 1) == stretch.day


class TestTheNightOfSpring:
    """29 March 2026: after 01:59 comes 03:00."""

    def test_a_rate_that_begins_in_the_missing_hour_begins_after_it(self) -> None:
        assert rates(timed("02:30-06:00"), "2026-03-29 00:00", "2026-03-29 12:00") == [
            ("high", 120),
            ("low", 180),
            ("high", 360),
        ]

    def test_a_rate_that_ends_in_the_missing_hour_ends_before_it(self) -> None:
        assert rates(timed("22:00-02:30"), "2026-03-29 00:00", "2026-03-29 12:00") == [("low", 120), ("high", 540)]

    def test_a_rate_inside_the_missing_hour_does_not_come(self) -> None:
        assert rates(timed("02:15-02:45"), "2026-03-29 00:00", "2026-03-29 12:00") == [("high", 660)]

    def test_a_night_is_an_hour_shorter(self) -> None:
        assert rates(timed("22:00-06:00"), "2026-03-28 22:00", "2026-03-29 22:00") == [("low", 420), ("high", 960)]


class TestTheNightOfAutumn:
    """25 October 2026: after 02:59 comes 02:00 once more."""

    def test_a_rate_that_begins_in_the_repeated_hour_begins_twice(self) -> None:
        found = rates(timed("02:30-06:00"), "2026-10-25 00:00", "2026-10-25 12:00")
        assert found == [("high", 150), ("low", 30), ("high", 30), ("low", 210), ("high", 360)]

    def test_a_rate_that_ends_in_the_repeated_hour_ends_twice(self) -> None:
        found = rates(timed("22:00-02:30"), "2026-10-25 00:00", "2026-10-25 12:00")
        assert found == [("low", 150), ("high", 30), ("low", 30), ("high", 570)]

    def test_a_rate_inside_the_repeated_hour_comes_twice(self) -> None:
        found = rates(timed("02:15-02:45"), "2026-10-25 00:00", "2026-10-25 12:00")
        assert found == [("high", 135), ("low", 30), ("high", 30), ("low", 30), ("high", 555)]

    def test_a_night_is_an_hour_longer(self) -> None:
        assert rates(timed("22:00-06:00"), "2026-10-24 22:00", "2026-10-25 22:00") == [("low", 540), ("high", 960)]


class TestTempo:
    """14 January 2026 is a red day: from 06:00 on, until 06:00 of the next."""

    def at(self, text: str) -> str:
        rate = Calendar(PARIS, TEMPO).at(unix(text)).rate
        assert rate
        return rate.name

    def test_a_red_day_begins_at_six(self) -> None:
        assert self.at("2026-01-14 05:59:59") == "night"
        assert self.at("2026-01-14 06:00") == "red"

    def test_the_night_of_a_day_begins_at_22_and_belongs_to_it_until_six(self) -> None:
        assert self.at("2026-01-14 21:59:59") == "red"
        assert [self.at(text) for text in ("2026-01-14 22:00", "2026-01-15 00:00", "2026-01-15 05:59:59")] == ["red-night"] * 3
        assert self.at("2026-01-15 06:00") == "day"

    def test_the_night_before_is_not_red(self) -> None:
        assert self.at("2026-01-13 23:00") == "night"

    def test_a_red_day_before_the_missing_hour_has_a_night_of_seven_hours(self) -> None:
        found = rates(TEMPO, "2026-03-28 00:00", "2026-03-29 12:00")
        assert found == [("night", 360), ("red", 960), ("red-night", 420), ("day", 360)]

    def test_a_holiday_of_the_tariff_begins_at_its_begin_too(self) -> None:
        times = [{"name": "free", "price": "0", "days": "holiday"}, {"name": "rest", "price": "1"}]
        contract = tariffs(day_start="06:00", holidays=["2026-05-01"], periods=[{"since": "2025-01-01", "times": times}])
        assert rates(contract, "2026-05-01 00:00", "2026-05-02 12:00") == [("rest", 360), ("free", 1440), ("rest", 360)]


class TestBillingPeriods:
    def test_the_31st_is_the_last_day_of_a_shorter_month(self) -> None:
        calendar = Calendar(TOKYO, tariffs(reading_day="31", periods=[{"since": "2025-01-01", "price": "1"}]))
        for day, start, end in (
            ("2026-01-30", "2025-12-31", "2026-01-31"),
            ("2026-02-27", "2026-01-31", "2026-02-28"),
            ("2026-02-28", "2026-02-28", "2026-03-31"),
            ("2026-03-30", "2026-02-28", "2026-03-31"),
            ("2026-04-30", "2026-04-30", "2026-05-31"),
            ("2028-02-28", "2028-01-31", "2028-02-29"),
        ):
            assert calendar.period(date.fromisoformat(day)) == date.fromisoformat(start)
            assert calendar.period_end(date.fromisoformat(start)) == date.fromisoformat(end)

    @pytest.mark.parametrize("number", [1, 2, 17, 28, 29, 30, 31])
    def test_each_day_of_four_years_is_in_the_period_that_walking_back_finds(self, number: int) -> None:
        calendar = Calendar(TOKYO, tariffs(reading_day=str(number), periods=[{"since": "2024-01-01", "price": "1"}]))
        for n in range(4 * 365):
            day = date(2025, 1, 1) + n * ONE_DAY
            start = calendar.period(day)
            assert start == walked(day, number)
            assert start <= day < calendar.period_end(start)
            assert calendar.period(calendar.period_end(start)) == calendar.period_end(start)


class TestStandingCharge:
    @pytest.mark.parametrize("number", [1, 17, 31])
    def test_the_days_of_each_period_add_up_to_the_month_exactly(self, number: int) -> None:
        standing = {"amount": "935.25", "per": "month"}
        period = {"since": "2024-01-01", "price": "1", "standing": standing}
        levy = {"name": "tax", "percent": "5.5", "on": "standing"}
        calendar = Calendar(TOKYO, tariffs(reading_day=str(number), periods=[period], levies=[levy]))
        start = calendar.period(date(2026, 1, 20))
        for _ in range(24):
            end = calendar.period_end(start)
            days = [calendar.standing(start + n * ONE_DAY) for n in range((end - start).days)]
            assert sum(days) == D("935.25") * D("1.055")
            assert max(days) - min(days) < D("0.00001")
            start = end

    def test_a_charge_of_a_day_is_the_same_each_day(self) -> None:
        calendar = Calendar(PARIS, TEMPO)
        assert {calendar.standing(date(2026, 3, 20) + n * ONE_DAY) for n in range(20)} == {D("0.5")}

    def test_there_is_no_standing_charge_before_the_contract_begins(self) -> None:
        assert Calendar(PARIS, TEMPO).standing(date(2024, 12, 31)) == 0
        assert Calendar(PARIS).standing(date(2026, 1, 1)) == 0


class TestNextChange:
    def change(self, contract: Tariffs, text: str, zone: ZoneInfo = PARIS) -> str | None:
        moment = Calendar(zone, contract).change_after(unix(text, zone))
        return f"{datetime.fromtimestamp(moment, zone):%Y-%m-%d %H:%M}" if moment else None

    def test_by_time_it_is_the_end_of_the_rate(self) -> None:
        assert self.change(TEMPO, "2026-01-13 12:00") == "2026-01-13 22:00"
        assert self.change(TEMPO, "2026-01-13 23:00") == "2026-01-14 06:00"
        assert self.change(TEMPO, "2026-01-14 23:00") == "2026-01-15 06:00"

    def test_midnight_is_none_where_the_price_goes_on(self) -> None:
        assert self.change(WEEK, "2026-01-10 12:00") == "2026-01-12 00:00"

    def test_by_register_it_is_the_next_period_or_levy(self) -> None:
        contract = tariffs(
            periods=[{"since": "2026-01-01", "until": "2026-02-01", "price": "1"}, {"since": "2026-02-01", "price": "2"}],
            levies=[{"name": "x", "per_kwh": "1", "since": "2026-01-15"}],
        )
        found = [self.change(contract, text) for text in ("2025-12-31 12:00", "2026-01-01 00:00", "2026-01-15 00:00")]
        assert found == ["2026-01-01 00:00", "2026-01-15 00:00", "2026-02-01 00:00"]
        assert self.change(contract, "2026-02-01 00:00") is None

    def test_the_end_of_the_last_period_is_one(self) -> None:
        contract = tariffs(periods=[{"since": "2026-01-01", "until": "2026-02-01", "price": "1"}])
        assert self.change(contract, "2026-01-20 00:00") == "2026-02-01 00:00"
        assert self.change(contract, "2026-02-01 00:00") is None

    def test_with_tiers_it_is_the_end_of_the_billing_period(self) -> None:
        contract = tariffs(
            reading_day="17", periods=[{"since": "2026-01-01", "tiers": [{"price": "1", "up_to": "9"}, {"price": "2"}]}]
        )
        assert self.change(contract, "2026-02-01 00:00", TOKYO) == "2026-02-17 00:00"

    def test_without_tariffs_there_is_none(self) -> None:
        assert Calendar(PARIS).change_after(unix("2026-01-01 00:00")) is None


@fuzz
@given(
    contract=st.sampled_from(CONTRACTS),
    begin=st.integers(0, 5),
    offset=st.integers(0, 3 * 86_400),
    other=st.integers(1, 86_400),
)
def test_fuzz_within_a_stretch_nothing_changes_and_it_holds_its_moment(
    contract: Contract, begin: int, offset: int, other: int
) -> None:
    moment = unix(contract.begins[begin], contract.zone) + offset
    stretch = contract.calendar.at(moment)
    assert stretch.start <= moment < stretch.end
    assert contract.calendar.at(stretch.start) == contract.calendar.at(stretch.end - 1) == stretch
    for register in contract.registers:
        assert contract.one_price(register, stretch.start, stretch.end)
        elsewhere = contract.calendar.at(moment + other)
        if elsewhere.same_price(stretch) is False and contract.name == "tempo":
            assert not contract.one_price(register, moment, moment + other + 1)
    local = datetime.fromtimestamp(moment, contract.zone)
    assert stretch.day == local.date()
    assert stretch.day - timedelta(days=31) <= stretch.period <= stretch.day
