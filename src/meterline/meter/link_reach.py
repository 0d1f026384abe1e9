"""Whether a meter can be reached: how its links ended, and since when none can be had."""

from __future__ import annotations

import math
from collections import Counter
from typing import Literal, TypeAlias

End: TypeAlias = Literal["unopened", "lost", "given_up", "refused"]
"""How a link ended: it could not be opened; it was lost; nobody answered on it; whoever answered will not talk to us."""


HOLDS = 5.0
"""Seconds that a link must be open to count as one: a bridge without its device accepts a connection and closes it."""


class LinkReach:
    """How the links of a meter ended, and since when none can be had. Times are those of the meter's clock."""

    def __init__(self) -> None:
        self.ends: Counter[End] = Counter()
        self._lost_since: float | None = None
        self._opened = math.inf

    def open(self, now: float) -> None:
        """A link was opened."""
        self._opened = now

    def hear(self) -> None:
        """The meter spoke over it."""
        self._lost_since = None

    def end(self, end: End, now: float) -> None:
        """A link ended, or could not be opened."""
        self.ends[end] += 1
        if self.lost_since(now) is None and end in ("unopened", "lost"):
            self._lost_since = now
        self._opened = math.inf

    def lost_since(self, now: float) -> float | None:
        """Since when the link is lost or cannot be opened; None while it is open, or rests because nobody answered."""
        if now - self._opened >= HOLDS:
            self._lost_since = None
        return self._lost_since
