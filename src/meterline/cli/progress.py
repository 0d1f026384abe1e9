"""Show on a terminal that a command that takes a while is at work: one line of standard error that is written over itself."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from meterline import world

PACE = 0.5
"""Seconds between two looks."""
WIDTH = 78
_CLEAR = "\r\x1b[K"


class Progress:
    """The line. Where standard error is no terminal, nothing is ever shown."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._shown = ""

    def show(self, text: str) -> None:
        """In place of what stands there. What moves stands first: the names of devices are long, and cut."""
        if self._terminal and text != self._shown:
            self._shown = text
            print(f"{_CLEAR}{text[:WIDTH]}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Make room for a line that stays."""
        if self._shown:
            self._shown = ""
            print(_CLEAR, end="", file=sys.stderr, flush=True)


@asynccontextmanager
async def progress(text: Callable[[float], str], line: Progress | None = None) -> AsyncIterator[Progress]:
    """While the block runs, show what `text` says after so many seconds; the line is gone at its end."""
    line, started = line or Progress(), world.current.monotonic()

    async def show() -> None:
        while True:
            line.show(text(world.current.monotonic() - started))
            await world.current.sleep(PACE)

    showing = asyncio.create_task(show())
    try:
        yield line
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)
        line.clear()
