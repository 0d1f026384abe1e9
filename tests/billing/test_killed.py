"""The program as it runs: it reads a meter, is killed twice, and in the end its books say what the meter's registers say."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from decimal import Decimal as D
from pathlib import Path
from zoneinfo import ZoneInfo

from support.live_meters import LIMIT, fetch, free_port, talking, until

from meterline.protocols.tic.simulator.meter import FakeMeter
from meterline.protocols.tic.simulator.state import PARIS
from meterline.store import FILE

CONFIGURATION = """\
meters:
  - name: home
    link: {url}
    protocol: tic
    options: {{baud: 9600, mode: standard}}
    tariffs:
      currency: EUR
      periods:
        - since: 2025-01-01
          registers: {{EASF01: 0.1579, EASF02: 0.2065}}
"""


@dataclass
class Switched:
    """A household that draws `watts`, always."""

    zone: ZoneInfo = PARIS
    subscribed: int = 36_000
    watts: float = 0.0

    def load(self, now: float) -> float:
        return self.watts

    def sun(self, now: float) -> float:
        return 0.0

    def volts(self, now: float, phase: int) -> float:
        return 230.0


def kept(folder: Path) -> dict[str, dict[str, object]] | None:
    """The account as it lies on the disk."""
    if not (folder / FILE).exists():
        return None
    file = sqlite3.connect(folder / FILE)
    try:
        row = file.execute("SELECT json FROM account WHERE meter = 'home'").fetchone()
    except sqlite3.OperationalError:
        return None
    finally:
        file.close()
    return json.loads(row[0]) if row else None


async def wait_for(port: int, family: str, least: float) -> None:
    """A page shows a family without further labels, and so much at least."""
    async with asyncio.timeout(LIMIT):
        while True:
            try:
                text = (await asyncio.to_thread(fetch, f"http://127.0.0.1:{port}/metrics"))[2].decode()
            except OSError:
                text = ""
            match = re.search(rf'^{family}{{meter="home"}} (\S+)$', text, re.MULTILINE)
            if match and float(match[1]) >= least:
                return
            await asyncio.sleep(0.05)


def test_a_program_that_is_killed_twice_bills_what_the_meter_counted(tmp_path: Path) -> None:
    house, state, port = Switched(), tmp_path / "state", free_port()
    meter = FakeMeter(house, "standard", "HC")  # type: ignore[arg-type]
    config = tmp_path / "meterline.yml"
    shown = "smartmeter_energy_import_period_watthours"

    def run() -> subprocess.Popen[bytes]:
        words = ("--config.file", str(config), "--state.dir", str(state), "--web.listen-address", f"127.0.0.1:{port}")
        log = (tmp_path / "log").open("ab")
        with log:
            return subprocess.Popen([sys.executable, "-m", "meterline", "run", *words], stdout=log, stderr=log)

    async def test() -> None:
        before = dict(meter.registers)
        async with talking(meter) as url:
            config.write_text(CONFIGURATION.format(url=url), encoding="utf-8")
            for time in range(3):
                running = run()
                try:
                    drawn = sum(meter.registers.values()) - sum(before.values())
                    await wait_for(port, shown, drawn)
                    await until(lambda: kept(state))
                    house.watts = 45_000
                    await wait_for(port, shown, drawn + 6)
                    if time == 2:
                        house.watts = 0
                        await wait_for(port, shown, sum(meter.registers.values()) - sum(before.values()))
                        running.terminate()
                        assert await asyncio.to_thread(running.wait, LIMIT) == 0
                finally:
                    running.kill()
                    await asyncio.to_thread(running.wait)
        rises = {register: meter.registers[register] - before[register] for register in (1, 2)}
        account = kept(state)
        assert account
        for register, price in ((1, "0.1579"), (2, "0.2065")):
            name = f"EASF0{register}"
            assert account["registers"][name][0] == str(meter.registers[register])  # type: ignore[index]
            assert D(account["totals"]["costs"].get(name, 0)) == rises[register] * D(price) / 1000  # type: ignore[attr-defined]
        assert sum(rises.values()) >= 18
        assert "defect" not in (tmp_path / "log").read_text(encoding="utf-8")

    asyncio.run(asyncio.wait_for(test(), 4 * LIMIT))
