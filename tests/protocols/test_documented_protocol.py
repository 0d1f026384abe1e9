"""The made-up protocol of docs/add-a-protocol.md: a folder and one entry, and every command knows it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import serialx
from support import documented_protocol
from support.decoder_contract import assert_decodes
from support.live_meters import LIMIT, environment, free_port, line, page, reading, shows, until
from support.virtual_lines import run

from meterline.billing.tariff import Tariffs
from meterline.config.schema import Config, MeterConfig, load
from meterline.config.structure import structure
from meterline.protocols import PROTOCOLS

NUMBER = "EM12345678"
IMPORT = ("smartmeter_energy_import_watthours_total",)
EXPORT = ("smartmeter_energy_export_watthours_total",)
FIRST_EXPORT = ("smartmeter_energy_export_tariff_watthours_total", "E1")


@pytest.fixture
def ember(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Its files as modules."""
    documented_protocol.add(tmp_path, monkeypatch)
    assert PROTOCOLS["ember"].name == "ember"
    import meterline.protocols

    return sys.modules[f"{meterline.protocols.__name__}.ember.frames"]


def sent(ember: Any, drawn: int, fed_in: int = 120_300) -> bytes:
    line: bytes = ember.encode(ember.Frame(NUMBER, (drawn, 4_411_020), (fed_in, 88_000), 60_000))
    return line


def tariffs() -> Tariffs:
    period = {"since": "2024-01-01", "registers": {"I1": "0.30", "I2": "0.20"}, "feed_in": "0.08"}
    found: Tariffs = structure({"currency": "EUR", "periods": [period]}, Tariffs)
    return found


def test_the_documented_decoder_keeps_the_contract_of_decoders(ember: Any) -> None:
    frame = ember.Frame(NUMBER, (81_253_114, 4_411_020), (120_300, 88_000), -1250)
    assert_decodes(ember.Decoder, ember.encode(frame), [frame], is_value=lambda event: isinstance(event, ember.Frame))


