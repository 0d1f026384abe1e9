"""Prices that run out: said by `check`, the log and two gauges before it is so; and energy that is booked without a price."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.billing_worlds import Program, wall
from support.sample_tariffs import PARIS, Contract, tariffs, unix

from meterline.billing.price_lapses import lapses, to_come
from meterline.billing.tariff import Tariffs
from meterline.cli.check import check
from meterline.config.schema import load

DAY = 86_400
START = "2026-11-03 12:00"
EXAMPLES = Path(__file__).parents[2] / "examples" / "tariffs"
KNOWN, REMAINING = "smartmeter_price_known", "smartmeter_price_remaining_seconds"
UNPRICED = "smartmeter_unpriced_energy_watthours_total"
PERIOD: dict[str, Any] = {"since": "2026-01-01", "registers": {"HCHC": "0.1", "HCHP": "0.2"}}


def levy(name: str, since: str | None = None, until: str | None = None, **kind: str) -> dict[str, str]:
    edges = {key: day for key, day in (("since", since), ("until", until)) if day}
    return {"name": name, **(kind or {"per_kwh": "0.01"}), **edges}


def with_levies(*levies: dict[str, str], **period: Any) -> Tariffs:
    return tariffs(periods=[PERIOD | period], levies=list(levies))


def gaps(found: Tariffs) -> list[tuple[str, str | None]]:
    """From when to when prices are not known, after the first period has begun."""
    later = [lapse for lapse in lapses(found) if lapse.since > date.min]
    return [(str(lapse.since), str(lapse.until) if lapse.until else None) for lapse in later]


class TestWhen:
    def test_open_periods_and_levies_never_run_out(self) -> None:
        assert gaps(with_levies(levy("VAT", percent="20"), levy("excise", "2025-02-01"))) == []

    def test_before_the_first_period_nothing_has_a_price(self) -> None:
        assert lapses(with_levies())[0].holds(date(2025, 12, 31))
        assert not any(lapse.holds(date(2026, 1, 1)) for lapse in lapses(with_levies()))

    def test_the_last_period_ends(self) -> None:
        found = with_levies(levy("excise", "2025-02-01", "2027-01-01"), until="2026-12-01")
        assert gaps(found) == [("2026-12-01", None)]
        assert "the last period ends on 2026-12-01" in lapses(found)[-1].what

    def test_a_levy_that_another_one_follows_on_its_day_does_not_lapse(self) -> None:
        assert gaps(with_levies(levy("a", until="2026-06-01"), levy("b", "2026-06-01"))) == []

    def test_a_levy_that_nothing_follows_lapses(self) -> None:
        found = with_levies(levy("a", until="2026-06-01"), levy("VAT", "2026-06-01", percent="20"))
        assert gaps(found) == [("2026-06-01", None)]
        assert lapses(found)[-1].what == (
            "levies: 'a' ends on 2026-06-01, and nothing follows; "
            "add what follows, or a levy with per_kwh: 0 where nothing does"
        )

    def test_a_hole_ends_where_as_many_are_raised_as_before(self) -> None:
        found = with_levies(levy("a", until="2026-06-01"), levy("b", "2026-06-10"))
        assert gaps(found) == [("2026-06-01", "2026-06-10")]
        assert "nothing follows until 2026-06-10" in lapses(found)[-1].what

    def test_of_two_that_end_one_may_lack_its_successor(self) -> None:
        found = with_levies(
            levy("fuel 5", until="2026-06-01"), levy("state 5", until="2026-06-01"), levy("fuel 6", "2026-06-01", "2026-07-01")
        )
        assert gaps(found) == [("2026-06-01", None), ("2026-07-01", None)]
        assert "'fuel 5', 'state 5' end on 2026-06-01, and only 1 follows;" in lapses(found)[1].what

    def test_one_of_0_says_that_it_ended_for_good(self) -> None:
        assert gaps(with_levies(levy("a", until="2026-06-01"), levy("a no more", "2026-06-01", per_kwh="0"))) == []

    def test_a_list_of_holidays_ends_where_a_price_hangs_on_it(self) -> None:
        rates = [{"name": "rest", "price": "0.1", "days": "sun, holiday"}, {"name": "work", "price": "0.2"}]
        found = tariffs(periods=[{"since": "2026-01-01", "times": rates}], holidays=["2026-05-01", "2026-12-25"])
        assert gaps(found) == [("2026-12-26", None)]
        assert gaps(tariffs(periods=[PERIOD], holidays=["2026-05-01"])) == []

    @pytest.mark.parametrize("begin", ["0001-01-01", "2026-01-01"])
    def test_levies_and_periods_may_begin_with_the_first_day_that_there_is(self, begin: str) -> None:
        found = with_levies(levy("a", "0001-01-01", "2026-06-01"), levy("VAT", "0001-01-01", percent="20"), since=begin)
        assert gaps(found) == [("2026-06-01", None)]

    def test_the_last_day_that_there_is_as_an_end_means_none(self) -> None:
        found = with_levies(levy("a", until="9999-12-31"), levy("VAT", until="9999-12-31", percent="20"), until="9999-12-31")
        assert gaps(found) == []
        assert found.on(date.max)
        assert found.change_after(date(2026, 11, 3)) is None

    @pytest.mark.parametrize("last", ["9999-12-30", "9999-12-31"])
    def test_a_list_of_holidays_may_go_to_the_last_day_that_there_is(self, last: str) -> None:
        rates = [{"name": "rest", "price": "0.1", "days": "holiday"}, {"name": "work", "price": "0.2"}]
        assert gaps(tariffs(periods=[{"since": "2026-01-01", "times": rates}], holidays=[last])) == []

    def test_the_example_whose_fuel_adjustment_runs_out_has_its_hole_and_its_end(self) -> None:
        (meter,) = load(str(EXAMPLES / "japan-tiered.yml")).meters
        assert meter.tariffs
        assert gaps(meter.tariffs) == [("2025-10-10", "2026-09-10"), ("2026-10-10", None), ("2027-04-10", None)]
        assert [lapse.since for lapse in to_come(meter.tariffs, date(2026, 11, 22))] == [date(2026, 10, 10), date(2027, 4, 10)]


class TestCheck:
    def test_check_says_what_has_run_out_and_what_will(self, capsys: pytest.CaptureFixture[str]) -> None:
        file = EXAMPLES / "japan-tiered.yml"
        check(str(file), date(2026, 11, 22))
        _, fuel, renewable, good = capsys.readouterr().out.splitlines()
        assert fuel.startswith(
            "home: warning: tariffs: levies: 'fuel 2026-10', 'state 2026-10' end on 2026-10-10, and nothing follows;"
        )
        assert "'renewable levy 2026' ends on 2027-04-10" in renewable
        assert good == f"{file}: valid, 1 meter, 2 warnings"

    def test_check_says_nothing_of_prices_that_stay(self, capsys: pytest.CaptureFixture[str]) -> None:
        check(str(EXAMPLES / "france-base.yml"), date(2026, 11, 22))
        assert capsys.readouterr().out.splitlines()[1:] == [f"{EXAMPLES / 'france-base.yml'}: valid, 1 meter"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    programs: list[Program] = []
    with wall(unix(START)) as clock:

        def begin(found: Tariffs | None) -> Program:
            contract = Contract("x", PARIS, ("HCHC",), found, lambda *_: None, ())
            programs.append(Program(contract, tmp_path / str(len(programs)), clock))
            return programs[-1]

        yield begin
        for program in programs:
            program.state.close()


def outlook(program: Program) -> tuple[float, float | None]:
    """Whether prices are known, and for how long."""
    return program.page(KNOWN)[""], program.page(REMAINING).get("")


class TestShown:
    def test_prices_without_an_end_are_known_for_ever(self, start: Callable[..., Program]) -> None:
        program = start(with_levies())
        assert outlook(program) == (1, None)
        program.speak(HCHC=1000)
        assert outlook(program) == (1, None)

    def test_an_end_on_the_last_day_that_there_is_is_none(self, start: Callable[..., Program]) -> None:
        assert outlook(start(with_levies(levy("fuel", until="9999-12-31"), until="9999-12-31"))) == (1, None)

    @pytest.mark.parametrize(
        "found",
        [with_levies(until="2026-11-06"), with_levies(levy("fuel", until="2026-11-06"))],
        ids=["a period ends", "a levy ends"],
    )
    def test_the_seconds_run_down_to_0_and_then_prices_are_not_known(
        self, start: Callable[..., Program], found: Tariffs
    ) -> None:
        program, end = start(found), unix("2026-11-06 00:00")
        for now, known, left in (
            (unix(START), 1, end - unix(START)),
            (end - 1, 1, 1),
            (end, 0, 0),
            (end + 5 * DAY, 0, 0),
        ):
            program.clock.now = now
            assert outlook(program) == (known, left)

    def test_in_a_hole_they_are_not_known_and_after_it_they_are(self, start: Callable[..., Program]) -> None:
        program = start(with_levies(levy("a", until="2026-11-06"), levy("b", "2026-11-10")))
        shown = []
        for day in (5, 6, 9, 10):
            program.clock.now = unix(f"2026-11-{day:02} 12:00")
            shown.append(outlook(program))
        assert shown == [(1, DAY / 2), (0, 0), (0, 0), (1, None)]

    def test_a_meter_none_of_whose_registers_has_a_price_has_none(self, start: Callable[..., Program]) -> None:
        program = start(with_levies())
        program.speak(BASE=1000)
        assert outlook(program) == (0, None)
        program.speak(BASE=1000, HCHC=0)
        assert outlook(program) == (1, None)

    def test_without_tariffs_nothing_is_shown(self, start: Callable[..., Program]) -> None:
        program = start(None)
        program.speak(BASE=1000)
        program.speak(BASE=1100)
        program.keep()
        assert [program.page(family) for family in (KNOWN, REMAINING, UNPRICED)] == [{}] * 3

    def test_while_the_clock_is_not_set_nothing_is_said_of_it(self, start: Callable[..., Program]) -> None:
        program = start(with_levies())
        program.clock.now = 1000
        program.restart()
        assert program.page(KNOWN) == {}


class TestLog:
    @pytest.fixture
    def said(self, caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
        return lambda: [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]

    def test_a_lapse_is_said_a_week_before_and_once_a_day(
        self, start: Callable[..., Program], said: Callable[[], list[str]]
    ) -> None:
        program = start(with_levies(until="2026-11-12"))
        for now, lines in (("2026-11-04 23:59", 0), ("2026-11-05 00:01", 1), ("2026-11-05 23:50", 1), ("2026-11-06 00:10", 2)):
            program.clock.now = unix(now)
            program.books.refresh()
            program.speak(HCHC=1000)
            assert len(said()) == lines, now
        assert set(said()) == {"tariffs: the last period ends on 2026-11-12: nothing has a price from then on; add a period"}

    def test_at_a_start_it_is_said_before_the_meter_speaks(
        self, start: Callable[..., Program], said: Callable[[], list[str]]
    ) -> None:
        start(with_levies(levy("fuel", until="2026-10-10")))
        (line,) = said()
        assert line.startswith("tariffs: levies: 'fuel' ends on 2026-10-10, and nothing follows;")


class TestUnpriced:
    def test_energy_without_a_price_is_counted_as_kept(self, start: Callable[..., Program]) -> None:
        program = start(with_levies())
        program.speak(BASE=1000, HCHC=0)
        program.keep()
        assert program.page(UNPRICED) == {"": 0}
        program.speak(BASE=1700, HCHC=5)
        assert program.page(UNPRICED) == {"": 0}
        program.keep()
        assert program.page(UNPRICED) == {"": 700}
        program.kill()
        assert program.page(UNPRICED) == {"": 700}

    @pytest.mark.parametrize("written", [True, False], ids=["written", "not written"])
    def test_the_counter_of_unpriced_energy_does_not_fall_when_the_currency_changes_and_shows_what_is_kept(
        self, start: Callable[..., Program], monkeypatch: pytest.MonkeyPatch, written: bool
    ) -> None:
        program, yen = start(with_levies()), tariffs(currency="JPY", periods=[PERIOD])
        program.speak(BASE=1000, HCHC=0)
        program.speak(BASE=1700, HCHC=5)
        program.keep()
        program.speak(BASE=1900, HCHC=5)
        if not written:
            monkeypatch.setattr(program.state, "book", lambda *_: False)
        program.books.open(program.meter, yen, PARIS.key, True)
        assert program.page(UNPRICED) == {"": 900 if written else 700}
        monkeypatch.undo()
        program.keep()
        assert program.page(UNPRICED) == {"": 900}

    def test_energy_after_the_last_period_is_too(self, start: Callable[..., Program]) -> None:
        program = start(with_levies(until="2026-11-04"))
        program.speak(HCHC=1000)
        program.clock.now = unix("2026-11-04 12:00")
        program.speak(HCHC=1000)
        program.speak(HCHC=1100)
        program.keep()
        assert program.page(UNPRICED) == {"": 100}
