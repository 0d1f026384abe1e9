"""What the real programs printed, line by line, in ours: through the scripts, over pseudo-terminals."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.live_meters import fetch, free_port, line

from meterline.protocols.broute.simulator.commands import FakeMeter, FakeModule, Faults
from meterline.simulation import responder

LIMIT = 120.0
"""Seconds in which whatever must happen has happened, however busy the machine is."""
SHARED = Path(os.environ.get("METERLINE_SHARED") or Path(__file__).parents[2].parent / "shared")
LINKY = [file.with_suffix("") for file in sorted(SHARED.glob("golden/linky-env*/*.bin")) + sorted(SHARED.glob("golden/*.bin"))]
SMARTMETER = sorted(SHARED.glob("golden/smartmeter/*.prom")) + sorted(SHARED.glob("golden/smartmeter.prom"))
OURS = ("LINKY_", "SMARTMETER_", "INDEXWHRATES_", "PROMETHEUS_PORT", "DEVICE")

found = pytest.mark.skipif(not LINKY and not SMARTMETER, reason=f"no golden pages in {SHARED.name}/ beside the project")


@asynccontextmanager
async def started(script: str, **settings: str) -> AsyncIterator[None]:
    """A console script of ours with these variables and no others."""
    path = str(Path(sys.executable).with_name(script))
    environment = {name: text for name, text in os.environ.items() if not name.startswith(OURS)} | settings
    process = subprocess.Popen([path], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: ASYNC220
    try:
        yield
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, LIMIT)


async def lines_of(port: int, enough: Callable[[set[str]], object]) -> set[str]:
    """The lines of the page, once they are enough or the time is up."""
    deadline = time.monotonic() + LIMIT
    lines: set[str] = set()
    while not enough(lines) and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
        try:
            lines = set((await asyncio.to_thread(fetch, f"http://127.0.0.1:{port}/metrics"))[2].decode().splitlines())
        except OSError:
            continue
        lines = set(masked("\n".join(lines)))
    return lines


def masked(page: str) -> list[str]:
    """The lines without what depends on the moment: times, durations, how often. A time that is 0 depends on nothing."""
    page = re.sub(r"(?m)^(smartmeter_last_scrape_timestamp_seconds) (?!0$).*$", r"\1 T", page)
    page = re.sub(r"(?m)^(smartmeter_scrape_duration_seconds_(?:bucket\{.*\}|sum|count)) .*$", r"\1 N", page)
    return re.sub(r"(?m)^(smartmeter_scrape_errors_total\{.*\}) [1-9][0-9]*$", r"\1 N", page).splitlines()


@found
@pytest.mark.parametrize("golden", LINKY, ids=lambda golden: golden.name)
def test_every_line_of_a_linky_page_stands_in_ours(golden: Path) -> None:
    frame, page = golden.with_suffix(".bin").read_bytes(), golden.with_suffix(".prom").read_text(encoding="utf-8").splitlines()

    async def test() -> set[str]:
        port = free_port()
        async with line() as (path, write):

            async def send() -> None:
                while True:
                    write(frame)
                    await asyncio.sleep(0.1)

            sending = asyncio.create_task(send())
            try:
                async with started("linky-exporter", LINKY_EXPORTER_INTERFACE=path, LINKY_EXPORTER_PORT=str(port)):
                    return await lines_of(port, lambda lines: lines >= set(page))
            finally:
                sending.cancel()

    shown = asyncio.run(test())
    assert [each for each in page if each not in shown] == []


# What the module and the meter do, by the name of the page.
WORLDS = {
    "smartmeter": Faults(),
    "first-values": Faults(),
    "module-silent-from-the-start-45-s": None,
    "refused-for-60-s": Faults(lies=True),
    "no-answer-for-100-s-after-values": Faults(outage=(10**6, 10**6 - 8)),
}
NOT_SHOWN = {
    "module-silent-from-the-start-45-s": ("smartmeter_power_watts 0",),
    "refused-for-60-s": ("smartmeter_power_watts 0",),
    "no-answer-for-100-s-after-values": ("smartmeter_power_watts ", "smartmeter_current_amperes{"),
}
"""Samples of values that nobody said, or that nobody says any more: the original shows them, and we do not."""


@asynccontextmanager
async def device(meter: FakeMeter, faults: Faults | None) -> AsyncIterator[str]:
    """A module with this meter on its air; without faults to have, one that never answers."""
    if faults is None:
        async with line() as (path, _):
            yield path
    else:
        async with responder.on_pty(FakeModule([meter], haste=100.0, start_unix=time.time(), faults=faults)) as path:
            yield path


@found
@pytest.mark.parametrize("golden", SMARTMETER, ids=lambda golden: golden.stem)
def test_every_line_of_a_smartmeter_page_stands_in_ours(golden: Path) -> None:
    assert golden.stem in WORLDS, "a page of a kind that this test does not know"
    gone = NOT_SHOWN.get(golden.stem, ())
    page = [each for each in masked(golden.read_text(encoding="utf-8")) if not each.startswith(gone or ("\0",))]

    def enough(lines: set[str]) -> bool:
        return lines >= set(page) and not (gone and any(each.startswith(gone) for each in lines))

    async def test() -> set[str]:
        meter, port = FakeMeter(overrides={0xE7: (366).to_bytes(4), 0xE8: bytes.fromhex("001C000C")}), free_port()
        settings = {"SMARTMETER_ID": meter.id, "SMARTMETER_PASSWORD": meter.password, "SMARTMETER_INTERVAL": "10"}
        async with device(meter, WORLDS[golden.stem]) as path:
            settings |= {"SMARTMETER_DEVICE": path, "SMARTMETER_PORT": str(port)}
            async with started("smartmeter-exporter", **settings):
                return await lines_of(port, enough)

    shown = asyncio.run(test())
    assert [each for each in page if each not in shown] == []
    assert not [each for each in shown if gone and each.startswith(gone)]
