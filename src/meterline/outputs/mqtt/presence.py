"""Whether this process lives, as the broker tells it, and who else says so in its place. Pure: moments and payloads come in.

The status of a process is one topic of its instance. Who else publishes there is the process before this one, whose last will
may still come, or another process of the same instance, which is a mistake of the configuration.
"""

from __future__ import annotations

import json
import math

from meterline import __version__

RIVAL_S = 75.0
"""Seconds in which another process that lives says so again."""
ANSWER_AGAIN_S = 60.0
"""Seconds between two answers to another process; less than `RIVAL_S`."""


class Presence:
    """The status of a process over one connection.

    Attributes:
        process: A number of the process that nobody else has.
    """

    def __init__(self, process: str) -> None:
        self.process = process
        self._others: dict[str, float] = {}
        """Other processes → until when they may live, as far as they have said."""
        self._answer_at, self._answered_at = math.inf, -math.inf

    def status(self, word: str) -> str:
        """The payload of the status: ``online`` or ``offline``, and whose status it is."""
        return json.dumps({"status": word, "process": self.process, "version": __version__})

    def hear(self, payload: bytes, is_retained: bool, now: float) -> bool:
        """Take a status that the broker sends.

        Args:
            payload: Ours or another's; anything else is passed over.
            is_retained: It was said before this connection.
            now: Monotonic seconds.

        Returns:
            Whether another process lives.
        """
        try:
            found = json.loads(payload)
            word, process = found["status"], str(found["process"])
        except (LookupError, TypeError, ValueError):
            return False
        if word == "offline":
            self._others.pop(process, None)
            if not is_retained:  # the last will of a connection of before, perhaps of our own: it hides that we live
                self._answer_at = now
            return False
        if process == self.process:
            return False
        self._others = {other: until for other, until in self._others.items() if until > now} | {process: now + RIVAL_S}
        if is_retained:  # it may live, or its last will has not been said yet
            return False
        self._answer_at = min(self._answer_at, max(now, self._answered_at + ANSWER_AGAIN_S))
        return True

    def is_answer_due(self, now: float) -> bool:
        """Whether the status is to be said again."""
        return now >= self._answer_at

    def note_answered(self, now: float) -> None:
        """The status was said again."""
        self._answer_at, self._answered_at = math.inf, now

    def is_alone(self, now: float) -> bool:
        """No other process can live."""
        return all(until <= now for until in self._others.values())
