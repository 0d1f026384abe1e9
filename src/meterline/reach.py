"""Whether a meter can be reached: how its links ended, and since when none can be had."""

from __future__ import annotations

from collections import Counter
from typing import Literal, TypeAlias

End: TypeAlias = Literal["unopened", "lost", "given_up", "refused"]
"""How a link ended: it could not be opened; it was lost; nobody answered on it; whoever answered will not talk to us."""


class Reach:
    """`open` and `end` links. Times are those of the meter's clock."""

    def __init__(self) -> None:
        self.ends: Counter[End] = Counter()
        self.lost_since: float | None = None
        """Since when the link is lost or cannot be opened; None while it is open, or rests because nobody answered."""

    def open(self) -> None:
        """A link was opened."""
        self.lost_since = None

    def end(self, end: End, now: float) -> None:
        """A link ended, or could not be opened."""
        self.ends[end] += 1
        if end in ("unopened", "lost") and self.lost_since is None:
            self.lost_since = now
