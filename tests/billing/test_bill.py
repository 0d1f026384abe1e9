"""`meterline cost`: days, months and billing periods from the state, and whether a bill agrees with them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from meterline.billing.invoice import Bill, compare
from meterline.billing.totals import Day, Line
from meterline.cli.main import main
from meterline.store import State

JANUARY = date(2026, 1, 1)


def day(peak: str = "10000", off_peak: str = "5000", **more: str) -> Day:
    """10 kWh at 0.20 and 5 kWh at 0.10, and half a euro."""
    lines = {"HCHP": Line(Decimal(peak), Decimal(peak) / 5000), "HCHC": Line(Decimal(off_peak), Decimal(off_peak) / 10_000)}
    numbers: dict[str, Any] = {name: Decimal(number) for name, number in more.items()}
    return replace(Day("EUR", lines, Decimal("0.50")), **numbers)


def days(count: int) -> dict[date, Day]:
    return {JANUARY + timedelta(days=n): day() for n in range(count)}


def tiers(used: Decimal) -> dict[str, Line]:
    """29.80 up to 120 kWh, 36.40 up to 300, then 40.49."""
    found, below = {}, Decimal(0)
    for name, limit, price in (("tier1", 120_000, "29.80"), ("tier2", 300_000, "36.40"), ("tier3", 10**9, "40.49")):
        if used > below:
            part = min(used, Decimal(limit)) - below
            found[name] = Line(part, part * Decimal(price) / 1000)
        below = Decimal(limit)
    return found


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """September: ten days without tariffs, ten in euros, ten in yen."""
    september = date(2026, 9, 1)
    booked = [day() for _ in range(30)]
    for number in range(10):
        booked[number] = Day("", {"BASE": Line(Decimal(5000), unpriced=Decimal(5000))})
        booked[20 + number] = Day("JPY", {"tier1": Line(Decimal(1000), Decimal(30))}, Decimal(40), export=Decimal(100))
    state = State(str(tmp_path))
    rows = [("home", f"{september + timedelta(days=number)}", it.to_json()) for number, it in enumerate(booked)]
    state.book({"home": {"currency": "JPY", "days": {}}}, rows)
    state.close()
    return tmp_path


def test_a_month_in_which_the_currency_changed_is_one_row(changed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = output(capsys, "--state.dir", str(changed), "--by", "month").splitlines()
    assert lines[1].split()[0] == "month"
    assert lines[1].split()[6:] == ["energy", "standing", "JPY", "EUR", "exported", "credit"]
    assert lines[2].split() == [
        "2026-09",
        "210.00",
        "50.00",
        "100.00",
        "50.00",
        "10.00",
        "?300",
        "400",
        "700",
        "30.00",
        "1.00",
        "0",
    ]
    assert lines[3].split() == ["total", *lines[2].split()[1:]]


def test_a_month_in_which_the_currency_changed_is_one_object(changed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = output(capsys, "--state.dir", str(changed), "--by", "month", "--json").splitlines()
    row = json.loads(line)
    assert (row["currency"], row["days"], row["cost"], row["other_costs"]) == ("JPY", 30, "700", {"EUR": "30.00"})
    assert row["import_watthours"] == "210000"
    assert row["unpriced_watthours"] == "50000"


def test_a_day_alone_is_in_its_own_currency(changed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [json.loads(line) for line in output(capsys, "--state.dir", str(changed), "--json").splitlines()]
    assert [row["currency"] for row in rows] == [""] * 10 + ["EUR"] * 10 + ["JPY"] * 10
    assert {row["cost"] for row in rows} == {"0", "3.00", "70"}
    assert not any(row["other_costs"] for row in rows)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two meters: 40 days of one, of which the last is still open; two of the other, in yen, with reading day 17."""
    state = State(str(tmp_path))
    home = days(40)
    last = max(home)
    accounts: dict[str, dict[str, Any]] = {
        "home": {"currency": "EUR", "days": {last.isoformat(): home.pop(last).to_json()}},
        "tokyo": {"currency": "JPY", "reading_day": 17, "days": {}},
    }
    booked = [("home", when.isoformat(), it.to_json()) for when, it in home.items()]
    for when in ("2026-01-16", "2026-01-17"):
        lines = {"tier1": Line(Decimal(8000), Decimal("238.4"), Decimal(0))}
        booked.append(("tokyo", when, Day("JPY", lines, Decimal(40), export=Decimal(3000), credit=Decimal(25)).to_json()))
    state.book(accounts, booked)
    state.close()
    return tmp_path


