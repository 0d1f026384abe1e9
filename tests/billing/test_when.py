"""Hours, days and dates of a tariff: what they take, what they refuse, and what no price covers."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest
from support.sample_tariffs import tariffs

from meterline.billing.time_conditions import DAY, Clock, Dates, Days, Hours, uncovered
from meterline.errors import UserError


class TestClock:
    @pytest.mark.parametrize(
        ("text", "minutes"), [("00:00", 0), ("6:30", 390), ("06:30", 390), ("23:59", 1439), ("24:00", 1440)]
    )
    def test_times_of_the_day_are_taken(self, text: str, minutes: int) -> None:
        assert Clock.parse(text) == minutes

    @pytest.mark.parametrize(
        "text", ["", "6", "24:01", "25:00", "12:60", "-1:00", "12.30", "12:3", "12:30:00", "noon", " 12:30"]
    )
    def test_everything_else_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="allowed: a time such as 06:00"):
            Clock.parse(text)


class TestHours:
    def test_the_end_is_not_in_them(self) -> None:
        hours = Hours.parse("12:00-14:00")
        assert [hours.hold(minute) for minute in (719, 720, 839, 840)] == [False, True, True, False]

    def test_hours_go_over_midnight(self) -> None:
        hours = Hours.parse("22:00-06:00, 12:00-14:00")
        assert [hours.hold(minute) for minute in (0, 359, 360, 720, 1319, 1320, 1439)] == [
            True,
            True,
            False,
            True,
            False,
            True,
            True,
        ]

    @pytest.mark.parametrize("text", ["18:00-24:00", "18:00-00:00"])
    def test_midnight_is_an_end(self, text: str) -> None:
        hours = Hours.parse(text)
        assert [hours.hold(minute) for minute in (0, 1079, 1080, 1439)] == [False, False, True, True]

    def test_a_whole_day_is_one_range(self) -> None:
        assert all(Hours.parse("00:00-24:00").hold(minute) for minute in range(DAY))

    @pytest.mark.parametrize("text", ["", "22:00", "22:00-", "-06:00", "06:00-06:00", "00:00-00:00", "22:00-06:00,", "22-6"])
    def test_everything_else_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="is not allowed"):
            Hours.parse(text)


class TestDays:
    monday = date(2026, 1, 5)

    def held(self, text: str, holidays: tuple[int, ...] = ()) -> list[int]:
        return [n for n in range(7) if Days.parse(text).hold(self.monday + timedelta(days=n), n in holidays)]

    def test_ranges_and_single_days(self) -> None:
        assert self.held("mon-fri") == [0, 1, 2, 3, 4]
        assert self.held("Sat, sun") == [5, 6]
        assert self.held("fri-mon") == [0, 4, 5, 6]
        assert self.held("wed-wed") == [2]

    def test_a_holiday_is_also_the_day_of_the_week_that_it_falls_on(self) -> None:
        assert self.held("holiday", (3,)) == [3]
        assert self.held("sat, sun, holiday", (3,)) == [3, 5, 6]
        assert self.held("mon-fri", (3,)) == [0, 1, 2, 3, 4]

    @pytest.mark.parametrize("text", ["", "monday", "mon-", "-fri", "mon-holiday", "holiday-mon", "1-5", "mon;tue"])
    def test_everything_else_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="is not allowed; expected days such as mon-fri"):
            Days.parse(text)


class TestDates:
    def test_both_ends_are_in_a_range_of_dates(self) -> None:
        dates = Dates.parse("2026-07-01..2026-09-30")
        found = [dates.hold(day) for day in (date(2026, 6, 30), date(2026, 7, 1), date(2026, 9, 30), date(2026, 10, 1))]
        assert found == [False, True, True, False]
        assert not dates.hold(date(2027, 8, 1))

    def test_without_a_year_they_hold_every_year_also_over_new_year(self) -> None:
        dates = Dates.parse("11-01..03-31")
        found = [dates.hold(day) for day in (date(2025, 10, 31), date(2025, 11, 1), date(2030, 3, 31), date(2030, 4, 1))]
        assert found == [False, True, True, False]

    def test_a_single_date_is_one_day(self) -> None:
        assert Dates.parse("2026-01-15").hold(date(2026, 1, 15))
        assert not Dates.parse("2026-01-15").hold(date(2026, 1, 16))
        assert Dates.parse("02-29").hold(date(2028, 2, 29))

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "2026-02-30",
            "02-30",
            "2026-13-01",
            "1-5",
            "2026-01-15..",
            "..2026-01-15",
            "2026-05-01..2026-04-01",
            "2026-05-01..06-01",
        ],
    )
    def test_everything_else_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="is not allowed; expected dates such as 2026-01-15"):
            Dates.parse(text)


def holes(times: list[dict[str, str]]) -> str:
    try:
        tariffs(periods=[{"since": "2026-01-01", "times": times}])
    except UserError as error:
        return str(error)
    return ""


class TestUncovered:
    def test_a_price_without_conditions_covers_all(self) -> None:
        assert not holes([{"name": "a", "price": "1", "hours": "01:00-02:00"}, {"name": "b", "price": "1"}])

    def test_a_missing_minute_is_said(self) -> None:
        times = [{"name": "a", "price": "1", "hours": "22:00-06:00"}, {"name": "b", "price": "1", "hours": "06:01-22:00"}]
        assert "no price holds at 06:00 on mon 01-01" in holes(times)

    def test_a_missing_day_is_said(self) -> None:
        times = [{"name": "a", "price": "1", "days": "mon-fri"}, {"name": "b", "price": "1", "days": "sun, holiday"}]
        assert "no price holds at 00:00 on sat 01-01" in holes(times)

    def test_leap_day_is_a_day(self) -> None:
        times = [{"name": "a", "price": "1", "dates": "01-01..02-28"}, {"name": "b", "price": "1", "dates": "03-01..12-31"}]
        assert "02-29" in holes(times)

    def test_a_date_of_one_year_covers_nothing(self) -> None:
        assert "a gap" in holes([{"name": "a", "price": "1", "dates": "2026-01-01..2026-12-31"}])

    def test_a_date_that_is_missing_on_weekends_only_is_found_whatever_day_it_is_this_year(self) -> None:
        weekend = "sat, sun"
        for n in range(366):
            hole = date(2024, 1, 1) + timedelta(days=n)
            before, after = hole - timedelta(days=1), hole + timedelta(days=1)
            times = [
                {"name": "work", "price": "1", "days": "mon-fri"},
                {"name": "rest", "price": "1", "days": weekend, "dates": f"{after:%m-%d}..{before:%m-%d}"},
            ]
            assert f"{hole:%m-%d}" in holes(times), hole

    def test_a_condition_agrees_with_trying_every_minute_of_every_date_on_every_day_of_the_week(self) -> None:
        chance = random.Random(7)
        for _ in range(40):
            conditions = tuple(
                (
                    Hours.parse(chance.choice(["00:00-24:00", "22:00-06:00", "06:00-22:00", "06:00-12:00, 13:00-23:30"])),
                    Days.parse(chance.choice(["mon-sun", "mon-fri", "sat, sun", "sun", "mon-sat, holiday"])),
                    Dates.parse(chance.choice(["01-01..12-31", "04-01..10-31", "11-01..03-31", "07-02..06-30", "2026-01-01"])),
                )
                for _ in range(chance.randint(1, 5))
            )
            covered = all(
                any(
                    hours.hold(minute)
                    and days.hold(date(2024, 1, 1) + timedelta(days=weekday), False)
                    and dates.hold(date(2024, 1, 1) + timedelta(days=n))
                    and not (dates.ranges and dates.ranges[0][0][0])
                    for hours, days, dates in conditions
                )
                for n in range(0, 366, 1)
                for weekday in range(7)
                for minute in (0, 360, 720, 780, 1319, 1320, 1410)
            )
            assert (uncovered(conditions) == "") is covered
