"""A Wi-SUN module and what it hears: a simulated one on a real pseudo-terminal."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from support.live_meters import LIMIT
from support.virtual_lines import run

from meterline.config.schema import MeterConfig
from meterline.diagnostics import serial_device
from meterline.diagnostics.link_check import Case, Surroundings, examine
from meterline.meter.readings import Hint
from meterline.protocols.api import Finding
from meterline.protocols.broute import Options, causes
from meterline.protocols.broute.diagnose import LONG_ENOUGH
from meterline.protocols.broute.simulator.commands import FakeMeter, FakeModule, Faults
from meterline.simulation import responder


def find(meter: FakeMeter, options: Options | None, protocol: str | None = "broute", **facts: Any) -> list[Finding]:
    """What is said of a module in a hurry, with this meter on its air."""

    async def test() -> list[Finding]:
        module = FakeModule([meter], haste=100.0, start_unix=time.time(), **facts)
        async with responder.on_pty(module) as url:
            case = Case(url, (MeterConfig("tokyo", url, protocol, options),))
            await examine(case, Surroundings(serial_device.this_user()))
            return case.findings

    return asyncio.run(asyncio.wait_for(test(), 2 * LIMIT))


def configured(meter: FakeMeter, password: str = "") -> Options:
    return Options(id=meter.id, password=password or meter.password, interval=10)


def wrong(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.level != "ok"]


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """One reply is enough, and what does not come is not waited for."""
    monkeypatch.setattr("meterline.protocols.tic.PROBE", 0.3)
    monkeypatch.setattr("meterline.protocols.broute.diagnose._has_a_clock", lambda meter: meter.counters.frames > 2)
    monkeypatch.setattr("meterline.protocols.broute.diagnose.LONG_ENOUGH", 3.0)


@pytest.mark.parametrize(
    ("dual", "edition"), [(True, "1.5.2, dual edition, firmware rev15"), (False, "1.2.10, single edition")]
)
def test_a_good_module_and_meter_have_nothing_wrong(dual: bool, edition: str) -> None:
    meter = FakeMeter()
    findings = find(meter, configured(meter), dual=dual)
    assert not wrong(findings)
    text = "\n".join(finding.what for finding in findings)
    assert f"Wi-SUN module with SKSTACK {edition}" in text
    assert "meter 'tokyo' is heard on channel 31: good (-6" in text
    assert "meter 'tokyo' lets us in and answers" in text


def test_a_module_without_id_is_examined_alone_and_the_command_for_more_is_given() -> None:
    findings = find(FakeMeter(), None, protocol=None)
    (finding,) = wrong(findings)
    assert finding.level == "warning"
    assert "--config.file FILE" in finding.remedy
    assert any("Wi-SUN module with SKSTACK" in finding.what for finding in findings)


def test_a_weak_signal_is_a_warning_in_words() -> None:
    meter = FakeMeter(lqi=0x45)
    finding = wrong(find(meter, configured(meter)))[0]
    assert finding.level == "warning"
    assert "weak: bring the module nearer (-8" in finding.what


def test_a_meter_that_is_not_heard_is_a_fault() -> None:
    meter = FakeMeter()
    (finding,) = wrong(find(meter, configured(meter), faults=Faults(scan_empty=99)))
    assert finding.level == "fault"
    assert "is not heard on any channel" in finding.what
    assert "check its id" in finding.remedy


@pytest.mark.parametrize(
    ("lqi", "facts", "cause"),
    [
        (0x8C, {"password": "ZZZZZZZZZZZZ"}, causes.not_let_in(answers=True, is_near=True)),
        (0x45, {"password": "ZZZZZZZZZZZZ"}, causes.not_let_in(answers=True, is_near=False)),
        (0x8C, {"faults": Faults(limit32=(20000, 19990))}, causes.LIMITED),
    ],
    ids=["wrong password", "weak signal", "limit of time on air"],
)
def test_a_meter_that_is_heard_and_not_read_has_the_cause_that_the_log_of_run_gives(
    monkeypatch: pytest.MonkeyPatch, lqi: int, facts: dict[str, Any], cause: Hint
) -> None:
    monkeypatch.setattr("meterline.protocols.broute.diagnose.LONG_ENOUGH", LONG_ENOUGH)
    meter = FakeMeter(lqi=lqi)

    async def test() -> Case:
        module = FakeModule([meter], start_unix=time.time(), faults=facts.get("faults", Faults()))
        async with responder.on_pty(module) as url:
            case = Case(url, (MeterConfig("tokyo", url, "broute", configured(meter, facts.get("password", ""))),))
            await examine(case, Surroundings(serial_device.this_user()))
            return case

    (finding,) = [finding for finding in run(test()).findings if finding.level == "fault"]
    assert (finding.what, finding.remedy) == (f"meter 'tokyo' is heard, but not read: {cause.text}", cause.remedy)
    assert "ZZZ" not in finding.what + finding.remedy


def test_a_joined_meter_without_a_reply_is_to_be_moved_nearer() -> None:
    meter = FakeMeter()
    (finding,) = wrong(find(meter, configured(meter), faults=Faults(silent=True)))
    assert finding.level == "fault"
    assert finding.what == "meter 'tokyo' is heard, but does not answer"
    assert "bring the module nearer" in finding.remedy