@pytest.fixture(autouse=True)
def _log_of_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line would set up the log of this process."""
    monkeypatch.setattr("meterline.logs.set_up", lambda *_: None)


def output(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["cost", *words])
    out, err = capsys.readouterr()
    assert ended.value.code == status, err
    assert "Traceback" not in err
    return out + err


def test_the_days_of_a_month_are_a_table_with_a_total(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = output(capsys, "--state.dir", str(folder), "--meter", "home").splitlines()
    assert lines[0] == "home"
    assert lines[1].split() == ["day", "kWh", "HCHP", "HCHC", "energy", "standing", "EUR"]
    assert lines[-2].split() == ["total", "465.00", "310.00", "155.00", "77.50", "15.50", "93.00"]
    assert [line.split()[0] for line in lines[2:-2]] == [f"{date(2026, 1, 10) + timedelta(days=n)}" for n in range(31)]


def test_months_hold_all_days_the_open_one_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = output(capsys, "--state.dir", str(folder), "--meter", "home", "--by", "month").splitlines()
    assert lines[2].split() == ["2026-01", "465.00", "310.00", "155.00", "77.50", "15.50", "93.00"]
    assert lines[3].split() == ["2026-02", "135.00", "90.00", "45.00", "22.50", "4.50", "27.00"]


def test_a_billing_period_begins_on_the_reading_day_and_yen_have_no_cents(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = output(capsys, "--state.dir", str(folder), "--meter", "tokyo", "--by", "period").splitlines()
    assert lines[2].split() == ["2025-12-17", "8.00", "238", "40", "278", "3.00", "25"]
    assert lines[3].split()[0] == "2026-01-17"


def test_json_has_exact_numbers_of_every_meter(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [json.loads(line) for line in output(capsys, "--state.dir", str(folder), "--by", "month", "--json").splitlines()]
    assert [row["meter"] for row in rows] == ["home", "home", "tokyo"]
    assert rows[0]["cost"] == "93.00"
    assert rows[2]["tariffs"] == {"tier1": {"watthours": "16000", "cost": "476.8"}}
    assert rows[2]["export_credit"] == "50"


def test_days_on_which_nothing_is_booked_any_more_are_no_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A clock that was two years ahead left them, and would be all that is shown of the last 31 days."""
    state = State(str(tmp_path))
    booked = [(JANUARY, day()), (date(2028, 1, 1), Day("EUR"))]
    state.book({"home": {"currency": "EUR", "days": {}}}, [("home", f"{when}", it.to_json()) for when, it in booked])
    state.close()
    rows = output(capsys, "--state.dir", str(tmp_path), "--json").splitlines()
    assert [json.loads(row)["day"] for row in rows] == ["2026-01-01"]


