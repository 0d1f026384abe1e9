"""A real broker for tests, a client that watches everything on it, and a publisher whose meters the test plays."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiomqtt
import pytest

from meterline.config.mqtt import Mqtt
from meterline.config.schema import Config, MeterConfig
from meterline.meter.readings import Reading, Series, Snapshot, Value
from meterline.outputs.running import Outputs
from meterline.service.supervisor import Runtime
from meterline.store import State
from support.live_meters import LIMIT, free_port, until

ENERGY: Series = ("smartmeter_energy_import_watthours_total",)
POWER: Series = ("smartmeter_apparent_power_import_voltamperes",)


class Broker:
    """A mosquitto on one port, which may be stopped and started again; what is retained is lost then."""

    def __init__(self, folder: Path, lines: tuple[str, ...]) -> None:
        self.port = free_port()
        self._binary = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
        if not self._binary:
            pytest.skip("no mosquitto here: it is in Debian's package mosquitto")
        self._config = folder / "mosquitto.conf"
        rules = lines or ("allow_anonymous true",)
        self._config.write_text("\n".join([f"listener {self.port} 127.0.0.1", "user root", *rules, ""]), encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen([str(self._binary), "-c", str(self._config)], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + LIMIT
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert self._process.poll() is None, "mosquitto ended"
            assert time.monotonic() < deadline, "mosquitto does not listen"
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(LIMIT)
            self._process = None


@contextmanager
def mosquitto(folder: Path, *lines: str) -> Iterator[Broker]:
    """A running broker. `lines`: of its configuration, in place of letting everybody in."""
    broker = Broker(folder, lines)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


class Heard(NamedTuple):
    topic: str
    payload: str
    is_retained: bool


class Watcher:
    """Everything that was published, in its order."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self._client: aiomqtt.Client

    def of(self, topic: str) -> list[str]:
        """Payloads of a topic."""
        return [one.payload for one in self.heard if one.topic == topic]

    def last(self, topic: str) -> Any:
        """The newest of a topic, parsed where it is JSON; None where there is none."""
        found = self.of(topic)
        if not found:
            return None
        try:
            return json.loads(found[-1])
        except ValueError:
            return found[-1]

    async def hears(self, topic: str, payload: str | None = None, since: int = 0) -> None:
        """Wait for it, among what was heard after the first `since` messages."""
        await until(lambda: any(one.topic == topic and payload in (None, one.payload) for one in self.heard[since:]))

    async def publish(self, topic: str, payload: str, is_kept: bool = False) -> None:
        await self._client.publish(topic, payload, qos=1, retain=is_kept)

    async def _listen(self) -> None:
        async for message in self._client.messages:
            payload = message.payload if isinstance(message.payload, bytes) else b""
            self.heard.append(Heard(str(message.topic), payload.decode(), message.retain))


@asynccontextmanager
async def watching(port: int, **options: Any) -> AsyncIterator[Watcher]:
    """A client that hears everything from now on, and first what is retained."""
    watcher = Watcher()
    async with aiomqtt.Client("127.0.0.1", port, **options) as client:
        watcher._client = client
        await client.subscribe("#", 1)
        task = asyncio.create_task(watcher._listen())
        try:
            yield watcher
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def retained(port: int) -> dict[str, str]:
    """What lies on the broker now."""
    async with watching(port) as watcher:
        await watcher.publish("the/end", "")
        await watcher.hears("the/end")
        return {one.topic: one.payload for one in watcher.heard if one.is_retained}


class Stage:
    """A runtime whose meters are played by the test, and its publisher."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.outputs = Outputs(runtime)

    def say(self, meter: str, values: dict[Series, Value], address: str | None = None) -> None:
        """A frame."""
        readings = tuple(Reading(series, value) for series, value in values.items())
        self.runtime.meters[meter].take(Snapshot(readings, address), timed=False)

    @property
    def messages(self) -> int:
        return self.outputs.broker.messages if self.outputs.broker else 0


def configured(port: int, *meters: str | MeterConfig, **options: Any) -> Config:
    """A configuration. What a meter that is given by its name was told stays true for as long as a test lasts."""
    configs = [MeterConfig(one, f"/dev/{one}", stale_after=4 * LIMIT) if isinstance(one, str) else one for one in meters]
    options.setdefault("url", f"mqtt://127.0.0.1:{port}")
    options.setdefault("interval", 1.0)
    return Config(tuple(configs), mqtt=Mqtt(**options))


@asynccontextmanager
async def publishing(
    config: Config, state: State | None = None, clock: Callable[[], float] | None = None
) -> AsyncIterator[Stage]:
    """Publish, until the end of the `with`. `clock`: whose time it is, where the test lets it pass."""
    stage = Stage(Runtime(config, state, clock))
    stage.outputs.begin()
    try:
        yield stage
    finally:
        await stage.outputs.end()
