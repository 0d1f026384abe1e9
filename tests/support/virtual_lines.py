"""A world in virtual time: where nothing is left to do its loop does not wait for its next timer, all clocks jump there.

So hours pass in a second, a second lasts as long as the machine needs, and nothing depends on how fast that is. What the loop
talks to over pseudo-terminals and sockets has to run in it, too: another process would be left behind. A thread is waited
for, and time stands still meanwhile.
"""

from __future__ import annotations

import asyncio
import secrets
import selectors
import threading
import time
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, TypeVar

from meterline.world import World, replaced

T = TypeVar("T")
EXECUTORS = ("asyncio_", "ThreadPoolExecutor")
"""How the names of their threads begin."""


class _Selector(selectors.PollSelector):
    """Never waits but for a thread: what would be waited for is added to the clock.

    It asks the kernel each time (poll, not epoll): that hands on what was written to a pseudo-terminal a moment ago.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waited = 0.0
        self.working = 0
        self._before = set(threading.enumerate())

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            return super().select(None)
        if self.working or self._threads():
            return super().select(0.001)
        self.waited += max(0.0, timeout)
        return []

    def _threads(self) -> bool:
        """Whether some run that began in this loop; those of executors may only be waiting for work."""
        return any(one not in self._before and not one.name.startswith(EXECUTORS) for one in threading.enumerate())


class Loop(asyncio.SelectorEventLoop):
    """The loop."""

    def __init__(self) -> None:
        self._waits = _Selector()
        super().__init__(self._waits)

    def time(self) -> float:
        return self._waits.waited

    def hang(self, seconds: float) -> None:
        """Time passes in which it does nothing, as where something blocks it."""
        self._waits.waited += seconds

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        working = super().run_in_executor(executor, func, *args)
        self._waits.working += 1
        working.add_done_callback(self._ended)
        return working

    def _ended(self, _: asyncio.Future[Any]) -> None:
        self._waits.working -= 1


class VirtualWorld(World):
    """The clocks are those of a loop, and chance is the same in each run of a test."""

    def __init__(self, loop: Loop, start: float) -> None:
        super().__init__()
        self.loop = loop
        self.random = Random(1)
        self.wall = start
        """Unix time at the begin of the loop. Another number: somebody has set the clock."""
        self.monotonic = loop.time
        self._boot = secrets.token_hex(8)

    def now(self) -> float:
        return self.wall + self.loop.time()

    def uptime(self) -> float:
        return self.loop.time()

    def boot(self) -> str:
        return self._boot


def run(test: Coroutine[Any, Any, T], seconds: float = 3600.0) -> T:
    """A test in its own time, which begins at the real one and must end."""
    loop = Loop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner, replaced(VirtualWorld(loop, time.time())):
        return runner.run(asyncio.wait_for(test, seconds))
