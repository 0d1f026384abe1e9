"""The registers that have a price, and those of the contract that the meter names."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.billing_worlds import Program, wall
from support.sample_tariffs import PARIS, TOKYO, Contract, tariffs, unix

from meterline.billing.tariff import WHOLE
from meterline.meter.readings import Contract as Said
from meterline.meter.readings import Reading, Snapshot
from meterline.protocols.tic.derived import readings
from meterline.protocols.tic.frames import Assembler, Decoder
from meterline.protocols.tic.simulator.meter import FakeMeter
from meterline.simulation.household import House

NOON = unix("2026-11-03 12:00")
MATCH = "smartmeter_tariffs_match_contract"
BOTH_MODES = {"EASF01": "0.1589", "EASF02": "0.2142", "HCHC": "0.1589", "HCHP": "0.2142"}


def contract(**period: object) -> Contract:
    return Contract("x", PARIS, ("EASF01",), tariffs(periods=[{"since": "2025-01-01", **period}]), lambda *_: None, ())


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    programs: list[Program] = []
    with wall(NOON) as clock:

        def begin(with_contract: Contract) -> Program:
            programs.append(Program(with_contract, tmp_path / str(len(programs)), clock))
            return programs[-1]

        yield begin
        for program in programs:
            program.state.close()


class Linky:
    """A simulated one, read through its bytes into the books."""

    def __init__(self, program: Program, mode: str, name: str) -> None:
        self.program, self.decoder, self.assembler = program, Decoder(), Assembler()
        self.fake = FakeMeter(House(PARIS), mode, name)

    def read(self, frames: int = 5) -> None:
        clock: SimpleNamespace = self.program.clock
        for _ in range(frames):
            clock.now += 2
            self.fake.advance(clock.now)
            for frame in self.assembler.feed(self.decoder.feed(self.fake.frame())):
                snapshot = readings(frame)
                self.program.meter.take(snapshot)
                self.program.books.take(self.program.meter, snapshot)

    def matches(self) -> dict[str, float]:
        self.read()
        return self.program.page(MATCH)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_contract_that_changed_is_a_gauge_and_one_line(
    start: Callable[..., Program], caplog: pytest.LogCaptureFixture
) -> None:
    program = start(contract(registers={"EASF01": "0.1589", "EASF02": "0.2142"}))
    assert Linky(program, "standard", "HC").matches() == {"": 1}
    assert warnings(caplog) == []
    changed = Linky(program, "standard", "BASE")
    assert changed.matches() == {"": 0}
    changed.read(50)
    assert [line for line in warnings(caplog) if "contract" in line] == [
        "tariffs: the meter's contract is BASE, which counts on EASF01; here the priced registers are EASF01, EASF02: "
        "has the contract changed?"
    ]
    assert Linky(program, "standard", "HC").matches() == {"": 1}


def test_silence_hides_what_was_said_before_anything_was_booked(start: Callable[..., Program]) -> None:
    """No register is sure yet, so today's costs are not shown."""
    program = start(contract(registers={"EASF01": "0.1589", "EASF02": "0.2142"}))
    agreed = Said("H PLEINE/CREUSE", ("EASF01", "EASF02"))
    for _ in range(3):
        snapshot = Snapshot((), contract=agreed)
        program.meter.take(snapshot)
        program.books.take(program.meter, snapshot)
    assert program.page(MATCH) == {"": 1}
    program.clock.now += 60
    assert program.page(MATCH) == {}


def test_the_end_of_the_day_hides_nothing_that_the_meter_goes_on_saying(start: Callable[..., Program]) -> None:
    program = start(contract(registers={"EASF01": "0.1589", "EASF02": "0.2142"}))
    program.clock.now = unix("2026-11-03 23:59")
    meter = Linky(program, "standard", "HC")
    while program.clock.now < unix("2026-11-04 00:00"):
        meter.read(2)
        assert program.page(MATCH) in ({}, {"": 1})
    assert program.page(MATCH) == {"": 1}


@pytest.mark.parametrize(
    ("mode", "name", "priced", "shown"),
    [
        ("standard", "HC", BOTH_MODES, 1),
        ("historic", "HC", BOTH_MODES, 1),
        ("standard", "TEMPO", BOTH_MODES, 0),
        ("standard", "HC", {"EASF01": "0.2"}, 0),
        ("historic", "BASE", {"HCHC": "0.1", "HCHP": "0.2"}, 0),
        ("historic", "BASE", {"BASE": "0.2", "HCHC": "0.1", "HCHP": "0.2"}, 1),
        ("historic", "HC", {"EASF01": "0.1", "EASF02": "0.2"}, 0),
        ("standard", "HC", {"EASF01": "0", "EASF02": "0.2", "EASF03": "0"}, 1),
    ],
)
def test_registers_and_contract_agree_or_not(
    start: Callable[..., Program], mode: str, name: str, priced: dict[str, str], shown: int
) -> None:
    assert Linky(start(contract(registers=priced)), mode, name).matches() == {"": shown}


def test_prices_that_no_register_decides_have_nothing_to_compare(start: Callable[..., Program]) -> None:
    night = {"name": "night", "price": "0.1", "hours": "22:00-06:00"}
    for period in ({"price": "0.2"}, {"times": [night, {"name": "day", "price": "0.2"}]}, {"tiers": [{"price": "0.2"}]}):
        assert Linky(start(contract(**period)), "standard", "TEMPO").matches() == {}


def test_a_meter_that_names_no_contract_has_nothing_to_compare_either(start: Callable[..., Program]) -> None:
    tiers = tariffs(currency="JPY", periods=[{"since": "2025-01-01", "tiers": [{"price": "30"}]}])
    program = start(Contract("t", TOKYO, (WHOLE,), tiers, lambda *_: None, ()))
    program.speak(TOTAL=1000)
    assert program.page(MATCH) == {}


def test_one_damaged_name_is_not_believed_and_silence_hides_what_was_said(
    start: Callable[..., Program], caplog: pytest.LogCaptureFixture
) -> None:
    program = start(contract(registers={"EASF01": "0.1589", "EASF02": "0.2142"}))
    meter = Linky(program, "standard", "HC")
    meter.read()
    for said in (Said("BASE", ("EASF01",), ("EASF02",)), Said("H PLEINE"), None):
        reading = Reading(("smartmeter_energy_import_tariff_watthours_total", "EASF01"), 0)
        snapshot = Snapshot((reading,), contract=said)
        program.books.take(program.meter, snapshot)
        assert program.page(MATCH) == {"": 1}
    assert warnings(caplog) == []
    program.clock.now += 60
    assert program.page(MATCH) == {}
    meter.read(2)
    assert program.page(MATCH) == {"": 1}
