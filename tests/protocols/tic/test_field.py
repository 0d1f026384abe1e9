"""Lines as people have them, kept in the shared folder: decoded, read on a pseudo-terminal, and before the doctor."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.live_meters import command, line, logged, reading, run, tic, until

from meterline.config.schema import MeterConfig
from meterline.diagnostics import serial_device
from meterline.diagnostics.link_check import Case, Surroundings, examine
from meterline.meter.meter import Meter
from meterline.protocols.tic.frames import Decoder, Group

ENERGY = ("smartmeter_energy_import_watthours_total",)
POWER = ("smartmeter_apparent_power_import_voltamperes",)
NO_METER = (0, 0)


@dataclass(frozen=True)
class Field:
    """What a capture must give."""

    accepted: int
    rejected: int | None
    """None: as many as there are."""
    doctor: str
    """What it must say."""
    level: str = "ok"
    log: str = ""
    """What the log must say."""
    never: str = "8N1"
    """What neither may say."""
    serves: bool = True
    """Energy and power."""


FILES = {
    "adco-only-standby": Field(60, 0, "only the meter's address arrives", "fault", "in standby", "screws", False),
    "gap-nul-9": Field(456, 0, "groups, none damaged"),
    "gap-xon": Field(456, 0, "groups, none damaged"),
    "lf-arrives-as-0e-and-0b": Field(456, 0, "groups, none damaged"),
    "line-ends-trimmed": Field(300, 30, "so that these groups are lost: PTEC", "warning", "lost: PTEC", "screws"),
    "msg1-with-prm": Field(152, 0, "groups, none damaged"),
    "nmea-gps": Field(0, None, "text, but not of a meter", "fault", "is it the right device?", "screws", False),
    "noise-burst-no-8n1": Field(260, None, "of them damaged", "fault"),
    "random-bytes": Field(0, None, "only noise arrives", "fault", "only noise arrives", "every one of them", False),
}
EACH = pytest.mark.parametrize("name", FILES)


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    path = shared / "field" / "tic"
    if not path.is_dir():
        pytest.skip("no field/tic/ in the shared folder")
    return path


@asynccontextmanager
async def arriving(data: bytes) -> AsyncIterator[str]:
    """A pseudo-terminal on which that comes, over and over."""

    async def pour() -> None:
        while True:
            for start in range(0, len(data), 400):
                write(data[start : start + 400])
                await asyncio.sleep(0.01)

    async with line() as (url, write):
        pouring = asyncio.create_task(pour())
        try:
            yield url
        finally:
            pouring.cancel()


def groups_of(data: bytes) -> list[Group]:
    return [event for event in Decoder().feed(data) if isinstance(event, Group)]


def test_every_capture_is_tested(folder: Path) -> None:
    assert sorted(file.stem for file in folder.glob("*.bin")) == sorted(FILES)


@EACH
def test_decode_gives_its_groups(folder: Path, name: str) -> None:
    printed = command("decode", str(folder / f"{name}.bin")).stdout
    kinds = Counter("rejected" if "rejected" in json.loads(text) else "accepted" for text in printed.splitlines())
    assert kinds["accepted"] == FILES[name].accepted
    assert FILES[name].rejected in (None, kinds["rejected"])


@EACH
@pytest.mark.usefixtures("soon")
def test_run_serves_its_values_and_says_what_is_wrong(folder: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    expected = FILES[name]
    caplog.set_level(logging.INFO, "meterline")

    def done(meter: Meter) -> bool:
        served = all(meter.value(*series) is not None for series in (ENERGY, POWER))
        return (served or not expected.serves) and expected.log in caplog.text and meter.counters.received > 8000

    async def test() -> None:
        async with arriving((folder / f"{name}.bin").read_bytes()) as url, reading(tic("home", url)) as runtime:
            await until(lambda: done(runtime.meters["home"]))
            if not expected.serves:
                assert ENERGY not in runtime.meters["home"].readings

    run(test())
    assert not any(expected.never in text for text in logged(caplog))


@EACH
@pytest.mark.usefixtures("soon")
def test_the_doctor_says_what_is_wrong(folder: Path, name: str) -> None:
    expected = FILES[name]

    async def test() -> None:
        async with arriving((folder / f"{name}.bin").read_bytes()) as url:
            case = Case(url, (MeterConfig("home", url, "tic"),))
            await examine(case, Surroundings(serial_device.this_user(), listen_s=2.0))
        told = {f"{finding.what} {finding.remedy}": finding.level for finding in case.findings}
        assert [level for text, level in told.items() if expected.doctor in text] == [expected.level], "\n".join(told)
        assert not [text for text in told if expected.never in text]

    run(test())


def test_a_redacted_capture_holds_no_message_and_is_whole(folder: Path, tmp_path: Path) -> None:
    source, out = folder / "msg1-with-prm.bin", tmp_path / "redacted.bin"
    messages = {group.data for group in groups_of(source.read_bytes()) if group.label in ("MSG1", "MSG2", "PRM")}
    assert messages
    command("capture", f"file:{source}", "-o", str(out), "--redact")
    shown = out.read_bytes()
    assert len(groups_of(shown)) == FILES["msg1-with-prm"].accepted
    assert not any(message.strip().encode() in shown for message in messages)
