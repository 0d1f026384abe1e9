"""What every kind of meter promises, over each entry of PROTOCOLS and over the made-up one of docs/add-a-protocol.md."""

from __future__ import annotations

import asyncio
import io
import random
import re
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support import documented_protocol
from support.live_meters import LIMIT, line, reading, until
from support.virtual_lines import run

from meterline.billing.tariff import Tariffs
from meterline.config.schema import Config, MeterConfig
from meterline.config.structure import structure
from meterline.diagnostics import report, serial_device
from meterline.diagnostics.link_check import Case, Surroundings, examine
from meterline.link.open import open_link
from meterline.link.stream import Link
from meterline.locale import codes, language
from meterline.meter.exposition import Page
from meterline.meter.readings import Rejected
from meterline.protocols import PROTOCOLS
from meterline.protocols.api import MeterProtocol, SimulatedMeter, ok
from meterline.protocols.trial import Trial, try_reading
from meterline.service.detect import detect, try_protocol
from meterline.simulation.place import Place as SimulatedPlace
from meterline.web.page.reading_texts import as_json, rows

NAMES = [*PROTOCOLS, documented_protocol.NAME]
LISTENING = [*PROTOCOLS.recognised_by("listen"), documented_protocol.NAME]
ENERGY = "smartmeter_energy_import_watthours_total"
BY_TARIFF = "smartmeter_energy_import_tariff_watthours_total"
EXPORT_BY_TARIFF = "smartmeter_energy_export_tariff_watthours_total"
FRAMES = 5


