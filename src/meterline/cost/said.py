"""What was said in the log about the books, so that nothing is said twice in a day, however its numbers change."""

from __future__ import annotations

import logging
from typing import TypeAlias

from meterline.logs import about

log = logging.getLogger("meterline")

Subject: TypeAlias = tuple[str, ...]
"""The kind of what is said, and what it is about. However its numbers change, it is the same."""

AGAIN = 86_400.0
"""Seconds until the same is said again."""


class Said:
    """Remembers for each meter what it was about, not the words: that is bounded by the registers and periods there are."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, Subject], float] = {}
        """Meter and subject → when it was said (monotonic)."""

    def warn(self, meter: str, subject: Subject, text: str, now: float) -> None:
        """Say it, unless the same was said within a day."""
        if now - self._said.get((meter, subject), now - AGAIN) >= AGAIN:
            self._said[meter, subject] = now
            log.warning("%s", text, extra=about(meter))

    def forget(self, meter: str) -> None:
        """It is not read any more."""
        self._said = {key: when for key, when in self._said.items() if key[0] != meter}
