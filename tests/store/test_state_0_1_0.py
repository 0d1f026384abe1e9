"""A state file of version 0.1.0: this version goes on with it, and 0.1.0 still finds in it all that it reads.

`make_state_0_1_0.py` made the files of `0.1.0/`, once, with the code of that version.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support import virtual_time
from support.virtual_time import up

from meterline.billing.billing import BillingService
from meterline.cli.cost import cost
from meterline.config.schema import MeterConfig, load
from meterline.meter.families import BILLING_FAMILIES, COLUMNS
from meterline.meter.meter import Meter
from meterline.meter.readings import Reading, Resolution, Snapshot
from meterline.protocols import PROTOCOLS
from meterline.protocols.broute.simulator.commands import FakeMeter
from meterline.store import FILE, State

OLD = Path(__file__).parent / "0.1.0"
LINK = "/dev/ttyUSB3"
OPENED_AT = 1_750_697_400
"""When 0.1.0 opened the file again: ten minutes before the next readings."""
SERIES = {
    "TOTAL": ("smartmeter_energy_import_watthours_total",),
    "EXPORT": ("smartmeter_energy_export_watthours_total",),
}
NEW_FAMILIES = {
    "smartmeter_price_known",
    "smartmeter_price_remaining_seconds",
    "smartmeter_tariffs_match_contract",
    "smartmeter_unpriced_energy_watthours_total",
}
"""Costs of which 0.1.0 said nothing."""
NEW_KEYS = {"ahead", "began_after", "began_sure", "charged_from", "totals.unpriced"}
"""Keys of an account that 0.1.0 did not write. It reads past them; every other key must stay as 0.1.0 wrote it."""

Rows = dict[tuple[str, ...], Any]


def tables(file: sqlite3.Connection) -> dict[str, str]:
    """Name → the statement that made it."""
    return dict(file.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))


def rows(file: sqlite3.Connection) -> Rows:
    """Table and key → the parsed JSON."""
    return {(table, *key): json.loads(text) for table in tables(file) for *key, text in file.execute(f"SELECT * FROM {table}")}


def restored(name: str, path: str | Path = ":memory:") -> sqlite3.Connection:
    """The file that a dump was taken of."""
    file = sqlite3.connect(path)
    file.executescript((OLD / name).read_text(encoding="utf-8"))
    return file


class Program:
    """The books of this version over a file, for the meters of 0.1.0's configuration."""

    def __init__(self, folder: Path) -> None:
        self.clock = SimpleNamespace(now=float(OPENED_AT))
        self.state = State(str(folder))
        self.books = BillingService(self.state, now=lambda: self.clock.now)
        self.meters: dict[str, Meter] = {}
        for config in load(str(OLD / "meters.yml")).meters:
            self._open(config)

    def _open(self, config: MeterConfig) -> None:
        protocol = PROTOCOLS[config.protocol or ""]
        meter = self.meters[config.name] = Meter(config.name, 1200.0, lambda: self.clock.now)
        self.books.open(meter, config.tariffs, protocol.time_zone, bool(protocol.import_registers))

    def go_on(self) -> None:
        """Take the readings that 0.1.0 took next, and keep as 0.1.0 kept."""
        for at, name, registers, address, step, wraps_at in json.loads((OLD / "readings.json").read_text(encoding="utf-8")):
            self.clock.now = float(at)
            self.take(
                name, Snapshot(tuple(readings(registers)), address=address, resolution=Resolution(step, wraps_at or math.inf))
            )
        self.books.keep()

    def take(self, name: str, snapshot: Snapshot) -> None:
        self.meters[name].take(snapshot)
        self.books.take(self.meters[name], snapshot)
        if self.books.due:
            self.books.keep()

    def page(self) -> str:
        """What /metrics shows of costs, of the families that 0.1.0 has."""
        self.books.refresh()
        families = sorted(set(BILLING_FAMILIES) - NEW_FAMILIES)
        return "".join(meter.text.columns[COLUMNS[family]] for meter in self.meters.values() for family in families)


def readings(registers: Mapping[str, int]) -> Iterator[Reading]:
    for register, value in registers.items():
        yield Reading(SERIES.get(register) or ("smartmeter_energy_import_tariff_watthours_total", register), value)


