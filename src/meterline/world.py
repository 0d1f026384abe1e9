"""The world of the program: clocks, sleep, chance, look-up of names, threads.

No other file reads a clock, sleeps, draws a number without a seed, looks a name up or starts a thread: each asks `current`.
So one replacement moves meters, costs, outputs and pages into simulated time, and one world can follow another in a process.
`current` is read where something is done (`world.current.now()`), never imported by name, since an import keeps the old world.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, TypeVar, TypeVarTuple

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


class World:
    """The real world. A simulated world is a subclass, and runs in an event loop whose `time` is its `monotonic`.

    An object that holds a clock (`Meter.clock`) stays in the world in which the object was made.
    """

    now = staticmethod(time.time)
    """Wall clock: seconds of Unix time (float). Jumps where somebody sets the machine's clock."""
    monotonic = staticmethod(time.monotonic)
    """Seconds (float) of the clock of the event loop. Never jumps; may stand still while the machine sleeps."""

    def __init__(self) -> None:
        self.random = Random()
        """Numbers that nobody can foresee. Nothing secret is made of them: keys come from `os.urandom` and `secrets`."""
        self._look_ups: dict[str, Future[list[str]]] = {}

    def uptime(self) -> float:
        """Seconds since the start of the machine. Never jumps; counts the sleep of the machine where the kernel can."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()

    def boot(self) -> str | None:
        """Which start of the machine `uptime` counts from.

        Returns:
            The boot ID of the kernel (random(4)); None where there is none, or where `uptime` stands still in sleep.
        """
        try:
            text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return None
        return text if hasattr(time, "CLOCK_BOOTTIME") else None

    def sleep(self, seconds: float) -> Coroutine[Any, Any, None]:
        """Let other tasks run for `seconds`; 0: for one turn of the event loop."""
        return asyncio.sleep(seconds)

    def in_thread(self, function: Callable[[*_Ts], _T], *arguments: *_Ts) -> asyncio.Future[_T]:
        """Run a function that blocks in the thread pool of the event loop.

        Returns:
            The future of what the function returns or raises. The function starts at once, whether that is awaited or not.
        """
        return asyncio.get_running_loop().run_in_executor(None, function, *arguments)

    async def look_up(self, host: str) -> list[str]:
        """Find the addresses of a host.

        A resolver can hang for minutes. So each name has one thread of its own, outside the pool: a dead name holds up no
        other meter, no page and no exit. Who asks for a name that is being looked up waits for the same answer.

        Args:
            host: A name, or an address in text form.

        Returns:
            IPv4 and IPv6 addresses in the resolver's order; at least one.

        Raises:
            OSError: The name is not known, or no name server answers.
            UnicodeError: The text cannot be a name.
        """
        if (future := self._look_ups.get(host)) is None:
            future = self._look_ups[host] = Future()
            future.set_running_or_notify_cancel()  # who waits may give up: the answer is for the next one
            threading.Thread(target=self._resolve, args=(host, future), daemon=True, name=f"look up {host}").start()
        return await asyncio.wrap_future(future)

    def _resolve(self, host: str, future: Future[list[str]]) -> None:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            future.set_result([str(info[4][0]) for info in found])
        except (OSError, UnicodeError) as error:
            future.set_exception(error)
        finally:
            del self._look_ups[host]


current = World()
"""The world in which the program runs now."""


@contextmanager
def replaced(other: World) -> Iterator[None]:
    """Run the program in another world until the end of the `with`. It is one for all threads and tasks of the process."""
    global current
    before, current = current, other
    try:
        yield
    finally:
        current = before
