"""When a meter is due to be sent. Pure: moments and facts come in."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import NamedTuple

SHORTEST_S = 1.0
LONGEST_S = 60.0
"""Seconds between two messages of a meter, at least and at most."""
EXPIRE_AFTER_S = 3 * int(LONGEST_S)
"""Seconds without a message after which Home Assistant gives an entity up. Never the meter's own ten: what is steady is sent
only once in `LONGEST_S`."""
SETTLED_S = 2.0
"""Seconds after which a state is sent again when something was announced: Home Assistant subscribes only then, and states are
not retained."""


class Situation(NamedTuple):
    """What decides whether a meter is sent now."""

    is_up: bool
    is_settled: bool
    """It is known which meter speaks."""
    gone: int
    """Readings that have disappeared so far."""
    urgent: Hashable
    """What must not wait when it changes: an overload, the tariff that counts."""
    frames: int
    """So far."""


class Pace:
    """The messages of one meter."""

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self._sent_at = self._again_at = -math.inf
        self._last: Situation | None = None

    def is_due(self, now: float, situation: Situation) -> bool:
        """Whether a message is to be sent now (monotonic seconds)."""
        since, last = now - self._sent_at, self._last
        if since < SHORTEST_S:
            return False
        if last is None or since >= LONGEST_S or self._sent_at < self._again_at <= now or situation[:4] != last[:4]:
            return True
        return situation.frames != last.frames and since >= self.interval

    def note_sent(self, now: float, situation: Situation) -> None:
        """A message was sent."""
        self._sent_at, self._last = now, situation

    def note_announced(self, now: float) -> None:
        """Something was announced: a state is due at once, and again when it is settled."""
        self._last, self._again_at = None, now + SETTLED_S