@pytest.fixture(autouse=True)
def _ember(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    documented_protocol.add(tmp_path, monkeypatch)


def simulated(protocol: MeterProtocol[Any]) -> SimulatedMeter:
    return next(iter(protocol.simulator().demo()))


@asynccontextmanager
async def served(name: str) -> AsyncIterator[tuple[str, SimulatedMeter]]:
    """A healthy line of the protocol: its URL and its meter."""
    meter = simulated(PROTOCOLS[name])
    async with meter.serve(SimulatedPlace()) as url:
        yield url, meter


def configured(name: str, url: str, meter: SimulatedMeter) -> MeterConfig:
    tariffs = structure(dict(meter.tariffs), Tariffs) if meter.tariffs else None
    return MeterConfig(meter.name, url, name, meter.options, tariffs=tariffs)


async def tried(name: str) -> tuple[Trial, bytes]:
    """The meter, read for a while, and all that its line sent."""
    sent = bytearray()
    async with served(name) as (url, meter), open_link(url, PROTOCOLS[name].serial) as link:
        link.tap = sent.extend
        options = {meter.name: meter.options}
        trial = await try_reading(PROTOCOLS[name], link, options, LIMIT, lambda meter: meter.counters.frames >= FRAMES)
    return trial, bytes(sent)


def forbid_writing(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    async def write(data: bytes) -> None:
        raise AssertionError(f"written while listening: {data!r}")

    monkeypatch.setattr(link, "write", write)


async def pour_noise(write: Any) -> None:
    """No more than the line carries: throwing away what a pseudo-terminal has no room for looks like an unplugged device."""
    dice = random.Random(5)
    while True:
        write(bytes(dice.choice((0x01, 0x80, 0x8F, 0x9E, 0xF8, 0x1F, 0x55)) for _ in range(40)))
        await asyncio.sleep(0.05)


async def examined(config: MeterConfig) -> Case:
    case = Case(config.link, (config,))
    await examine(case, Surroundings(serial_device.this_user(), listen_s=3.0))
    return case


@pytest.mark.parametrize("name", NAMES)
def test_the_facts_of_a_protocol_are_complete(name: str) -> None:
    protocol = PROTOCOLS[name]
    assert protocol.name == name
    assert protocol.options.__dataclass_params__.frozen
    assert protocol.max_power_va > 0
    assert protocol.identifiers
    assert len({*protocol.import_registers}) == len(protocol.import_registers)
    assert protocol.told_apart_by is None or hasattr(simulated(protocol).options, protocol.told_apart_by)
    assert simulated(protocol).options.stale_after(1) > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_protocol_recognises_its_own_line_and_loses_nothing(name: str) -> None:
    async def test() -> None:
        async with served(name) as (url, meter), open_link(url, PROTOCOLS[name].serial) as link:
            assert (await try_protocol(link, PROTOCOLS[name])).is_sure
            options = {meter.name: meter.options}
            trial = await try_reading(PROTOCOLS[name], link, options, LIMIT, lambda meter: meter.counters.frames >= 1)
            assert trial.meter.counters.frames, trial.trouble

    run(test())


@pytest.mark.parametrize(("name", "other"), [(name, other) for name in NAMES for other in NAMES if name != other])
def test_a_protocol_does_not_recognise_the_line_of_another(name: str, other: str) -> None:
    async def test() -> None:
        async with served(other) as (url, _), open_link(url) as link:
            recognition = await try_protocol(link, PROTOCOLS[name])
            assert not recognition.is_sure
            assert not recognition.is_own
            assert recognition.why_not.text

    run(test())


@pytest.mark.parametrize("name", LISTENING)
def test_nothing_is_written_while_a_protocol_listens(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with served(name) as (url, _), open_link(url) as link:
            forbid_writing(link, monkeypatch)
            assert (await detect(link)).name == name
        async with line() as (url, _), open_link(url) as link:
            forbid_writing(link, monkeypatch)
            assert not (await try_protocol(link, PROTOCOLS[name])).is_sure

    run(test())


def test_nothing_is_written_to_a_line_that_a_listener_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged TIC line is no place for a question to a Wi-SUN module."""
    frame = b"\x02" + b"\nIINST 003 Y\r\nPAPP 00780 -\r\nHCHC 000123456 -\r" * 3 + b"\x03"

    async def pour(write: Any) -> None:
        while True:
            write(frame)
            await asyncio.sleep(0.02)

    async def test() -> None:
        async with line() as (url, write), open_link(url) as link:
            pouring = asyncio.create_task(pour(write))
            forbid_writing(link, monkeypatch)
            with pytest.raises(TimeoutError, match="damaged"):
                await detect(link)
            pouring.cancel()

    run(test())


@pytest.mark.parametrize("name", [name for name in NAMES if name not in LISTENING])
def test_a_meter_that_must_be_asked_is_found_after_all_have_listened(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    listened: list[str] = []
    inner = try_protocol

    async def note(link: Link, protocol: MeterProtocol[Any], *args: Any, **more: Any) -> Any:
        listened.append(protocol.name)
        return await inner(link, protocol, *args, **more)

    monkeypatch.setattr("meterline.service.detect.try_protocol", note)

    async def test() -> None:
        async with served(name) as (url, _), open_link(url) as link:
            assert (await detect(link)).name == name
        assert listened == [*LISTENING, name]

    run(test())


@pytest.mark.parametrize("name", NAMES)
def test_what_a_meter_sends_is_decoded_and_redacted_without_the_household(name: str) -> None:
    trial, sent = run(tried(name))
    protocol, address = PROTOCOLS[name], trial.meter.address
    assert address, "a meter says its number"
    shown = b"".join(map(protocol.redactor(True).feed, (sent[:100], sent[100:])))
    for data in (sent, shown):
        events = protocol.decoder().feed(data)
        assert sum(map(protocol.proves, events)) >= 3
        assert any(protocol.describe(event) for event in events)
        assert all(protocol.describe(event) is None for event in events if isinstance(event, Rejected))
    assert address.encode() in sent or bytes.fromhex(address) in sent
    assert address.encode() not in shown.upper()
    open_shown = protocol.redactor(False).feed(sent).decode("latin-1")
    for secret in ("id", "password"):
        if value := getattr(simulated(protocol).options, secret, ""):
            assert value not in open_shown + shown.decode("latin-1")


@pytest.mark.parametrize("name", NAMES)
def test_a_meter_is_read_shown_and_billed_by_its_own_registers(name: str) -> None:
    protocol = PROTOCOLS[name]

    async def test() -> None:
        async with served(name) as (url, meter), reading(configured(name, url, meter)) as runtime:
            found = runtime.meters[meter.name]
            await until(lambda: runtime.books.account(meter.name) is not None)
            assert found.max_power_va == protocol.max_power_va
            assert found.value(ENERGY)
            registers = {series[1] for series in found.readings if series[0] == BY_TARIFF}
            assert registers <= {*protocol.import_registers}
            assert bool(registers) is bool(protocol.import_registers)
            assert {series[1] for series in found.readings if series[0] == EXPORT_BY_TARIFF} == {*protocol.export_registers}
            page = Page(runtime.meters.values(), runtime.books.refresh).text()
            assert f'smartmeter_up{{meter="{meter.name}"}} 1.0' in page
            assert re.search(rf'^smartmeter_cost_total{{.*meter="{meter.name}"', page, re.MULTILINE)
            assert re.search(rf'^smartmeter_price_known{{meter="{meter.name}"}} 1.0', page, re.MULTILINE)
            assert found.value("smartmeter_info", "protocol") == name or as_json(found)
            for code in codes():
                assert all(title and text for title, text in rows(found, language(code)))

    run(test())


@pytest.mark.parametrize("name", NAMES)
def test_a_healthy_line_has_nothing_wrong(name: str) -> None:
    async def test() -> None:
        async with served(name) as (url, meter):
            case = await examined(configured(name, url, meter))
        assert not [finding for finding in case.findings if finding.level == "fault"], case.findings
        assert case.protocol == name
        assert case.sent

    run(test())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("noisy", [False, True], ids=["silent", "noisy"])
def test_a_line_that_cannot_be_read_gets_a_fault_with_its_remedy(name: str, noisy: bool) -> None:
    async def test() -> None:
        async with line() as (url, write):
            pouring = asyncio.create_task(pour_noise(write)) if noisy else None
            case = await examined(configured(name, url, simulated(PROTOCOLS[name])))
            if pouring:
                pouring.cancel()
        faults = [finding for finding in case.findings if finding.level == "fault"]
        assert faults, case.findings
        assert all(finding.remedy for finding in faults), faults
        others = [other for other in NAMES if other != name]
        assert not re.search(rf"\b({'|'.join(others)})\b", str(faults), re.IGNORECASE), "advice for another kind of meter"

    run(test())


@pytest.mark.parametrize("name", NAMES)
def test_a_report_shows_no_number_of_the_household(name: str) -> None:
    trial, sent = run(tried(name))
    address = trial.meter.address
    assert address
    options = simulated(PROTOCOLS[name]).options
    case = Case("/dev/ttyUSB0", (MeterConfig("home", "/dev/ttyUSB0", name, options),))
    case.sent += sent
    for text in (address, address.lower(), getattr(options, "id", address)):
        case.find(ok(f"the meter {text} speaks"))
    file = io.BytesIO()
    report.write(file, Config(case.meters), [], [case], None)
    with zipfile.ZipFile(file) as written:
        everything = b"".join(written.read(member) for member in written.namelist()).decode("latin-1")
    assert "the meter (masked) speaks" in everything
    for secret in (address, getattr(options, "id", ""), getattr(options, "password", "")):
        assert not secret or secret.upper() not in everything.upper()


ONLY = """
import asyncio, sys
from meterline.cli.arguments import parser
from meterline.cli.run import run
from meterline.config.schema import load
from meterline.link.open import open_link
from meterline.protocols import PROTOCOLS
from meterline.service.detect import detect

def loaded():
    return {name.split(".")[2] for name in sys.modules if name.startswith("meterline.protocols.")} & {*PROTOCOLS}

parser(simulators=False)
assert not loaded(), loaded()
for path in sys.argv[2:3]:
    assert load(path).meters[0].options
    assert loaded() == {sys.argv[1]}, loaded()

async def recognise(url):
    async with open_link(url) as link:
        assert (await detect(link)).name == sys.argv[1]

for path in sys.argv[3:]:
    asyncio.run(recognise(f"file:{path}"))
    assert loaded() == {sys.argv[1]}, loaded()
assert not [name for name in sys.modules if ".simulator" in name or name.startswith("meterline.simulation")]
"""
"""A program that reads one kind of meter, step by step."""


def only(name: str, *files: Path) -> None:
    subprocess.run([sys.executable, "-c", ONLY, name, *map(str, files)], check=True, timeout=LIMIT)


def test_a_configuration_imports_the_protocol_that_it_names_and_no_other(tmp_path: Path) -> None:
    for name in PROTOCOLS.recognised_by("listen")[:1] + PROTOCOLS.recognised_by("write"):
        config = tmp_path / f"{name}.yml"
        options = {key: getattr(simulated(PROTOCOLS[name]).options, key, None) for key in ("id", "password")}
        given = ", ".join(f"{key}: '{value}'" for key, value in options.items() if value)
        config.write_text(f"meters: [{{name: home, link: /dev/ttyUSB0, protocol: {name}, options: {{{given}}}}}]")
        if name != documented_protocol.NAME:
            only(name, config)


def test_a_line_that_is_recognised_by_listening_imports_no_protocol_that_writes(tmp_path: Path) -> None:
    name = next(iter(PROTOCOLS.recognised_by("listen")))
    _, sent = run(tried(name))
    config, capture = tmp_path / "meterline.yml", tmp_path / "capture.bin"
    config.write_text(f"meters: [{{name: home, link: /dev/ttyUSB0, protocol: {name}}}]")
    capture.write_bytes(sent)
    only(name, config, capture)
