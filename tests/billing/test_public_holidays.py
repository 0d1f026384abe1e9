"""Holidays of a country or of a part of it, by the library holidays; days are those of the laws."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from decimal import Decimal as D
from pathlib import Path

import pytest
from support.sample_tariffs import TOKYO, tariffs, unix

from meterline.billing.account import Account
from meterline.billing.calendar import Calendar
from meterline.billing.codec import from_json, to_json
from meterline.billing.price_lapses import lapses
from meterline.billing.public_holidays import PublicHolidays
from meterline.billing.tariff import Tariffs
from meterline.config.schema import load
from meterline.errors import UserError
from meterline.extras import how_to_install

TIMES = [{"name": "rest", "price": "0.1", "days": "sun, holiday"}, {"name": "work", "price": "0.2"}]
FILE = """
meters:
  - name: home
    link: /dev/ttyUSB0
    tariffs:
      currency: JPY
      holidays: {holidays}
      periods: [{{since: 2026-01-01, times: [{{name: rest, price: 1, days: holiday}}, {{name: work, price: 2}}]}}]
"""


def contract(holidays: str | list[str]) -> Tariffs:
    return tariffs(currency="JPY", holidays=holidays, periods=[{"since": "2020-01-01", "times": TIMES}])


def written(folder: Path, holidays: str) -> str:
    file = folder / "meterline.yml"
    file.write_text(FILE.format(holidays=holidays), encoding="utf-8")
    return str(file)


@pytest.mark.parametrize(
    "day", ["2026-01-01", "2026-04-06", "2026-05-01", "2026-05-14", "2026-07-14", "2026-11-11", "2026-12-25"]
)
def test_france_has_its_holidays_movable_ones_among_them(day: str) -> None:
    assert date.fromisoformat(day) in PublicHolidays.parse("FR")


@pytest.mark.parametrize("code", ["FR-57", "FR-6AE"])
def test_good_friday_and_26_december_are_holidays_of_alsace_and_moselle_alone(code: str) -> None:
    for day in (date(2026, 4, 3), date(2027, 3, 26), date(2026, 12, 26)):
        assert day in PublicHolidays.parse(code)
        assert day not in PublicHolidays.parse("FR")


def test_assumption_is_a_holiday_of_bavaria_and_saarland_and_not_of_berlin() -> None:
    found = {code: date(2026, 8, 15) in PublicHolidays.parse(code) for code in ("DE", "DE-BY", "DE-SL", "DE-BE")}
    assert found == {"DE": False, "DE-BY": False, "DE-SL": True, "DE-BE": False}


def test_epiphany_is_a_holiday_of_bavaria_and_not_of_germany() -> None:
    assert date(2026, 1, 6) in PublicHolidays.parse("DE-BY")
    assert date(2026, 1, 6) not in PublicHolidays.parse("DE")


@pytest.mark.parametrize(
    ("day", "holiday"),
    [
        ("2019-07-15", True),
        ("2020-07-20", False),
        ("2020-07-23", True),
        ("2020-07-24", True),
        ("2020-10-12", False),
        ("2021-07-19", False),
        ("2021-07-22", True),
        ("2021-08-08", True),
        ("2021-08-09", True),
        ("2021-08-11", False),
        ("2026-01-12", True),
        ("2026-05-06", True),
        ("2026-09-22", True),
    ],
)
def test_japan_has_moved_substitute_and_in_between_holidays(day: str, holiday: bool) -> None:
    """Of 2020 and 2021 those that were moved for the Olympic Games; 6 May and 22 September 2026 are substitute days."""
    assert (date.fromisoformat(day) in PublicHolidays.parse("JP")) is holiday


def test_a_rate_for_holidays_holds_on_those_of_the_country_by_local_time() -> None:
    calendar = Calendar(TOKYO, contract("JP"))

    def rate(moment: str) -> str:
        found = calendar.at(unix(moment, TOKYO)).rate
        assert found
        return found.name

    assert [rate(f"2026-09-{day}") for day in ("20 12:00", "22 00:00", "22 23:59", "24 00:00")] == [
        "rest",
        "rest",
        "rest",
        "work",
    ]


def test_the_holidays_of_a_country_do_not_run_out_and_a_list_does() -> None:
    assert [lapse.what for lapse in lapses(contract("JP")) if "holidays" in lapse.what] == []
    assert len([lapse for lapse in lapses(contract(["2026-01-01"])) if "holidays" in lapse.what]) == 1


def test_tariffs_of_the_same_country_are_the_same_and_of_another_are_not() -> None:
    assert contract("JP") == contract("JP")
    assert hash(contract("JP").holidays) == hash(contract("JP").holidays)
    assert contract("JP") != contract("FR")


def test_an_account_keeps_the_same_with_a_country_as_with_a_list() -> None:
    kept = []
    for holidays in ("JP", ["2026-09-21", "2026-09-22", "2026-09-23"]):
        calendar = Calendar(TOKYO, contract(holidays))
        account = Account(calendar)
        for number, moment in enumerate(("2026-09-21 12:00", "2026-09-22 12:00", "2026-09-24 12:00")):
            account.take(unix(moment, TOKYO), {"TOTAL": D(1000 + 500 * number)}, "meter", D(1), None, None)
        kept.append(to_json(account))
        assert to_json(from_json(calendar, kept[-1])) == kept[-1]
    assert kept[0] == kept[1]


def test_a_missing_library_is_one_line_with_its_place_and_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "holidays", None)
    path = written(tmp_path, "FR-57")
    with pytest.raises(UserError) as caught:
        load(path)
    remedy = f"{how_to_install('holidays', 'holidays')}; or list the dates"
    place = f"{path}: meter 'home': tariffs: holidays: "
    assert str(caught.value) == f"{place}'FR-57' needs the library holidays, which is not installed; {remedy}"


def test_the_library_is_not_imported_for_a_list(tmp_path: Path) -> None:
    words = "import sys; from meterline.config.schema import load; load(sys.argv[1]); print('holidays' in sys.modules)"
    for holidays, imported in (("[2026-05-01]", "False"), ("JP", "True")):
        run = [sys.executable, "-c", words, written(tmp_path, holidays)]
        assert subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip() == imported


@pytest.mark.parametrize("code", ["fr", "FRA", "", "FR-", "FR-99", "Country", "DE_BY"])
def test_what_is_no_code_of_a_country_or_of_a_part_is_refused(code: str) -> None:
    with pytest.raises(ValueError, match=r"not known|not allowed|does not know"):
        PublicHolidays.parse(code)


def test_an_unknown_part_names_those_that_are_known() -> None:
    with pytest.raises(ValueError, match=r"^'FR-67' is not known; allowed: FR, FR-57, FR-6AE, "):
        PublicHolidays.parse("FR-67")
