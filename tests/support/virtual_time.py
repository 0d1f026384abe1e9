"""Hours with a simulated module in virtual time, which pass in a second.

The driver is the real one; between it and the module is a link in memory. `METERLINE_SHARED` and ptys are not needed.
"""

from __future__ import annotations

import asyncio
import errno
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from meterline.history.ledger import Ledger
from meterline.history.recorder import Recorder
from meterline.link.errors import LinkError, lost
from meterline.link.stream import Form
from meterline.meter.meter import Meter
from meterline.meter.readings import Hint, Item, Observation, Refused, Rejected, Remembered, Snapshot
from meterline.protocols.broute import read
from meterline.protocols.broute.options import Options
from meterline.protocols.broute.simulator.commands import FakeMeter, FakeModule
from meterline.world import replaced
from support.virtual_lines import Loop, VirtualWorld

T = TypeVar("T")
START = 1_750_000_000.0
"""Unix time at which a world begins: a Monday in June 2025, 00:06 in Japan."""
PASSWORD = "0123456789AB"
HOUR = 3600.0


def play(scene: Callable[[], Coroutine[Any, Any, T]], seconds: float = 600.0) -> T:
    """Run a scene in a world of its own, from `START` on. `seconds`: real ones, after which it is given up."""
    loop = Loop()
    loop.set_debug(False)  # hours in a second: the end-to-end tests have it on
    started = time.monotonic()

    def watch() -> None:
        assert time.monotonic() - started < seconds, "the scene takes too long"
        loop.call_later(600, watch)

    loop.call_later(600, watch)
    with replaced(VirtualWorld(loop, START)):
        try:
            return loop.run_until_complete(scene())
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()


class MemoryLink:
    """The module at the other end of a link that is only memory."""

    url = "/dev/ttyTEST"
    timed = True

    def __init__(self, module: FakeModule) -> None:
        self.module = module
        self.baud: int | None = 9600
        self.form: Form = "7E1"
        self.crowd = 1
        self.received = 0
        self.tap: Callable[[bytes], object] | None = None
        self.written = b""
        self.lost: LinkError | None = None
        self._written = asyncio.Event()

    async def read(self) -> bytes:
        loop = asyncio.get_running_loop()
        while True:
            if self.lost:
                raise self.lost
            if data := self.module.take(loop.time()):
                self.received += len(data)
                if self.tap:
                    self.tap(data)
                return data
            self._written.clear()
            wait = self.module.due() - loop.time()
            try:
                async with asyncio.timeout(wait if wait < 1e9 else None):
                    await self._written.wait()
            except TimeoutError:
                pass

    def unread(self, data: bytes) -> None:
        raise AssertionError("nothing to give back")

    def rest_until(self, moment: float) -> None:
        raise AssertionError("a module is asked, and its replies are awaited")

    async def write(self, data: bytes) -> None:
        if self.lost:
            raise self.lost
        self.written += data
        self.module.feed(data, asyncio.get_running_loop().time())
        self._written.set()

    async def set_baud(self, baud: int, form: Form = "7E1") -> None:
        self.baud, self.form = baud, form

    def lose(self) -> None:
        self.lost = lost(self.url, OSError(errno.EIO, "Input/output error"))
        self._written.set()


def options(module: FakeModule, **facts: Any) -> Options:
    """The right configuration for the first meter on the air."""
    return Options(**({"id": module.meters[0].id, "password": module.meters[0].password} | facts))


@dataclass
class Watched:
    """What a run left behind, and how it went."""

    meters: dict[str, Meter]
    module: FakeModule
    link: MemoryLink
    memory: dict[str, Any] = field(default_factory=dict)
    hints: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    rejects: Counter[str] = field(default_factory=Counter)
    shown: list[tuple[float, float | str | None]] = field(default_factory=list)
    recorder: Recorder | None = None

    @property
    def meter(self) -> Meter:
        return next(iter(self.meters.values()))

    def count(self, family: str, *labels: str) -> float:
        return self.meter.counters.observed.get((family, *labels), 0.0)

    def retries(self) -> dict[str, float]:
        return {
            series[1]: count
            for series, count in self.meter.counters.observed.items()
            if series[0] == "smartmeter_retries_total"
        }


def take(watched: Watched, item: Item) -> None:
    name = item.meter or next(iter(watched.meters))
    match item:
        case Snapshot():
            watched.meters[name].take(item)
            if watched.recorder:
                watched.recorder.take(watched.meters[name])
        case Rejected():
            watched.rejects[item.reason] += item.times
            watched.meters[name].counters.reject(item)
        case Observation():
            watched.meters[name].counters.observe(item)
        case Remembered():
            assert watched.recorder
            watched.recorder.heal(watched.meters[name], item)
        case Hint():
            watched.hints.append(item.sentence)


async def follow(watched: Watched, configured: dict[str, Options]) -> None:
    """As the runtime does: open again after each loss, with its pauses."""
    while True:
        watched.module.reopen()
        watched.link = MemoryLink(watched.module)
        try:
            await read(watched.link, configured, watched.memory, partial(take, watched), watched.recorder)
        except Refused as error:
            watched.errors.append(f"refused: {error}")
            await asyncio.sleep(300)
        except OSError as error:
            watched.errors.append(str(error))
            await asyncio.sleep(5)


def run(
    hours: float = 0.5,
    meters: list[FakeMeter] | None = None,
    strangers: list[FakeMeter] | None = None,
    wrong: dict[str, Any] | None = None,
    memory: dict[str, Any] | None = None,
    act: Callable[[Watched], object] | None = None,
    stale_after: float = 90.0,
    step: float = 1.0,
    ledger: Path | None = None,
    **facts: Any,
) -> Watched:
    """Read meters for some hours of their time; `act` is called every `step` seconds of it.

    `strangers` are not ours. `ledger`: a folder, where what the meters say is recorded, and asked for where it is absent.
    """

    async def scene() -> Watched:
        on_air = meters or [FakeMeter()]
        module = FakeModule([*on_air, *(strangers or [])], start_unix=START, **facts)
        loop = asyncio.get_running_loop()
        names = [f"meter{number}" for number in range(len(on_air))]
        configured = {
            name: Options(**({"id": meter.id, "password": meter.password} | (wrong or {})))
            for name, meter in zip(names, on_air, strict=True)
        }
        known = {name: Meter(name, stale_after, loop.time) for name in names}
        watched = Watched(known, module, MemoryLink(module), memory if memory is not None else {})
        if ledger:
            watched.recorder = Recorder(Ledger(str(ledger)))
            for meter in known.values():
                watched.recorder.open(meter, 1800, "Asia/Tokyo")
        recording = asyncio.create_task(watched.recorder.run()) if watched.recorder else None
        following = asyncio.create_task(follow(watched, configured))
        while loop.time() < hours * HOUR and not following.done():
            await asyncio.sleep(step)
            if act:
                act(watched)
        if following.done():
            following.result()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        if recording and watched.recorder:
            recording.cancel()
            await asyncio.gather(recording, return_exceptions=True)
            watched.recorder.close()
        for meter in known.values():
            meter.refresh()
        # The clock goes with the loop: look at the values before it is closed.
        return watched

    return play(scene)


def up(watched: Watched) -> bool:
    return all(
        "smartmeter_up" in "".join(meter.text.columns) and " 1.0\n" in meter.text.columns[0]
        for meter in watched.meters.values()
    )
