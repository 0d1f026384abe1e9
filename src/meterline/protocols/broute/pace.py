"""How long a meter takes to answer: learnt from its replies, late ones among them.

Most answer within a second, some after a minute. The guideline gives a meter 20 s, and 60 s for long answers.
"""

from __future__ import annotations

from collections import deque

REPLY_TIMEOUT_S, SLOW_REPLY_TIMEOUT_S = 10.0, 20.0
"""Seconds for a reply of a meter whose pace is not slow, and for a large one: it is two radio frames."""
LONGEST_REPLY_S = 95.0
"""Seconds after which no reply is waited for: meters were seen to take 90."""
PATIENCE_FACTOR = 1.5
"""How much longer than usual a reply may take."""
REPLIES_REMEMBERED = 8


class Pace:
    """`note` how long replies took; `patience` is how long to wait for the next one."""

    def __init__(self) -> None:
        self._taken: deque[float] = deque(maxlen=REPLIES_REMEMBERED)

    @property
    def known(self) -> bool:
        """The meter has answered since the pace was forgotten."""
        return bool(self._taken)

    @property
    def usual(self) -> float:
        """Seconds of a slow reply: the second slowest of the last ones, since one may be an exception."""
        return sorted(self._taken)[-2:][0] if self._taken else 0.0

    def note(self, seconds: float) -> None:
        """A reply took so long."""
        self._taken.append(seconds)

    def forget(self) -> None:
        """No reply came: the meter may have become slower than any before."""
        self._taken.clear()

    def patience(self, least: float = REPLY_TIMEOUT_S) -> float:
        """Seconds to wait for a reply before the question is asked again."""
        return min(max(least, PATIENCE_FACTOR * self.usual), LONGEST_REPLY_S)
