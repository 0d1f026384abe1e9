"""Timers that many links share: they end together, on ticks of the event loop."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

TICK_S = 0.01
"""Seconds between two ticks: timers wake the loop at most a hundred times a second, however many links there are."""
LINKS_A_TICK, WIDEST = 20, 5
"""With each so many links ticks are `TICK_S` wider, up to so many times: a loop that has slept works with cold caches, which
costs as much as a frame.
"""


def call_at(moment: float, callback: Callable[[], object], links: int = 1) -> asyncio.TimerHandle:
    """Call back at the first tick after a moment.

    Args:
        moment: Seconds of the clock of the running loop.
        callback: What to call.
        links: How many links this process reads.

    Returns:
        The timer, for `cancel`.
    """
    tick = TICK_S * min(1 + links // LINKS_A_TICK, WIDEST)
    return asyncio.get_running_loop().call_at(math.ceil(moment / tick) * tick, callback)