def test_a_range_includes_its_last_day(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--meter", "home", "--from", "2026-01-03", "--to", "2026-01-04", "--json")
    assert len(output(capsys, "--state.dir", str(folder), *words).splitlines()) == 2


def test_energy_of_a_gap_and_without_a_price_is_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gap = day(spread="4000", doubt="0.40")
    gap.line("HCHP").unpriced = Decimal(1000)
    state = State(str(tmp_path))
    state.book({"home": {"currency": "EUR", "days": {}}}, [("home", "2026-01-01", gap.to_json())])
    state.close()
    text = output(capsys, "--state.dir", str(tmp_path))
    assert "~15.00" in text
    assert "?2.50" in text
    assert "~ 4.00 kWh are estimated by time" in text
    assert "± 0.40 EUR at most" in text
    assert "? 1.00 kWh had no price" in text


class TestCheck:
    def test_a_bill_to_the_cent_agrees(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        words = ("--meter", "home", "--from", "2026-01-01", "--to", "2026-01-31", "--check", "465kWh=93.00EUR")
        assert output(capsys, "--state.dir", str(folder), *words).startswith("home, 2026-01-01 to 2026-01-31: agrees\n")

    def test_another_amount_differs_with_status_1(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        words = ("--meter", "home", "--from", "2026-01-01", "--to", "2026-01-31", "--check", "465kWh=95.00EUR")
        text = output(capsys, "--state.dir", str(folder), *words, status=1)
        assert "differs" in text
        assert "prices, standing charge and taxes: +2.00 EUR" in text
        assert "HCHP            310.00 kWh x   0.20000 =     62.00" in text

    def test_a_comparison_says_which_days_are_not_in_the_account(self) -> None:
        verdict = compare(Bill.parse("30kWh=6EUR"), {JANUARY: day()}, JANUARY, JANUARY + timedelta(days=1))
        assert not verdict.agrees
        assert any(line.startswith("1 of the days are not in the books (2026-01-02)") for line in verdict.lines)

    def test_more_energy_is_told_from_another_price(self) -> None:
        verdict = compare(Bill.parse("465kWh=97.66EUR"), days(30), JANUARY, JANUARY + timedelta(days=29))
        assert "energy: +15.00 kWh at 0.1667 EUR make +2.50" in verdict.lines
        assert "prices, standing charge and taxes: +5.16 EUR; compare with the bill:" in verdict.lines

    def test_bills_count_whole_kilowatt_hours(self) -> None:
        booked = {JANUARY: day("10400", "5500")}
        assert compare(Bill.parse("15kWh=2.99EUR"), booked, JANUARY, JANUARY).agrees

    def test_what_may_be_off_because_of_a_gap_is_allowed_for(self) -> None:
        assert not compare(Bill.parse("15kWh=3.50EUR"), {JANUARY: day()}, JANUARY, JANUARY).agrees
        assert compare(Bill.parse("15kWh=3.50EUR"), {JANUARY: day(doubt="0.60")}, JANUARY, JANUARY).agrees

    def test_days_that_were_booked_without_tariffs_are_counted_and_named(self) -> None:
        bare = Day("", {"HCHP": Line(Decimal(32_460), unpriced=Decimal(32_460))})
        verdict = compare(
            Bill.parse("62.46kWh=13EUR"), days(2) | {JANUARY + timedelta(days=2): bare}, JANUARY, date(2026, 1, 3)
        )
        assert not verdict.agrees
        assert verdict.lines[1].split()[:3] == ["here", "62.46", "kWh"]
        assert "1 of the days were booked without tariffs: their 32.46 kWh are counted here, and cost nothing" in verdict.lines
        assert not any("compare the readings" in line or "had no price" in line for line in verdict.lines)

    def test_days_in_another_currency_are_counted_and_named(self) -> None:
        yen = Day("JPY", {"HCHP": Line(Decimal(5000), Decimal(150))}, Decimal(40))
        verdict = compare(Bill.parse("20kWh=3EUR"), {JANUARY: day(), date(2026, 1, 2): yen}, JANUARY, date(2026, 1, 2))
        assert not verdict.agrees
        assert verdict.lines[1].split() == ["here", "20.00", "kWh", "3.00", "EUR"]
        assert "some of the days cost 190 JPY: their 5.00 kWh are counted here" in verdict.lines

    def test_each_of_two_thousand_right_bills_by_tiers_agrees(self) -> None:
        """The supplier takes whole kilowatt-hours, and cuts the total to whole yen."""
        chance = Random(2000)
        for _ in range(2000):
            used = chance.randrange(0, 7000) * 100
            booked = Day("JPY", tiers(Decimal(used)), Decimal("935.25"))
            billed = sum((line.cost for line in tiers(Decimal(used // 1000 * 1000)).values()), Decimal("935.25"))
            bill = Bill(Decimal(used // 1000 * 1000), Decimal(int(billed)), "JPY")
            verdict = compare(bill, {JANUARY: booked}, JANUARY, JANUARY)
            assert verdict.agrees, verdict.lines

    def test_a_wrong_price_of_the_last_tier_differs(self) -> None:
        verdict = compare(Bill.parse("400kWh=16200JPY"), {JANUARY: Day("JPY", tiers(Decimal(400_400)))}, JANUARY, JANUARY)
        assert not verdict.agrees
        assert "energy agrees: bills count whole kilowatt-hours, which makes -16 JPY" in verdict.lines

    @pytest.mark.parametrize("order", [("tier2", "tier3"), ("tier3", "tier2"), ("tier1", "tier3")])
    def test_the_last_tier_counts_where_the_days_hold_the_upper_ones_only(self, order: tuple[str, ...]) -> None:
        """The billing period began before the range of days."""
        prices = {"tier1": Decimal("29.80"), "tier2": Decimal("36.40"), "tier3": Decimal("40.49")}
        booked = Day("JPY", {name: Line(Decimal(100_450), Decimal("100.450") * prices[name]) for name in order})
        billed = sum((100 * prices[name] for name in order), Decimal(0))
        verdict = compare(Bill(Decimal(200_000), billed, "JPY"), {JANUARY: booked}, JANUARY, JANUARY)
        assert "energy agrees: bills count whole kilowatt-hours, which makes -36 JPY" in verdict.lines

    def test_each_of_a_thousand_right_bills_with_whole_kilowatt_hours_of_each_register_agrees(self) -> None:
        chance = Random(1000)
        for _ in range(1000):
            peak, off_peak = chance.randrange(0, 400_000), chance.randrange(0, 400_000)
            amount = Decimal(peak // 1000) / 5 + Decimal(off_peak // 1000) / 10 + Decimal("0.50")
            bill = Bill(Decimal(peak // 1000 * 1000 + off_peak // 1000 * 1000), amount, "EUR")
            verdict = compare(bill, {JANUARY: day(str(peak), str(off_peak))}, JANUARY, JANUARY)
            assert verdict.agrees, verdict.lines

    def test_a_bill_in_another_currency_is_no_bill_of_this_meter(self) -> None:
        verdict = compare(Bill.parse("15kWh=3JPY"), {JANUARY: day()}, JANUARY, JANUARY)
        assert verdict.lines == ("the bill is in JPY, the books are in EUR",)

    def test_a_bill_of_days_that_were_not_booked_does_not_agree(self) -> None:
        assert not compare(Bill.parse("15kWh=3EUR"), {}, JANUARY, JANUARY).agrees


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--meter", "moon"), "--meter moon: no account of this meter in "),
        (("--check", "12=3EUR", "--from", "2026-01-01", "--to", "2026-01-02", "--meter", "home"), "'12=3EUR' is not allowed"),
        (("--check", "1kWh=3EUR", "--meter", "home"), "give the first and the last day of the bill"),
        (("--check", "1kWh=3EUR", "--from", "2026-01-01", "--to", "2026-01-02"), "which meter? --meter home or tokyo"),
        (("--check", "1kWh=3EUR", "--from", "2026-01-02", "--to", "2026-01-01"), "is before --from 2026-01-02"),
    ],
)
def test_what_is_wrong_is_one_line(words: tuple[str, ...], said: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "--state.dir", str(folder), *words, status=1 if "moon" in words else 2)
    assert text.startswith("meterline: ")
    assert said in text
    assert text.count("\n") == 1


def test_a_folder_without_books_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "--state.dir", str(tmp_path), status=1)
    assert "no costs are stored yet: is the meter online? --state.dir names the folder" in text
