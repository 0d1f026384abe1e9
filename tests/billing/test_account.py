"""The engine by itself: a register rose, so it is booked on its day, at its price, once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from support.sample_tariffs import HC, PARIS, TEMPO, TOKYO, WEEK, tariffs, unix

from meterline.billing.account import Account
from meterline.billing.calendar import Calendar
from meterline.billing.codec import from_json, to_json
from meterline.billing.pricing import EXPORT
from meterline.billing.tariff import WHOLE, Tariffs

HOME, OTHER = "042175000001", "042175000002"
SIMPLE = tariffs(periods=[{"since": "2025-01-01", "price": "0.2"}])
NOON = unix("2026-01-20 12:00")


def account(contract: Tariffs | None = SIMPLE) -> Account:
    return Account(Calendar(PARIS, contract))


def take(books: Account, at: int, address: str | None = HOME, wraps_at: int | None = None, **registers: float) -> None:
    values = {register: D(str(value)) for register, value in registers.items()}
    books.take(at, values, address, wraps_at=None if wraps_at is None else D(wraps_at))


def keep(books: Account) -> dict[date, Any]:
    """As the books do: what is written of days that are over."""
    books.due = books.changed = False
    closed = {day: booked.to_json() for day, booked in books.closed().items()}
    books.kept = books.totals.copy()
    return closed


def again(books: Account, contract: Tariffs | None = SIMPLE) -> Account:
    """After a restart."""
    return from_json(Calendar(books.calendar.zone, contract), json.loads(json.dumps(to_json(books))))


def watthours(books: Account) -> dict[str, Any]:
    return {str(day)[5:]: booked.watthours for day, booked in sorted(books.days.items()) if booked.watthours}


class TestMidnight:
    @pytest.mark.parametrize("evening", ["2026-01-31", "2026-03-28", "2026-03-29", "2026-10-24", "2026-10-25"])
    def test_a_meter_of_one_second_gives_a_day_exactly_the_difference_of_its_register(self, evening: str) -> None:
        books, midnight = account(), unix(f"{date.fromisoformat(evening) + timedelta(days=1)} 00:00")
        for second in range(-100, 101):
            take(books, midnight + second, BASE=10_000 + 3 * second)
        assert books.day(midnight - 1).watthours == 300
        assert books.day(midnight).watthours == 300
        assert books.totals.costs["BASE"] == D("0.12")
        assert books.totals.estimated == 0

    def test_over_a_change_of_price_it_gives_each_rate_exactly_the_difference(self) -> None:
        books, six = account(TEMPO), unix("2026-01-14 06:00")
        for second in range(-100, 101):
            take(books, six + second, BASE=10_000 + 3 * second)
        assert books.totals.costs == {"night": 300 * D("0.0001296"), "red": 300 * D("0.0007562")}
        assert books.totals.estimated == 0

    def test_a_gap_over_midnight_at_one_price_is_spread_over_the_days_without_doubt(self) -> None:
        books, midnight = account(), unix("2026-01-21 00:00")
        take(books, midnight - 3600, BASE=0)
        take(books, midnight + 3 * 3600, BASE=1001)
        assert watthours(books) == {"01-20": 250, "01-21": 751}
        assert {str(day): int(booked.spread) for day, booked in books.days.items()} == {"2026-01-20": 250, "2026-01-21": 751}
        assert books.totals.estimated == 0

    def test_a_gap_over_a_change_of_price_counts_by_how_much_it_may_be_off(self) -> None:
        books, six = account(TEMPO), unix("2026-01-14 06:00")
        take(books, six - 3600, BASE=0)
        take(books, six + 3600, BASE=1000)
        booked = D("0.5") * (D("0.1296") + D("0.7562"))
        assert sum(books.totals.costs.values()) == booked
        assert books.totals.estimated == D("0.7562") - booked == booked - D("0.1296")


class TestGaps:
    def test_a_register_that_rose_on_closed_days_is_booked_on_the_oldest_open_one(self) -> None:
        books = account()
        for day in range(6):
            registers = {"BASE": 1000 * day} | ({EXPORT: 0} if day == 0 else {})
            take(books, NOON + day * 86_400, HOME, None, **registers)
            keep(books)
        take(books, NOON + 6 * 86_400, HOME, None, EXPORT=600)
        booked = {str(day)[5:]: int(found.export) for day, found in books.days.items() if found.export}
        assert sum(booked.values()) == 600
        assert set(booked) == {"01-24", "01-25", "01-26"}

    def test_each_register_of_a_gap_is_spread_over_the_same_days(self) -> None:
        books = account(HC)
        start = unix("2026-01-31 12:00")
        take(books, start, HCHC=0, HCHP=0)
        take(books, start + 2 * 86_400, HCHC=1, HCHP=1)
        assert books.totals.estimated == D("0.00001500") + D("0.00002772")

    def test_with_tiers_a_gap_over_two_periods_may_be_off_by_the_dearest_less_the_cheapest(self) -> None:
        tiers = [{"price": "10", "up_to": "1"}, {"price": "30"}]
        books = account(tariffs(currency="JPY", periods=[{"since": "2025-01-01", "tiers": tiers}]))
        take(books, unix("2026-01-31 12:00"), TOTAL=0)
        take(books, unix("2026-02-01 12:00"), TOTAL=1000)
        assert sum(books.totals.costs.values()) == 10
        assert books.totals.estimated == 20


class TestTheMeter:
    def test_another_one_is_billed_from_where_it_stands(self) -> None:
        books = account()
        take(books, NOON, BASE=1000)
        take(books, NOON + 60, BASE=1100)
        take(books, NOON + 120, OTHER, BASE=5)
        take(books, NOON + 180, OTHER, BASE=25)
        assert watthours(books) == {"01-20": 120}
        assert list(books.complaints.values()) == ["another meter answers: its registers are billed from here on"]

    def test_another_one_after_a_restart_too(self) -> None:
        books = account()
        take(books, NOON, BASE=1000)
        take(books, NOON + 60, BASE=1100)
        books = again(books)
        take(books, NOON + 86_400, OTHER, BASE=900_000)
        take(books, NOON + 86_460, OTHER, BASE=900_007)
        assert watthours(books) == {"01-20": 100, "01-21": 7}

    def test_a_register_that_begins_anew_is_billed_from_there_on(self) -> None:
        books = account()
        take(books, NOON, BASE=1000)
        take(books, NOON + 60, BASE=3)
        take(books, NOON + 120, BASE=13)
        assert watthours(books) == {"01-20": 10}
        assert list(books.complaints.values()) == ["register BASE went from 1000 to 3 Wh: it is billed from there on"]

    def test_a_register_that_goes_past_its_end_rises_also_over_a_gap(self) -> None:
        for seconds in (1, 20 * 86_400):
            books = account()
            take(books, NOON, TOTAL=99_999_995, wraps_at=100_000_000)
            take(books, NOON + seconds, TOTAL=5, wraps_at=100_000_000)
            assert sum(watthours(books).values()) == 10
            assert not books.complaints

    def test_a_fall_that_is_no_wrap_is_no_rise(self) -> None:
        books = account()
        take(books, NOON, TOTAL=50_000_000, wraps_at=100_000_000)
        take(books, NOON + 60, TOTAL=5, wraps_at=100_000_000)
        assert not watthours(books)
        assert len(books.complaints) == 1

    def test_without_an_address_a_rise_that_power_does_not_allow_may_be_another_meter(self) -> None:
        books = account()
        take(books, NOON, None, BASE=1000)
        take(books, NOON + 60, None, BASE=101_000)
        take(books, NOON + 120, None, BASE=101_010)
        assert watthours(books) == {"01-20": 10}
        assert list(books.complaints.values()) == ["register BASE went from 1000 to 101000 Wh: it is billed from there on"]

    def test_without_an_address_a_gap_that_power_allows_is_billed(self) -> None:
        books = account()
        take(books, NOON, None, BASE=1000)
        take(books, NOON + 6 * 3600, None, BASE=101_000)
        assert watthours(books) == {"01-20": 100_000}

    def test_an_address_that_one_frame_does_not_say_is_no_other_meter(self) -> None:
        books = account()
        for second, address in enumerate([HOME, None, HOME]):
            take(books, NOON + second, address, BASE=1000 + second)
        assert watthours(books) == {"01-20": 2}
        assert books.complaints == {}

    def test_a_register_that_comes_later_begins_where_it_stands(self) -> None:
        books = account()
        take(books, NOON, BASE=1000)
        take(books, NOON + 60, BASE=1001, EASF02=77_777)
        take(books, NOON + 120, BASE=1001, EASF02=77_778)
        assert watthours(books) == {"01-20": 2}


class TestMoney:
    def test_a_register_without_a_price_is_counted_and_said_once(self) -> None:
        books = account(HC)
        for second in range(5):
            take(books, NOON + second, BASE=1000 + second, HCHP=second)
        assert books.day(NOON).lines["BASE"].unpriced == 4
        assert set(books.totals.costs) == {"HCHP"}
        assert list(books.complaints.values()) == [
            "tariffs: register BASE has no price in the period since 2025-06-01: its energy is counted, not its cost"
        ]

    def test_before_the_contract_begins_there_is_no_price(self) -> None:
        books = account(HC)
        take(books, unix("2025-05-01 12:00"), HCHP=0)
        take(books, unix("2025-05-01 12:01"), HCHP=10)
        assert books.totals.costs == {}
        assert list(books.complaints.values()) == [
            "tariffs: register HCHP has no price today: its energy is counted, not its cost"
        ]

    def test_without_tariffs_energy_is_counted_and_nothing_is_said(self) -> None:
        books = account(None)
        take(books, NOON, BASE=0, EXPORT=0)
        take(books, NOON + 60, BASE=10, EXPORT=5)
        assert books.day(NOON).watthours == 10
        assert books.day(NOON).export == 5
        assert books.period(NOON).watthours == 10
        assert books.totals.costs == {}
        assert books.complaints == {}

    def test_what_is_fed_in_is_a_credit_not_a_cost(self) -> None:
        books = account(WEEK)
        take(books, NOON, EASF01=0, EXPORT=0)
        take(books, NOON + 60, EASF01=0, EXPORT=500)
        assert books.totals.credit == D("0.02")
        assert books.totals.costs == {}
        assert books.day(NOON).cost == 0

    def test_a_rise_that_fills_a_tier_is_cut_there(self) -> None:
        tiers = [{"price": "10", "up_to": "0.5"}, {"price": "20", "up_to": "0.75"}, {"price": "40"}]
        books = account(tariffs(currency="JPY", periods=[{"since": "2025-01-01", "tiers": tiers}]))
        take(books, NOON, TOTAL=0)
        assert books.prices(NOON) == {"tier1": 10}
        take(books, NOON + 3600, TOTAL=1000)
        assert books.totals.costs == {"tier1": 5, "tier2": 5, "tier3": 10}
        assert books.prices(NOON) == {"tier3": 40}
        assert books.totals.estimated == 0

    def test_a_new_period_begins_with_the_first_tier(self) -> None:
        tiers = [{"price": "10", "up_to": "1"}, {"price": "20"}]
        books = account(tariffs(currency="JPY", reading_day="17", periods=[{"since": "2025-01-01", "tiers": tiers}]))
        midnight = unix("2026-02-17 00:00")
        take(books, midnight - 7200, TOTAL=0)
        take(books, midnight, TOTAL=1500)
        assert books.prices(midnight - 1) == {"tier2": 20}
        assert books.prices(midnight) == {"tier1": 10}
        take(books, midnight + 3600, TOTAL=2500)
        assert books.totals.costs == {"tier1": 20, "tier2": 10}

    def test_the_standing_charge_is_booked_once_a_day_also_on_days_that_nobody_read(self) -> None:
        books = account(TEMPO)
        for hour in range(0, 24, 6):
            take(books, NOON + hour * 3600, BASE=0)
            books = again(books, TEMPO)
        assert books.totals.standing == 1
        take(books, NOON + 5 * 86_400, BASE=0)
        assert books.totals.standing == 3
        assert {str(day)[5:]: booked.standing for day, booked in books.days.items()} == {
            f"01-{day}": D("0.5") for day in range(20, 26)
        }

    def test_all_levies_and_taxes_are_in_the_price(self) -> None:
        books = account(HC)
        take(books, unix("2026-04-01 12:00"), HCHP=0)
        take(books, unix("2026-04-01 13:00"), HCHP=1000)
        assert books.totals.costs == {"HCHP": (D("0.2065") + D("0.02998")) * D("1.2")}


class TestRestarts:
    def test_what_is_shown_is_what_was_kept(self) -> None:
        books = account()
        take(books, NOON, BASE=0)
        keep(books)
        take(books, NOON + 60, BASE=1000)
        assert books.kept.costs == {}
        assert books.kept_costs(NOON) == {"BASE": 0}
        keep(books)
        assert books.kept.costs == {"BASE": D("0.2")}
        assert again(books).kept.costs == {"BASE": D("0.2")}

    def test_a_day_to_which_nothing_is_added_after_a_restart_is_written_when_it_is_over(self) -> None:
        books = account()
        take(books, NOON, BASE=0)
        take(books, NOON + 60, BASE=1000)
        keep(books)
        books = again(books)
        take(books, NOON + 3 * 86_400, BASE=1000)
        assert keep(books)[date(2026, 1, 20)]["lines"] == {"BASE": ["1000", "0.200", "0"]}

    def test_a_day_is_written_once_and_once_more_if_it_changes(self) -> None:
        books = account()
        take(books, NOON, BASE=0)
        take(books, NOON + 60, BASE=1000)
        take(books, NOON + 86_400, BASE=1000)
        assert list(keep(books)) == [date(2026, 1, 20)]
        take(books, NOON + 86_460, BASE=1001)
        assert keep(books) == {}

    def test_a_boundary_is_due_once(self) -> None:
        books, six = account(TEMPO), unix("2026-01-14 06:00")
        take(books, six - 2, BASE=0)
        keep(books)
        due = []
        for second in range(-1, 3):
            take(books, six + second, BASE=0)
            due.append(books.due)
            books.due = False
        assert due == [False, True, False, False]

    def test_another_currency_begins_anew_and_the_energy_of_the_period_stays(self) -> None:
        books = account()
        take(books, NOON, BASE=0)
        take(books, NOON + 60, BASE=1000)
        yen = tariffs(currency="JPY", periods=[{"since": "2025-01-01", "price": "30"}])
        books = again(books, yen)
        take(books, NOON + 120, BASE=2000)
        assert books.totals.costs == {"BASE": 30}
        assert books.period(NOON).watthours == 2000

    def test_energy_without_a_price_is_no_money_and_stays_in_another_currency(self) -> None:
        books = account(tariffs(periods=[{"since": "2025-01-01", "registers": {"BASE": "0.2"}}]))
        take(books, NOON, BASE=0, HCHC=0)
        take(books, NOON + 60, BASE=1000, HCHC=700)
        assert books.totals.unpriced == 700
        books = again(books, tariffs(currency="JPY", periods=[{"since": "2025-01-01", "registers": {"BASE": "30"}}]))
        assert books.totals.unpriced == books.kept.unpriced == 700
        assert not books.totals.costs

    @pytest.mark.parametrize(
        "damage",
        [
            {"at": "x"},
            {"at": 10**18},
            {"at": None},
            {"charged": 7},
            {"charged": "soon"},
            {"registers": {"BASE": ["1,5", NOON]}},
            {"registers": {"BASE": ["NaN", NOON]}},
            {"registers": {"BASE": ["Infinity", NOON]}},
            {"registers": {"BASE": ["1", 10**18]}},
            {"registers": {"BASE": "1000"}},
            {"registers": []},
            {"days": {"2026-01-32": {}}},
            {"days": {"2026-01-20": {}}},
            {"days": {"2026-01-20": {"currency": "EUR", "lines": {"BASE": ["1", "sNaN", "0"]}}}},
            {"periods": {"2026-01-01": ["1"]}},
            {"periods": {"2026-01-01": ["NaN", "1"]}},
            {"totals": {}},
            {"totals": {"costs": {"BASE": "-Infinity"}, "standing": "0", "credit": "0", "estimated": "0"}},
        ],
        ids=str,
    )
    def test_what_nobody_wrote_is_an_error_at_once_not_a_wrong_number_later(self, damage: Mapping[str, Any]) -> None:
        books = account()
        take(books, NOON, BASE=0)
        take(books, NOON + 60, BASE=1000)
        found = json.loads(json.dumps(to_json(books))) | damage
        with pytest.raises((ArithmeticError, AttributeError, KeyError, TypeError, ValueError)):
            from_json(Calendar(PARIS, SIMPLE), found)


class TestClock:
    def test_one_that_went_back_stands_still_until_it_is_there_again(self) -> None:
        books = account()
        take(books, NOON, BASE=0)
        for second, value in ((-300, 10), (-100, 20), (1, 30)):
            take(books, NOON + second, BASE=value)
        assert books.at == NOON + 1
        assert watthours(books) == {"01-20": 30}

    def test_over_midnight_nothing_is_booked_on_the_day_before_again(self) -> None:
        books, midnight = account(), unix("2026-01-21 00:00")
        take(books, midnight - 60, BASE=0)
        take(books, midnight + 60, BASE=0)
        take(books, midnight - 120, BASE=10)
        take(books, midnight - 60, BASE=20)
        take(books, midnight + 61, BASE=30)
        assert watthours(books) == {"01-21": 30}
        assert books.day(midnight).spread == 0

    def test_one_that_was_years_ahead_goes_on_at_the_time_that_it_shows(self) -> None:
        books, ahead = account(TEMPO), NOON + 2 * 365 * 86_400
        take(books, ahead, BASE=0)
        take(books, ahead + 60, BASE=10)
        keep(books)
        books = again(books, TEMPO)
        books.go_back_to(NOON)
        assert books.changed
        take(books, NOON + 60, BASE=20)
        assert books.day(NOON).watthours == 10
        assert books.totals.costs == {"day": 20 * D("0.0001609")}

    def test_a_day_that_was_charged_ahead_is_not_charged_again(self) -> None:
        books = account(TEMPO)
        take(books, NOON, BASE=0)
        take(books, NOON + 5 * 86_400, BASE=0)
        assert books.totals.standing == D("3.0")
        books.go_back_to(NOON)
        take(books, NOON + 3 * 86_400, BASE=0)
        assert books.totals.standing == D("3.0")
        take(books, NOON + 6 * 86_400, BASE=0)
        assert books.totals.standing == D("3.5")

    def test_periods_that_it_booked_ahead_do_not_crowd_out_this_one(self) -> None:
        books = account()
        closed: dict[date, Any] = {}
        take(books, NOON, BASE=0)
        for value, ahead in ((10, 0), (20, 40), (30, 80)):
            take(books, NOON + 60 + ahead * 86_400, BASE=value)
            closed |= keep(books)
        books.go_back_to(NOON + 60)
        closed |= keep(books)
        books._history = history(books, closed)
        take(books, NOON + 120, BASE=40)
        keep(books)
        january = sum(found.watthours for day, found in books.days.items() if day.month == 1)
        assert books.period(NOON).watthours >= january >= 20

    def test_what_it_booked_ahead_is_not_of_this_period(self) -> None:
        books = account(TEMPO)
        take(books, NOON, BASE=0)
        take(books, NOON + 60, BASE=10)
        take(books, NOON + 365 * 86_400, BASE=10)
        closed = keep(books)
        assert len(closed) > 300
        books.go_back_to(NOON + 120)
        books._history = history(books, closed)
        assert books.period(NOON).watthours == 10
        assert books.period(NOON).cost == D("0.001609") + 12 * D("0.5")


def history(books: Account, closed: dict[date, Any]) -> Callable[[date, date], dict[date, Any]]:
    """What a state would give back."""
    days = {day: type(books.day(NOON)).from_json(found) for day, found in closed.items()}
    return lambda since, until: {day: found for day, found in days.items() if since <= day < until}


def test_a_gap_is_billed_over_its_whole_time_when_the_clock_is_set_right_only_after_the_first_readings() -> None:
    """A machine without a battery begins where its clock stood when it went off, and is told the time a little later."""
    books, six = account(TEMPO), unix("2026-01-14 06:00")
    take(books, six - 4 * 3600, BASE=0)
    books = again(books, TEMPO)
    for second in range(1, 10):
        take(books, six - 4 * 3600 + second, BASE=8000)
    assert not any(books.totals.costs.values())
    take(books, six + 4 * 3600, BASE=8000)
    assert books.totals.estimated > 0


def test_a_register_that_reads_0_for_a_while_and_comes_back_is_not_billed_from_0_on() -> None:
    books = account()
    take(books, NOON, BASE=50_000_000)
    take(books, NOON + 1, BASE=0)
    take(books, NOON + 2, BASE=50_000_010)
    assert not any(books.totals.costs.values())
    take(books, NOON + 10, BASE=50_000_020)
    assert sum(books.totals.costs.values()) == 10 * D("0.0002")


def test_tokyo_has_its_own_midnight() -> None:
    books = Account(Calendar(TOKYO, None))
    midnight = unix("2026-02-01 00:00", TOKYO)
    for second in (-10, 0, 10):
        books.take(midnight + second, {WHOLE: D(second + 10)}, HOME)
    assert watthours(books) == {"01-31": 10, "02-01": 10}
