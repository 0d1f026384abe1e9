"""The books of all meters, with a real file: what is booked, shown and kept, and what no fault may do to them."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Callable, Iterator
from decimal import Decimal as D
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.billing_worlds import Program, wall
from support.live_meters import until
from support.sample_tariffs import PARIS, TOKYO, Contract, tariffs, unix

from meterline.billing import billing as books_module
from meterline.billing.account import Account
from meterline.billing.billing import KEEP_EVERY, PendingWrite
from meterline.billing.calendar import Calendar
from meterline.billing.meter_account import SURE_AFTER
from meterline.billing.pricing import EXPORT
from meterline.billing.tariff import WHOLE
from meterline.history.clock import EARLIEST_UNIX
from meterline.store import FILE, State

NOON = unix("2026-01-20 12:00")
DAY = 86_400


def nothing(register: str, local: object) -> None:
    return None


def contract(**period: object) -> Contract:
    """By register, unless it is said otherwise."""
    what = period or {"registers": {"HCHC": "0.1", "HCHP": "0.2"}, "standing": {"amount": "0.5", "per": "day"}}
    return Contract("x", PARIS, ("HCHC",), tariffs(periods=[{"since": "2025-01-01", **what}]), nothing, ())


HC = contract()
DAY_AND_PERIOD = ("smartmeter_energy_import_day_watthours", "smartmeter_energy_import_period_watthours", "smartmeter_cost_day")
COSTS = "smartmeter_cost_total"


@pytest.fixture
def clock() -> Iterator[SimpleNamespace]:
    with wall(NOON) as clock:
        yield clock


@pytest.fixture
def start(tmp_path: Path, clock: SimpleNamespace) -> Iterator[Callable[..., Program]]:
    """A program, begun; closed at the end."""
    programs = []

    def begin(with_contract: Contract = HC) -> Program:
        programs.append(Program(with_contract, tmp_path, clock))
        return programs[-1]

    yield begin
    for program in programs:
        program.state.close()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def database(program: Program) -> sqlite3.Connection:
    return sqlite3.connect(program.folder / str(program.generation) / FILE)


def write(program: Program, statement: str, *values: object) -> None:
    file = database(program)
    with file:
        file.execute(statement, values)
    file.close()


class TestShown:
    def test_the_day_and_the_period_as_they_stand_and_the_counters_as_they_are_kept(
        self, start: Callable[..., Program]
    ) -> None:
        program = start()
        assert program.page(COSTS) == {}
        program.speak(HCHC=1000, HCHP=0)
        program.keep_due()
        program.speak(HCHC=1100, HCHP=10)
        assert [program.page(family) for family in DAY_AND_PERIOD] == [{"": 110}, {"": 110}, {"EUR": 0.512}]
        assert program.page(COSTS) == {"EUR,HCHC": 0, "EUR,HCHP": 0}
        program.keep()
        assert program.page(COSTS) == {"EUR,HCHC": 0.01, "EUR,HCHP": 0.002}
        assert program.page("smartmeter_standing_cost_total") == {"EUR": 0.5}
        assert program.page("smartmeter_price") == {"EUR,HCHC": 0.1, "EUR,HCHP": 0.2}

    def test_a_counter_of_something_else_than_the_meter_is_there_before_it_speaks(self, start: Callable[..., Program]) -> None:
        program = start()
        program.speak(HCHC=1000)
        program.speak(HCHC=2000)
        program.restart()
        assert program.page(COSTS) == {"EUR,HCHC": 0.1}
        assert program.page("smartmeter_energy_import_day_watthours") == {}

    def test_without_tariffs_there_is_energy_and_no_money(self, start: Callable[..., Program]) -> None:
        program = start(Contract("none", PARIS, ("BASE", EXPORT), None, nothing, ()))
        program.speak(BASE=1000, EXPORT=0)
        program.speak(BASE=1050, EXPORT=5)
        assert program.page("smartmeter_energy_import_day_watthours") == {"": 50}
        assert program.page("smartmeter_energy_export_day_watthours") == {"": 5}
        money = ("smartmeter_cost_day", COSTS, "smartmeter_price", "smartmeter_cost_estimated_total")
        assert [program.page(family) for family in money] == [{}] * 4

    def test_day_and_period_vanish_when_the_meter_is_silent_and_come_back_with_it(
        self, start: Callable[..., Program], clock: SimpleNamespace
    ) -> None:
        program = start()
        program.speak(HCHC=1000, HCHP=0)
        program.speak(HCHC=1100, HCHP=0)
        program.keep()
        clock.now += program.meter.stale_after + 1
        assert [program.page(family) for family in DAY_AND_PERIOD] == [{}] * 3
        assert program.page(COSTS) == {"EUR,HCHC": 0.01, "EUR,HCHP": 0}
        program.speak(HCHC=1100, HCHP=0)
        assert program.page("smartmeter_energy_import_day_watthours") == {"": 100}

    def test_day_and_period_vanish_at_midnight_until_the_meter_speaks(
        self, start: Callable[..., Program], clock: SimpleNamespace
    ) -> None:
        clock.now = unix("2026-01-20 23:59:50")
        program = start()
        program.speak(HCHC=1000)
        program.speak(HCHC=1100)
        clock.now = unix("2026-01-21 00:00") - 1
        assert program.page("smartmeter_energy_import_day_watthours") == {"": 100}
        clock.now += 1
        assert [program.page(family) for family in DAY_AND_PERIOD] == [{}] * 3
        program.read({"HCHC": D(1101)})
        assert program.page("smartmeter_energy_import_day_watthours") in ({"": 0}, {"": 1})
        assert program.page("smartmeter_energy_import_period_watthours") == {"": 101}

    def test_the_price_changes_without_a_reading(self, start: Callable[..., Program], clock: SimpleNamespace) -> None:
        night = {"name": "night", "price": "0.1", "hours": "22:00-06:00"}
        program = start(contract(times=[night, {"name": "day", "price": "0.2"}]))
        ten, six = unix("2026-01-20 22:00"), unix("2026-01-21 06:00")
        assert program.page("smartmeter_price") == {"EUR,day": 0.2}
        assert program.page("smartmeter_price_next_change_timestamp_seconds") == {"": ten}
        clock.now = ten
        assert program.page("smartmeter_price") == {"EUR,night": 0.1}
        assert program.page("smartmeter_price_next_change_timestamp_seconds") == {"": six}

    def test_the_tier_that_holds_now_is_the_price(self, start: Callable[..., Program]) -> None:
        tiers = [{"price": "10", "up_to": "1"}, {"price": "20"}]
        program = start(Contract("t", TOKYO, (WHOLE,), tariffs(periods=[{"since": "2025-01-01", "tiers": tiers}]), nothing, ()))
        program.speak(TOTAL=0)
        program.keep()
        assert program.page("smartmeter_price") == {"EUR,tier1": 10}
        program.speak(TOTAL=1000)
        assert program.page("smartmeter_price") == {"EUR,tier2": 20}


class TestBelieved:
    def test_a_damaged_first_value_is_not_billed(self, start: Callable[..., Program]) -> None:
        for wrong in (9_001_000, 1, 1005):
            program = start()
            program.speak(HCHC=1000)
            program.restart()
            program.read({"HCHC": D(wrong)})
            for _ in range(8):
                program.clock.now += 1
                program.read({"HCHC": D(1010)})
            assert program.account.totals.costs == {"HCHC": D("0.001")}
            program.generation += 1

    def test_a_value_that_is_held_back_is_not_billed(self, start: Callable[..., Program]) -> None:
        program = start()
        program.speak(HCHC=1000)
        program.read({"HCHC": D(900_000)})
        program.clock.now += 1
        program.speak(HCHC=1010)
        assert program.account.totals.costs == {"HCHC": D("0.001")}

    def test_another_meter_is_billed_once_it_is_sure(
        self, start: Callable[..., Program], caplog: pytest.LogCaptureFixture
    ) -> None:
        program = start()
        program.speak(HCHC=1000)
        program.speak(HCHC=1100)
        for value in (5, 5, 5, 5, 25):
            program.read({"HCHC": D(value)}, "042175999999")
            program.clock.now += 5
        assert program.account.totals.costs == {"HCHC": D("0.012")}
        assert warnings(caplog) == ["another meter answers: its registers are billed from here on"]

    def test_a_damaged_first_value_of_another_meter_is_not_billed_either(self, start: Callable[..., Program]) -> None:
        program = start()
        program.speak(HCHC=1000)
        program.speak(HCHC=1010)
        for value in (5000, 3, 5000, 5000, 5000, 5000, 5010):
            program.read({"HCHC": D(value)}, "042175999999")
            program.clock.now += 5
        assert program.account.totals.costs == {"HCHC": D("0.002")}

    def test_one_frame_of_a_stranger_costs_nothing(self, start: Callable[..., Program]) -> None:
        program = start()
        program.speak(HCHC=1000)
        program.read({"HCHC": D(77)}, "042175999999")
        program.clock.now += 1
        program.speak(HCHC=1100)
        assert program.account.totals.costs == {"HCHC": D("0.01")}

    @pytest.mark.parametrize("fall", [800, 40_000])
    def test_a_register_that_flips_there_and_back_is_one_line_one_commit_and_no_energy(
        self, start: Callable[..., Program], caplog: pytest.LogCaptureFixture, fall: int
    ) -> None:
        program = start()
        program.speak(HCHC=50_000)
        program.keep()
        commits = 0
        for second in range(100):
            for _ in range(2):
                program.read({"HCHC": D(50_000 + second - fall * (second % 2))})
            program.clock.now += 1
            commits += program.account.due
            program.keep_due()
        assert commits == 1
        (line,) = warnings(caplog)
        assert line.startswith("register HCHC went from 50000 to ")
        assert program.account.totals.costs.get("HCHC", 0) == 0
        assert [len(reminders._written) for reminders in program.books._reminders.values()] == [1]

    def test_two_meters_that_answer_in_turn_are_one_line_and_one_commit(
        self, start: Callable[..., Program], caplog: pytest.LogCaptureFixture
    ) -> None:
        program = start()
        program.speak(HCHC=1000)
        program.keep()
        commits = 0
        for turn in range(40):
            for _ in range(SURE_AFTER + 1):
                program.read({"HCHC": D(1000 + turn)}, f"04217500000{2 + turn % 2}")
                program.clock.now += 1
            commits += program.account.due
            program.keep_due()
        assert commits <= 1
        assert warnings(caplog) == ["another meter answers: its registers are billed from here on"]

    def test_what_is_so_the_next_day_is_said_again(
        self, start: Callable[..., Program], caplog: pytest.LogCaptureFixture
    ) -> None:
        program = start()
        for day, value in enumerate((50_000, 10_000, 9_000)):
            program.clock.now = NOON + day * DAY
            program.speak(HCHC=value)
            program.keep()
        assert [line.split(":")[0] for line in warnings(caplog)] == [
            "register HCHC went from 50000 to 10000 Wh",
            "register HCHC went from 10000 to 9000 Wh",
        ]

    def test_a_rise_while_the_clock_is_set_back_is_billed(self) -> None:
        """The books stand still until the clock is there again; what the meter counts meanwhile is no jump of its register."""
        account = Account(Calendar(PARIS, HC.tariffs))
        account.take(NOON, {"HCHC": D(1000)}, "042175000001", uptime=1000.0)
        account.take(NOON - 900, {"HCHC": D(4000)}, "042175000001", uptime=1900.0)
        assert account.totals.costs == {"HCHC": D("0.3")}
        assert not account.complaints

    def test_a_register_that_begins_again_at_its_end_goes_on(self, start: Callable[..., Program]) -> None:
        program = start(contract(price="0.2"))
        for value in (99_999_990, 99_999_990, 99_999_990, 10):
            program.read({"BASE": D(value)}, wraps_at=100_000_000)
            program.clock.now += 5
        assert program.account.totals.costs == {"BASE": D("0.004")}


class TestClock:
    def test_before_it_is_set_nothing_is_booked(
        self, start: Callable[..., Program], clock: SimpleNamespace, caplog: pytest.LogCaptureFixture
    ) -> None:
        clock.now = 1000
        program = start()
        program.speak(HCHC=1000)
        program.speak(HCHC=1001)
        assert program.page("smartmeter_energy_import_day_watthours") == {}
        assert warnings(caplog) == ["this machine's clock is not set, or jumped: nothing is booked until it can be believed"]
        clock.now = NOON
        program.meter.clock = lambda: float(clock.now)
        program.speak(HCHC=1001)
        program.speak(HCHC=1011)
        program.keep()
        assert program.account.totals.costs == {"HCHC": D("0.001")}
        assert program.page("smartmeter_price") == {"EUR,HCHC": 0.1, "EUR,HCHP": 0.2}

    def test_after_a_restart_with_a_clock_that_is_not_set_the_gap_is_billed_once_it_is(
        self, start: Callable[..., Program], clock: SimpleNamespace
    ) -> None:
        program = start()
        program.speak(HCHC=1000)
        program.keep()
        clock.now = 5
        program.kill()
        program.speak(HCHC=3000)
        clock.now = NOON + 3600
        program.speak(HCHC=3000)
        assert program.account.totals.costs == {"HCHC": D("0.2")}
        assert EARLIEST_UNIX < NOON

    @pytest.mark.parametrize("kept", [True, False])
    def test_one_that_was_years_ahead_is_noticed_and_goes_on_today(
        self, start: Callable[..., Program], clock: SimpleNamespace, caplog: pytest.LogCaptureFixture, kept: bool
    ) -> None:
        clock.now = NOON + 700 * DAY
        program = start()
        program.speak(HCHC=1000)
        program.speak(HCHC=1100)
        if kept:
            program.restart()
        clock.now = NOON
        program.start() if kept else None
        program.speak(HCHC=1100)
        assert not (kept and program.page("smartmeter_energy_import_day_watthours"))
        clock.now += 3700
        program.speak(HCHC=1100)
        program.speak(HCHC=1150)
        assert program.page("smartmeter_energy_import_day_watthours") == {"": 50}
        assert program.page("smartmeter_energy_import_period_watthours") == {"": 50}
        assert sum(program.account.totals.costs.values()) == D("0.015")
        held = "this machine shows an earlier time than the books: nothing is booked for an hour, unless its clock is set"
        said = [held, "the clock of this machine was ahead: costs go on at what it shows now"]
        assert warnings(caplog) == said
        program.kill()
        program.speak(HCHC=1160)
        assert program.page("smartmeter_energy_import_day_watthours")[""] >= 10
        assert warnings(caplog) == said

    def test_one_that_is_late_after_a_start_and_set_soon_changes_nothing(
        self, start: Callable[..., Program], clock: SimpleNamespace
    ) -> None:
        program = start()
        program.speak(HCHC=1000)
        clock.now += 19 * DAY
        program.speak(HCHC=101_000)
        program.keep()
        before, days = program.account.totals.copy(), program.state.days("home")
        now = clock.now
        clock.now = NOON + 100
        program.kill()
        program.speak(HCHC=101_000)
        clock.now = now + 60
        program.speak(HCHC=101_010)
        program.keep()
        assert program.account.totals.standing == before.standing
        assert program.account.totals.costs["HCHC"] - before.costs["HCHC"] == D("0.001")
        assert program.state.days("home") == days

    def test_a_jump_far_ahead_after_a_start_waits_for_an_hour(
        self, start: Callable[..., Program], clock: SimpleNamespace
    ) -> None:
        program = start()
        program.speak(HCHC=1000)
        program.keep()
        standing = program.account.totals.standing
        clock.now += 700 * DAY
        program.kill()
        program.speak(HCHC=1010)
        assert program.account.totals.standing == standing
        clock.now = NOON + 60
        program.speak(HCHC=1010)
        assert program.account.totals.standing == standing
        assert program.account.totals.costs == {"HCHC": D("0.001")}

    def test_one_that_was_ahead_for_a_while_finds_the_days_of_this_period_again(
        self, start: Callable[..., Program], clock: SimpleNamespace
    ) -> None:
        program = start()
        program.speak(HCHC=1000)
        program.speak(HCHC=1100)
        program.keep()
        clock.now += 400 * DAY
        program.speak(HCHC=1110)
        program.keep()
        clock.now = NOON + 60
        program.speak(HCHC=1110)
        clock.now += 3700
        program.speak(HCHC=1110)
        program.speak(HCHC=1120)
        assert program.page("smartmeter_energy_import_day_watthours")[""] >= 110
        assert program.page("smartmeter_cost_period")["EUR"] < 20


class TestDamage:
    def test_a_damaged_file_is_set_aside_and_the_books_begin_anew(
        self, start: Callable[..., Program], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "0").mkdir()
        (tmp_path / "0" / FILE).write_bytes(b"\x07" * 9000)
        program = start()
        program.speak(HCHC=1000)
        program.speak(HCHC=1100)
        program.keep()
        program.kill()
        assert program.page(COSTS) == {"EUR,HCHC": 0.01}
        (text,) = warnings(caplog)
        assert text.startswith(f"{tmp_path / '0' / FILE} was damaged (file is not a database): the file is renamed to ")

    @pytest.mark.parametrize(
        "row", ["", "{", "[]", "null", "7", "{}", '{"at": 1}', '{"currency":"EUR","address":null,"at":"NaN","charged":null}']
    )
    def test_a_damaged_row_of_an_account_begins_it_anew_with_one_warning(
        self, start: Callable[..., Program], row: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        program = start()
        program.speak(HCHC=1000)
        program.speak(HCHC=1100)
        program.keep()
        write(program, "UPDATE account SET json = ?", row)
        program.shown.clear()
        program.kill()
        program.speak(HCHC=1200)
        program.speak(HCHC=1210)
        program.keep()
        assert program.account.totals.costs == {"HCHC": D("0.001")}
        assert warnings(caplog) == ["what was kept of its costs cannot be read: they begin anew"]

    def test_a_damaged_row_of_one_meter_costs_no_other(self, tmp_path: Path, clock: SimpleNamespace) -> None:
        state = State(str(tmp_path))
        state.book({"a": {"at": 7}, "b": {"at": 8}}, [])
        state.close()
        file = sqlite3.connect(tmp_path / FILE)
        with file:
            file.execute("UPDATE account SET json = 'x' WHERE meter = 'a'")
        file.close()
        state = State(str(tmp_path))
        assert state.account("a") == {}
        assert state.account("c") is None
        assert state.account("b") == {"at": 8}
        state.close()

    @pytest.mark.parametrize("row", ["", "[]", "{}", '{"currency":"EUR","lines":{"HCHC":["x","1","0"]}}'])
    def test_a_damaged_day_is_left_out(self, start: Callable[..., Program], row: str, clock: SimpleNamespace) -> None:
        program = start()
        for day in range(4):
            program.speak(HCHC=1000 * day)
            clock.now += DAY - SURE_AFTER
            program.keep_due()
        write(program, "UPDATE day SET json = ? WHERE day = '2026-01-21'", row)
        write(program, "UPDATE account SET json = ?", json.dumps({}))
        program.shown.clear()
        program.kill()
        program.speak(HCHC=9000)
        assert 0 < program.account.period(clock.now).watthours < 3000

    def test_a_folder_that_cannot_be_written_is_said_once_and_everything_is_shown(
        self, tmp_path: Path, clock: SimpleNamespace, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").touch()
        program = Program(HC, tmp_path / "file", clock)
        program.speak(HCHC=1000)
        for value in (1100, 1200):
            program.speak(HCHC=value)
            program.keep()
        assert program.page(COSTS) == {"EUR,HCHC": 0.02}
        (text,) = warnings(caplog)
        assert text.endswith("Not a directory; nothing is stored for the next start. --state.dir names another folder")

    def test_a_folder_that_cannot_even_be_looked_into_is_said_once_too(
        self, tmp_path: Path, clock: SimpleNamespace, caplog: pytest.LogCaptureFixture
    ) -> None:
        program = Program(HC, tmp_path / ("x" * 300), clock)
        program.speak(HCHC=1000)
        program.speak(HCHC=1100)
        program.keep()
        assert program.page(COSTS) == {"EUR,HCHC": 0.01}
        assert len(warnings(caplog)) == 1


class TestKept:
    def rows(self, program: Program) -> tuple[dict[str, Any], list[str]]:
        file = database(program)
        (text,) = file.execute("SELECT json FROM account").fetchone()
        days = [day for (day,) in file.execute("SELECT day FROM day ORDER BY day")]
        file.close()
        return json.loads(text), days

    def test_the_first_reading_is_due_and_so_is_each_boundary(
        self, start: Callable[..., Program], clock: SimpleNamespace
    ) -> None:
        program = start()
        assert not program.account.due
        program.speak(HCHC=1000)
        assert program.account.due
        program.keep_due()
        program.speak(HCHC=1001)
        assert not program.account.due
        clock.now = unix("2026-01-21 00:00")
        program.read({"HCHC": D(1002)})
        assert program.account.due

    def test_a_day_that_is_over_becomes_a_row(self, start: Callable[..., Program], clock: SimpleNamespace) -> None:
        program = start()
        program.speak(HCHC=1000)
        program.speak(HCHC=1100)
        program.keep()
        assert self.rows(program)[1] == []
        clock.now += DAY
        program.speak(HCHC=1200)
        program.keep_due()
        kept, days = self.rows(program)
        assert days == ["2026-01-20"]
        assert kept["registers"]["HCHC"] == ["1200", clock.now - 1]

    def test_what_has_not_changed_is_not_written(self, start: Callable[..., Program]) -> None:
        program = start()
        program.speak(HCHC=1000)
        program.keep()
        before = self.rows(program)
        program.speak(HCHC=1000)
        program.keep()
        assert self.rows(program) == before

    def test_run_keeps_what_is_due_at_once_and_everything_in_time_and_close_the_rest(
        self, start: Callable[..., Program], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(books_module, "GATHER", 0.01)
        monkeypatch.setattr(books_module, "KEEP_EVERY", 0.2)

        async def test() -> None:
            program = start()
            running = asyncio.create_task(program.books.run())
            program.speak(HCHC=1000)
            await until(lambda: not program.account.due and bool(program.state.meters()))
            program.speak(HCHC=1100)
            assert program.account.kept.costs == {}
            await until(lambda: program.account.kept.costs == {"HCHC": D("0.01")})
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            program.speak(HCHC=1200)
            await program.books.close()
            assert program.account.kept.costs == {"HCHC": D("0.02")}
            assert self.rows(program)[0]["totals"]["costs"] == {"HCHC": "0.020"}

        asyncio.run(test())

    def test_what_is_booked_while_it_is_written_is_shown_when_it_is_written_too(
        self, start: Callable[..., Program], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        program = start(contract(registers={"HCHC": "0.1"}, feed_in="0.1"))
        program.speak(HCHC=1000, EXPORT=0)
        program.speak(HCHC=1100, EXPORT=50)
        write = program.state.book

        def slowly(*rows: Any) -> bool:
            program.speak(HCHC=1200, EXPORT=100)
            return write(*rows)

        monkeypatch.setattr(program.state, "book", slowly)
        program.keep()
        assert program.page(COSTS)["EUR,HCHC"] == self.rows_cost(program) == 0.01
        assert program.page("smartmeter_export_credit_total") == {"EUR": 0.005}
        monkeypatch.undo()
        program.keep()
        assert program.page(COSTS)["EUR,HCHC"] == self.rows_cost(program) == 0.02
        assert program.page("smartmeter_export_credit_total") == {"EUR": 0.01}

    def test_what_was_written_earlier_and_is_known_later_is_not_shown_again(self, start: Callable[..., Program]) -> None:
        program = start()
        program.speak(HCHC=1000)
        program.speak(HCHC=1100)
        (book,) = program.books._books.values()
        earlier = PendingWrite(book)
        program.speak(HCHC=1200)
        later = PendingWrite(book)
        assert later.settle(True)
        assert not earlier.settle(True)
        assert program.account.kept.costs == later.totals.costs != earlier.totals.costs

    def rows_cost(self, program: Program) -> float:
        return float(self.rows(program)[0]["totals"]["costs"]["HCHC"])

    def test_a_file_that_could_not_be_written_once_is_written_the_next_time(self, start: Callable[..., Program]) -> None:
        program = start()
        program.speak(HCHC=1000)
        program.keep()
        other = sqlite3.connect(program.folder / str(program.generation) / FILE, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        program.speak(HCHC=1100)
        program.keep()
        assert program.account.kept.costs == {}
        other.execute("ROLLBACK")
        other.close()
        program.speak(HCHC=1200)
        program.keep()
        assert self.rows(program)[0]["registers"]["HCHC"][0] == "1200"

    def test_opening_a_meter_again_changes_nothing(self, start: Callable[..., Program]) -> None:
        program = start()
        program.speak(HCHC=1000)
        before = program.account
        program.books.open(program.meter, program.contract.tariffs, program.contract.zone.key, True)
        assert program.account is before

    def test_fifteen_minutes_is_what_a_kill_costs_at_most(self) -> None:
        assert KEEP_EVERY == 900
