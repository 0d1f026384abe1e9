"""The progress of a long command: one line of standard error, which is overwritten. Shown on a terminal only."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from meterline import world

INTERVAL_S = 0.5
"""Time between two updates of the line."""
WIDTH_COLUMNS = 78
_CLEAR = "\r\x1b[K"


class Progress:
    """The line of progress. If standard error is no terminal, nothing is shown."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._shown = ""

    def show(self, text: str) -> None:
        """Replace the line. Put the changing part first: the line is cut, since names of devices are long."""
        if self._terminal and text != self._shown:
            self._shown = text
            print(f"{_CLEAR}{text[:WIDTH_COLUMNS]}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Remove the line, before other output is printed."""
        if self._shown:
            self._shown = ""
            print(_CLEAR, end="", file=sys.stderr, flush=True)


@asynccontextmanager
async def progress(text: Callable[[float], str], line: Progress | None = None) -> AsyncIterator[Progress]:
    """Show a line of progress during the block, and remove it at the end.

    Args:
        text: Returns the line, for the seconds since the start of the block.
        line: The line to use; None: a new one.
    """
    line, started = line or Progress(), world.current.monotonic()

    async def show() -> None:
        while True:
            line.show(text(world.current.monotonic() - started))
            await world.current.sleep(INTERVAL_S)

    showing = asyncio.create_task(show())
    try:
        yield line
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)
        line.clear()
