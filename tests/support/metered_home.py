"""A home for tests: a real broker, a real Home Assistant, the program, and a meter that the test plays.

The meter remembers when each of its register's values was the truth, so that the age of what Home Assistant shows is known.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from meterline.protocols.tic.frames import encode_frame
from meterline.protocols.tic.simulator.groups import historic_groups
from meterline.protocols.tic.simulator.meter import FakeMeter
from meterline.protocols.tic.simulator.state import PARIS
from meterline.simulation.household import House
from support.home_assistant import HomeAssistant, discovery, home_assistant
from support.live_meters import environment, talking
from support.mosquitto import Broker, mosquitto

WATTS = 5400.0
"""A watt-hour and a half each second: a register that moves on faster than it is sent."""
ENERGY = "energy_import_tariff_watthours_total_BASE"
"""Key of the register in our messages."""
TARIFFS = {"currency": "EUR", "periods": [{"since": "2024-01-01", "price": 0.2}]}


class Witness(FakeMeter):
    """A historic Linky whose register moves on each second.

    Attributes:
        said_at: Wh → Unix time at which the register last had that value.
        is_silent: Nothing is sent.
        withheld: Labels that are left out of each frame.
    """

    def __init__(self) -> None:
        super().__init__(House(PARIS), "historic", "BASE")
        self.said_at: dict[int, float] = {}
        self.is_silent = False
        self.withheld: set[str] = set()

    @property
    def watts(self) -> float:
        return WATTS

    def frame(self) -> bytes:
        self.said_at[self.registers[1]] = self.now
        if self.is_silent:
            return b""
        return encode_frame([group for group in historic_groups(self) if group[0] not in self.withheld])

    def exchange(self) -> None:
        """The grid company takes it away, and puts another one in its place, which has counted much more."""
        self.number += 1
        self.registers[1] += 39_000_000


class Meterline:
    """The program, which may be stopped and started again; its state stays."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        folder.mkdir()
        self._log, self._config, self._state = folder / "log", folder / "meterline.yml", folder / "state"
        self._process: subprocess.Popen[bytes] | None = None
        self.write(config)

    def write(self, config: dict[str, Any]) -> None:
        """Another configuration, which is taken when it is started or reloads."""
        self._config.write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML

    @property
    def log(self) -> str:
        """What it said so far."""
        return self._log.read_text(encoding="utf-8")

    def start(self) -> None:
        words = [sys.executable, "-m", "meterline", "run", "--config.file", str(self._config), "--state.dir", str(self._state)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*words, "--web.listen-address", "127.0.0.1:0"], stdout=log, stderr=log, env=environment()
            )

    def reload(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGHUP)

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        process, self._process = self._process, None
        if process:
            process.send_signal(how)
            await asyncio.to_thread(process.wait)


class Home:
    """All of them.

    Attributes:
        entry: The meter in the program's configuration.
    """

    def __init__(
        self, meter: Witness, broker: Broker, assistant: HomeAssistant, program: Meterline, entry: dict[str, Any]
    ) -> None:
        self.meter, self.broker, self.assistant, self.program, self.entry = meter, broker, assistant, program, entry

    async def entity(self, key: str, device: str = "home") -> str:
        """The identifier of an entity in Home Assistant, once it is there."""

        async def found() -> str | None:
            entry = (await self.assistant.entities(device)).get(key)
            return str(entry["entity_id"]) if entry else None

        name: str = await self.assistant.until(found, f"{device} has no {key}")
        return name

    async def is_right(self, entity: str, seconds: float, freshest: float) -> None:
        """Wait until an entity shows what the meter said within the last `freshest` seconds."""
        deadline = time.monotonic() + seconds
        while not (self._age(self.assistant.shown(entity), time.time()) or 1e9) <= freshest:
            assert time.monotonic() < deadline, f"{entity} is {self.assistant.shown(entity)}; log: {self.program.log}"
            await asyncio.sleep(0.1)

    def stale(self, entity: str, oldest: float, briefly: float = 0.0) -> list[str]:
        """Every value older than `oldest` seconds that a person saw, then everything that was seen; [] without such a value.

        Values that were seen for at most `briefly` seconds are passed over.
        """
        shown = [(at, state) for at, name, state in self.assistant.seen if name in (entity, "")]
        start, found = shown[0][0], list[str]()
        for (at, state), (until, _) in pairwise([*shown, (time.time(), None)]):
            # What is shown until then has grown old until then.
            if (age := self._age(state, until)) is not None and age > oldest and until - at > briefly:
                times = f"from {at - start:.1f} s to {until - start:.1f} s"
                found.append(f"{state}, {times}, {age:.1f} s old at the end")
        return found and [*found, *(f"{at - start:.1f} s: {state}" for at, state in shown)]

    def _age(self, state: str | None, now: float) -> float | None:
        """How long ago the meter said that; None where nothing is shown."""
        if state in (None, "unknown", "unavailable"):
            return None
        return now - self.meter.said_at.get(round(float(str(state))), 0.0)


def configured(broker: Broker, meters: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
    """A configuration that publishes on a broker, in the form that this Home Assistant takes."""
    mqtt = {"url": f"mqtt://127.0.0.1:{broker.port}", "discovery": discovery(), **options}
    return {"meters": meters, "mqtt": mqtt}


@asynccontextmanager
async def metered_home(folder: Path, *lines: str, **options: Any) -> AsyncIterator[Home]:
    """A home in which everything runs. `lines`: of the broker's configuration; `options`: under ``mqtt:``."""
    meter = Witness()
    with mosquitto(folder, "allow_anonymous true", *lines) as broker:
        async with talking(meter, tcp=True) as link, home_assistant(folder / "home-assistant", broker.port) as assistant:
            entry = {"name": "home", "link": link, "protocol": "tic", "options": {"mode": "historic"}, "tariffs": TARIFFS}
            program = Meterline(folder / "meterline", configured(broker, [entry], **options))
            program.start()
            try:
                yield Home(meter, broker, assistant, program, entry)
            finally:
                await program.stop()
