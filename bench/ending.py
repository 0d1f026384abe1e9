"""How a process that a benchmark started knows its end. Light: the bare references import it."""

from __future__ import annotations

import asyncio
import sys


async def end_of_input() -> None:
    """Until whoever started this process closes its standard input, or dies."""
    end = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, end.set)
    await end.wait()
