"""A world whose time jumps to the next event: hours with a simulated module pass in a second, and nothing is patched.

The driver is the real one; between it and the module is a link in memory. `METERLINE_SHARED` and ptys are not needed.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from meterline.link import Form, LinkError
from meterline.protocols.broute.fake import FakeModule
from meterline.protocols.broute.options import Options

T = TypeVar("T")
START = 1_750_000_000.0
"""Unix time at which a world begins: a Monday in June 2025, 00:06 in Japan."""
PASSWORD = "0123456789AB"


class _Selector(selectors.SelectSelector):
    """Never waits: what would be waited for is added to the clock."""

    waited = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout:
            self.waited += timeout
        return list(ready)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._waits = _Selector()
        super().__init__(self._waits)

    def time(self) -> float:
        return self._waits.waited


def play(scene: Callable[[], Coroutine[Any, Any, T]], patch: pytest.MonkeyPatch, seconds: float = 60.0) -> T:
    """Run a scene in its own time; `time.time` goes with it. `seconds`: real ones, after which it is given up."""
    loop = _Loop()
    real, started = time.monotonic, time.monotonic()
    patch.setattr("time.time", lambda: START + loop.time())

    def watch() -> None:
        assert real() - started < seconds, "the scene takes too long"
        loop.call_later(600, watch)

    loop.call_later(600, watch)
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
        self.rest = 0.0
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

    async def write(self, data: bytes) -> None:
        if self.lost:
            raise self.lost
        self.written += data
        self.module.feed(data, asyncio.get_running_loop().time())
        self._written.set()

    async def set_baud(self, baud: int, form: Form = "7E1") -> None:
        self.baud, self.form = baud, form

    def lose(self) -> None:
        self.lost = LinkError(f"{self.url}: the device was unplugged")
        self._written.set()


def options(module: FakeModule, **facts: Any) -> Options:
    """The right configuration for the first meter on the air."""
    return Options(**({"id": module.meters[0].id, "password": module.meters[0].password} | facts))
