"""The wall clock of this machine, as far as it can be trusted.

A machine without a battery begins with a clock that is late, and is told the time a little later; a clock may be set wrong, and
right again. A jump is what differs from the monotonic clock.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

EARLIEST_UNIX = 1_735_689_600
"""2025: a machine without a battery begins in 1970."""
STEP_MAX_S = 3600
"""Seconds that the clock may move by itself."""
CONFIRM_S = 3600.0
"""Seconds for which a jump must hold to be believed; and for which, after a start, one ahead is believed at once."""
TIMESYNC = Path("/run/systemd/timesync/synchronized")
"""Of this start of the machine: see systemd-timesyncd.service(8)."""
_TIME_ERROR = 5


def synchronised() -> bool | None:
    """Whether somebody (NTP, chrony, the host) keeps the kernel's clock right; None: that is not known. See adjtimex(2).

    systemd forbids a service with ProtectClock=yes to ask that. Its own NTP client leaves a file once it has set the clock.
    """
    state = _question()()
    if state < 0:
        return True if os.path.exists(TIMESYNC) else None
    return state != _TIME_ERROR


@cache
def _question() -> Callable[[], int]:
    """adjtimex(2) that only asks, or -1 always. Found once, where it is asked for: ctypes is large, and may be forbidden."""
    try:
        import ctypes

        call, answer = ctypes.CDLL(None).adjtimex, ctypes.create_string_buffer(512)
    except (ImportError, MemoryError, OSError, AttributeError):
        return lambda: -1
    return lambda: int(call(ctypes.memset(answer, 0, 512)))


class TrustedClock:
    """The wall clock, compared with a clock that does not jump. A step of more than `STEP_MAX_S` must hold for `CONFIRM_S`."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self._started: float | None = None
        self._offset = self._doubted = 0.0
        self._doubted_since: float | None = None

    def moment(self, monotonic: float) -> int | None:
        """The time of now.

        Args:
            monotonic: Seconds of now by a clock that does not jump.

        Returns:
            Whole seconds of Unix time; None while the clock is not set, or a step is unconfirmed.
        """
        now = int(self.now())
        if now < EARLIEST_UNIX:
            return None
        offset = now - monotonic
        if self._started is None:
            self._started, self._offset = monotonic, offset
        step, young = offset - self._offset, monotonic - self._started < CONFIRM_S
        if abs(step) > STEP_MAX_S and not (young and step > 0) and not self._held(offset, monotonic):
            return None
        self._offset, self._doubted_since = offset, None
        return now

    def _held(self, offset: float, monotonic: float) -> bool:
        """The step has held for long enough."""
        if self._doubted_since is None or abs(offset - self._doubted) > STEP_MAX_S:
            self._doubted, self._doubted_since = offset, monotonic
        return monotonic - self._doubted_since >= CONFIRM_S