def expected(name: str) -> str:
    return (OLD / name).read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state directory with the file of 0.1.0."""
    restored("state.sql", tmp_path / FILE).close()
    return tmp_path


@pytest.fixture
def program(folder: Path) -> Iterator[Program]:
    program = Program(folder)
    yield program
    program.state.close()


def test_the_file_of_0_1_0_holds_every_kind_of_row_and_amount() -> None:
    with closing(restored("state.sql")) as file:
        found = rows(file)
    accounts = {key[1]: account for key, account in found.items() if key[0] == "account"}
    days = [day for key, day in found.items() if key[0] == "day"]
    assert accounts.keys() == {"maison", "atelier", "grange", "家", "annexe"}
    assert {account["currency"] for account in accounts.values()} == {"EUR", "JPY", ""}
    assert {name for day in days for name in day} == {"currency", "lines", "standing", "export", "credit", "spread", "doubt"}
    assert {"HCHC", "EASF01", "night", "tier3", "TOTAL"} <= {tariff for day in days for tariff in day["lines"]}
    assert any(float(unpriced) for day in days for _, _, unpriced in day["lines"].values())
    assert found["memory", LINK].keys() == {"家", "annexe"}


def test_every_counter_of_costs_goes_on_where_0_1_0_left_it(program: Program) -> None:
    assert program.page() == expected("opened.prom")


def test_the_same_readings_cost_the_same_as_in_0_1_0(program: Program) -> None:
    program.go_on()
    assert program.page() == expected("continued.prom")


def test_every_day_of_0_1_0_stands_in_the_table_of_costs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cost(str(folder), None, "day", None, None, as_json=True)
    printed = {(line["meter"], line["day"]) for line in map(json.loads, capsys.readouterr().out.splitlines())}
    with closing(restored("state.sql")) as file:
        assert {key[1:] for key in rows(file) if key[0] == "day"} <= printed


def test_a_place_on_the_air_that_0_1_0_kept_is_joined_without_a_scan(folder: Path) -> None:
    state = State(str(folder))
    kept = state.recall(LINK)
    state.close()
    memory = {"meter0": kept["家"], "meter1": kept["annexe"]}
    on_air = [FakeMeter(), FakeMeter(number=2, channel=0x35)]
    seen = virtual_time.run(0.2, on_air, memory=memory)
    assert up(seen)
    assert [meter.counters.observed.get(("smartmeter_radio_scans_total", "found"), 0) for meter in seen.meters.values()] == [
        0,
        0,
    ]
    assert memory == {"meter0": kept["家"], "meter1": kept["annexe"]}


def test_the_tables_are_those_of_0_1_0(program: Program, folder: Path) -> None:
    program.go_on()
    with closing(restored("state.sql")) as old, closing(sqlite3.connect(folder / FILE)) as new:
        assert tables(new) == tables(old)


def test_a_new_file_has_the_tables_of_0_1_0(tmp_path: Path) -> None:
    state = State(str(tmp_path))
    assert state.keep(LINK, {"home": {}})
    state.close()
    with closing(restored("state.sql")) as old, closing(sqlite3.connect(tmp_path / FILE)) as new:
        assert tables(new) == tables(old)


def test_rows_of_this_version_are_those_that_0_1_0_writes_after_the_same_readings(program: Program, folder: Path) -> None:
    program.go_on()
    with closing(restored("continued.sql")) as old, closing(sqlite3.connect(folder / FILE)) as new:
        expected, found = rows(old), rows(new)
    added = set[str]()
    for key, row in found.items():
        if key[0] == "account":
            added |= {name for name in row if name not in expected[key]}
            added |= {f"totals.{name}" for name in row["totals"] if name not in expected[key]["totals"]}
            found[key] = {name: row[name] for name in row if name not in NEW_KEYS}
            found[key]["totals"] = {name: row["totals"][name] for name in row["totals"] if f"totals.{name}" not in NEW_KEYS}
    assert found == expected
    assert added == NEW_KEYS


def test_a_place_on_the_air_is_kept_in_the_form_of_0_1_0() -> None:
    with closing(restored("state.sql")) as file:
        old = rows(file)["memory", LINK]
    memory: dict[str, Any] = {}
    virtual_time.run(0.2, [FakeMeter(), FakeMeter(number=2, channel=0x35)], memory=memory)
    assert list(memory.values()) == list(old.values())