def test_at_60_kilowatts_its_energy_is_shown_and_billed(ember: Any) -> None:
    """Above the 36 kVA of a household in France or Japan; what it feeds in rises by 100 Wh at a time."""

    async def test() -> None:
        async with line() as (url, write), reading(MeterConfig("mill", url, "ember", tariffs=tariffs())) as runtime:
            mill = runtime.meters["mill"]
            await until(lambda: mill.counters.opened)
            for step in range(361):  # half an hour, a line each five seconds
                write(sent(ember, round(step * 60_000 * 5 / 3600), 120_300 + step // 4 * 100))
                await asyncio.sleep(5)
            assert not mill.counters.rejected["implausible"]
            assert mill.value(*IMPORT) == 30_000 + 4_411_020
            assert mill.value(*FIRST_EXPORT) == 120_300 + 9_000
            assert mill.value(*EXPORT) == 120_300 + 9_000 + 88_000
            account = runtime.books.account("mill")
            assert account
            assert account.totals.costs["I1"] == Decimal("0.30") * (30_000 - 167) / 1000, "from the third line on"
            assert account.totals.credit == Decimal("0.08") * 9_000 / 1000, "the sum of both registers"

    run(test(), 7200.0)


def test_the_documented_device_is_opened_with_its_own_settings(ember: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[dict[str, Any]] = []
    inner = serialx.create_serial_connection

    async def note(*args: Any, **settings: Any) -> Any:
        opened.append(settings)
        return await inner(*args, **settings)

    monkeypatch.setattr(serialx, "create_serial_connection", note)

    async def test() -> None:
        async with line() as (url, _), reading(MeterConfig("mill", url, "ember")) as runtime:
            await until(lambda: runtime.meters["mill"].counters.opened)

    run(test())
    assert opened[0]["baudrate"] == 9600
    assert opened[0]["byte_size"] == 8
    assert opened[0]["parity"] is serialx.Parity.NONE


def test_the_documented_options_are_typed(ember: Any, tmp_path: Path) -> None:
    file = tmp_path / "meterline.yml"
    file.write_text("meters: [{name: mill, link: /dev/ttyUSB0, protocol: ember, options: {power: false}}]")
    assert load(str(file)) == Config((MeterConfig("mill", "/dev/ttyUSB0", "ember", PROTOCOLS["ember"].options(power=False)),))


class Program:
    """The program with one entry more, and a simulated meter."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.link, self.file = folder, folder / "meter", folder / "meterline.yml"
        self._script = documented_protocol.write(folder)
        price = "{currency: EUR, periods: [{since: 2024-01-01, registers: {I1: '0.30', I2: '0.20'}, feed_in: '0.08'}]}"
        self.file.write_text(f"meters: [{{name: mill, link: '{self.link}', protocol: ember, tariffs: {price}}}]")

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(self._script), *words]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment())

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(self._script), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=2 * LIMIT, check=False, env=environment())


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    found = Program(tmp_path_factory.mktemp("ember"))
    simulator = found.start("simulate", "ember", "--watts", "60000", "--pty", str(found.link))
    assert simulator.stdout
    assert simulator.stdout.readline() == f"simulated meter at {found.link}; read it with: meterline run {found.link}\n"
    yield found
    simulator.terminate()
    simulator.wait(LIMIT)
    simulator.stdout.close()


def test_the_documented_configuration_is_checked(program: Program) -> None:
    assert program.run("check", str(program.file)).stdout.startswith(f"mill: ember at {program.link}\n")
    wrong = program.folder / "wrong.yml"
    wrong.write_text(program.file.read_text().replace("I2", "I3"))
    assert "I3" in program.run("check", str(wrong)).stderr


def test_the_documented_meter_is_detected(program: Program) -> None:
    answer = program.run("detect", str(program.link))
    assert answer.stdout == f"meters:\n  - name: home\n    link: {program.link}\n    protocol: ember\n", answer.stderr


def test_the_documented_meter_is_read_served_and_billed(program: Program) -> None:
    port, state = free_port(), str(program.folder / "state")
    serving = ("--web.listen-address", f"127.0.0.1:{port}")
    running = program.start("run", "--config.file", str(program.file), "--state.dir", state, *serving)
    try:
        text = shows(port, 'smartmeter_energy_export_tariff_watthours_total{meter="mill",tariff="E2"} 88000.0')
        assert 'smartmeter_energy_export_watthours_total{meter="mill"} 208300.0' in text
        assert 'smartmeter_price{currency="EUR",meter="mill",tariff="I1"} 0.3' in text
        assert '<span class="number">60000</span> <span class="unit">W</span>' in page(port, "/")
        shows(port, 'smartmeter_cost_total{currency="EUR",meter="mill",tariff="I1"}')
    finally:
        running.terminate()
        assert running.wait(LIMIT) == 0
        assert running.stdout
        running.stdout.close()
    assert "EUR" in program.run("cost", "--state.dir", state).stdout
    answer = program.run("read", str(program.link), "--protocol", "ember", "--json")
    assert json.loads(answer.stdout)["energy_export_tariff_watthours_total"] == {"E1": 120_300, "E2": 88_000}


def test_the_documented_capture_is_redacted_and_decoded(program: Program) -> None:
    file = program.folder / "capture.bin"
    words = ("capture", str(program.link), "-o", str(file), "--redact", "--protocol", "ember", "--seconds", "3")
    assert program.run(*words).returncode == 0
    answer = program.run("decode", str(file))
    rows = [json.loads(row) for row in answer.stdout.splitlines()]
    assert rows[-1]["number"] == "EM00000000", answer.stderr
    assert NUMBER.encode() not in file.read_bytes()


def test_the_doctor_and_its_report_know_it(program: Program) -> None:
    file = program.folder / "report.zip"
    words = ("doctor", "--config.file", str(program.file), "--seconds", "3", "--bundle", str(file))
    answer = program.run(*words, "--state.dir", str(program.folder), "--web.listen-address", f"127.0.0.1:{free_port()}")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "0 damaged" in answer.stdout
    assert NUMBER.encode() not in file.read_bytes()
