"""What a contract says, as it is written in the file: terms, levies, taxes, and when they change."""

from __future__ import annotations

from datetime import date
from decimal import Decimal as D
from pathlib import Path

import pytest
from support.sample_tariffs import HC, tariffs

from meterline.billing.tariff import Tariffs
from meterline.config.schema import load
from meterline.errors import UserError

SINCE = date(2026, 1, 1)


def price(contract: Tariffs, day: str) -> D | None:
    terms = contract.on(date.fromisoformat(day))
    return terms.register_price("BASE") if terms else None


class TestTerms:
    def test_the_first_day_of_a_period_is_in_it_and_until_is_not(self) -> None:
        contract = tariffs(
            periods=[
                {"since": "2026-01-01", "until": "2026-02-01", "price": "1"},
                {"since": "2026-02-01", "until": "2026-03-01", "price": "2"},
            ]
        )
        days = ("2025-12-31", "2026-01-01", "2026-01-31", "2026-02-01", "2026-02-28", "2026-03-01")
        assert [price(contract, day) for day in days] == [None, 1, 1, 2, 2, None]

    def test_a_levy_holds_from_its_first_day_until_before_its_last(self) -> None:
        levy = {"name": "x", "per_kwh": "10", "since": "2026-01-10", "until": "2026-01-20"}
        contract = tariffs(periods=[{"since": "2026-01-01", "price": "1"}], levies=[levy])
        days = ("2026-01-09", "2026-01-10", "2026-01-19", "2026-01-20")
        assert [price(contract, day) for day in days] == [1, 11, 11, 1]

    def test_a_levy_may_begin_before_a_period_and_end_after_it(self) -> None:
        levy = {"name": "x", "per_kwh": "10", "since": "2020-01-01", "until": "2030-01-01"}
        contract = tariffs(periods=[{"since": "2026-01-01", "until": "2027-01-01", "price": "1"}], levies=[levy])
        assert [len(contract.terms), price(contract, "2026-01-01"), price(contract, "2027-01-01")] == [1, 11, None]

    def test_taxes_are_of_the_price_and_the_levies_and_are_added_to_each_other_not_compounded(self) -> None:
        contract = tariffs(
            periods=[{"since": "2026-01-01", "price": "0.10"}],
            levies=[
                {"name": "accise", "per_kwh": "0.03"},
                {"name": "discount", "per_kwh": "-0.01"},
                {"name": "tva", "percent": "20"},
                {"name": "city", "percent": "5", "on": "energy"},
                {"name": "meter", "percent": "7", "on": "standing"},
            ],
        )
        (terms,) = contract.terms
        assert terms.full(D("0.10")) == D("0.12") * D("1.25")
        assert terms.standing_factor == D("1.27")

    def test_change_after_is_the_next_edge_of_a_period_or_a_levy_after_the_day(self) -> None:
        edges = [date(2025, 6, 1), date(2026, 2, 1), date(2026, 3, 29)]
        assert HC.change_after(date(2025, 1, 1)) == edges[0]
        assert [HC.change_after(edge) for edge in edges] == [edges[1], edges[2], None]
        assert HC.change_after(date(2026, 3, 28)) == edges[2]

    def test_a_levy_on_a_day_of_change_makes_no_empty_terms(self) -> None:
        levies = [{"name": "a", "per_kwh": "1", "since": "2026-01-01", "until": "2026-02-01"}]
        contract = tariffs(
            periods=[{"since": "2026-01-01", "until": "2026-02-01", "price": "1"}, {"since": "2026-02-01", "price": "1"}],
            levies=levies,
        )
        assert [(terms.since, terms.until) for terms in contract.terms] == [
            (date(2026, 1, 1), date(2026, 2, 1)),
            (date(2026, 2, 1), None),
        ]


class TestTiers:
    def test_a_tier_holds_up_to_its_limit_and_not_beyond(self) -> None:
        tiers = [{"price": "1", "up_to": "120"}, {"price": "2", "up_to": "300.5"}, {"price": "3"}]
        (terms,) = tariffs(periods=[{"since": "2026-01-01", "tiers": tiers}]).terms
        used = (D(0), D(119_999), D(120_000), D("300499.9"), D(300_500), D(10**9))
        assert [terms.tier(watthours) for watthours in used] == [0, 0, 1, 1, 2, 2]


class TestFile:
    def write(self, folder: Path, text: str) -> str:
        file = folder / "meterline.yml"
        file.write_text("meters:\n  - name: home\n    link: /dev/ttyUSB0\n    tariffs:\n" + text, encoding="utf-8")
        return str(file)

    def test_a_whole_contract_is_read_as_it_is_written(self, tmp_path: Path) -> None:
        path = self.write(
            tmp_path,
            """\
      currency: EUR
      time_zone: Europe/Paris
      day_start: 06:00
      holidays: [2026-12-25]
      periods:
        - since: 2025-01-01
          until: 2026-02-01
          standing: {amount: 15.74, per: month}
          registers: {HCHC: 0.1704, HCHP: 0.2296}
          feed_in: 0.1269
        - since: 2026-02-01
          times:
            - {name: night, price: 0.1296, hours: ["22:00-06:00", "12:00-14:00"]}
            - {name: rest, price: 0.1, days: [sat, sun, holiday], dates: 07-01..09-30}
            - {name: day, price: 0.1609}
      levies:
        - {name: accise, per_kwh: 0.02998, since: 2026-02-01}
        - {name: tva, percent: 20}
""",
        )
        (meter,) = load(path).meters
        assert meter.tariffs
        first, second = meter.tariffs.periods
        assert first.registers == {"HCHC": D("0.1704"), "HCHP": D("0.2296")}
        assert first.feed_in == D("0.1269")
        assert second.times
        assert [rate.name for rate in second.times] == ["night", "rest", "day"]
        assert second.times[0].hours.ranges == ((1320, 360), (720, 840))
        assert meter.tariffs.day_start == 360
        assert len(meter.tariffs.terms) == 2

    def test_prices_are_decimal_to_the_last_digit(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, "      currency: JPY\n      periods: [{since: 2026-01-01, price: 0.100000001}]\n")
        tariffs = load(path).meters[0].tariffs
        assert tariffs
        assert tariffs.terms[0].register_price("BASE") == D("0.100000001")

    def test_every_fault_has_a_line_of_its_own(self, tmp_path: Path) -> None:
        path = self.write(
            tmp_path, "      currency: EUR\n      reading_day: x\n      periods: [{since: x, price: y}, {price: 1}]\n"
        )
        with pytest.raises(UserError) as caught:
            load(path)
        lines = [line.removeprefix(f"{path}: meter 'home': tariffs: ") for line in str(caught.value).splitlines()]
        places = ["periods 1: since: ", "periods 1: price: ", "periods 2: since: ", "reading_day: "]
        assert len(lines) == len(places)
        assert all(any(line.startswith(place) for line in lines) for place in places)
