"""How the line to a meter does: how much of what arrives is accepted, and what seems to be wrong with it."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Protocol

from meterline.meter.readings import Hint

STEP, STEPS = 5.0, 12
"""Seconds of a step, and how many of them are looked at: a minute."""
LOSSY, SOUND = 0.5, 0.6
"""Parts of what arrives that are accepted: below the one most is lost, and it is over above the other."""
FINE, TOO_MUCH = 0.01, 0.2
"""Parts of what arrives that may be damaged: any line has some; from the second on values come too late, or never."""
ENOUGH = 20
"""Things that must have arrived, and seconds that must have passed, before it is judged."""
MOST_HINTS = 8
SHOWN_FOR = 900.0
"""Seconds for which a hint is shown that nobody repeats."""


class Counted(Protocol):
    """A link that counts its bytes."""

    received: int


class LineQuality:
    """Counts the accepted and rejected groups or replies of the last minute, and holds the hints about the line."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._steps = array("q")
        """Number of a step, accepted in it, rejected in it; then of the next step: small, since each meter has twelve."""
        self._accepted = self.rejected = 0
        """Of the last minute, as far as it was looked at."""
        self._since = 0.0
        self.lossy = False
        self.trouble = ""
        """Why nothing is read now; empty while something is."""
        self._hints: dict[str, tuple[Hint, float]] = {}
        """What is strange, the oldest first, and when it was said last."""

    def begin(self) -> None:
        """The link was opened: what was strange before may be mended."""
        self._hints.clear()

    def note(self, hint: Hint) -> None:
        """Something is strange."""
        if not hint.good:
            self._hints.pop(hint.text, None)
            self._hints[hint.text] = (hint, self._clock())
            if len(self._hints) > MOST_HINTS:
                del self._hints[next(iter(self._hints))]

    @property
    def hints(self) -> list[Hint]:
        """What is strange now: that most is lost, and what was said of late."""
        since = self._clock() - SHOWN_FOR
        return [*([self.loss] if self.lossy else []), *(hint for hint, said in self._hints.values() if said >= since)]

    @property
    def loss(self) -> Hint:
        """How much is lost, in words."""
        part = f"{self.accepted_ratio or 0:.0%} of the groups or replies of the last minute accepted"
        if not self.lossy:
            return Hint(f"most of what arrives is whole again: {part}", good=True)
        return Hint(f"most of what arrives is damaged: {part}", remedy="meterline doctor looks for the cause")

    def count(self, accepted: int, rejected: int) -> None:
        """So many groups, or replies, were accepted and rejected."""
        now = self._clock()
        steps = self._steps
        if not steps or steps[-3] != now // STEP:
            self._forget(now)
            if not steps:
                self._since = now
            steps.extend((int(now // STEP), 0, 0))
        steps[-2] += accepted
        steps[-1] += rejected
        self._accepted += accepted
        self.rejected += rejected

    def _forget(self, now: float) -> None:
        steps = self._steps
        while steps and steps[0] <= now // STEP - STEPS:
            self._accepted -= steps[1]
            self.rejected -= steps[2]
            del steps[:3]

    @property
    def accepted_ratio(self) -> float | None:
        """Part of what arrived in the last minute that was accepted; None where nothing arrived."""
        self._forget(self._clock())
        if not self.rejected:
            return 1.0 if self._accepted else None
        return round(self._accepted / (self._accepted + self.rejected), 3)

    def turns(self) -> bool:
        """Whether it has become lossy, or sound again, since this was asked last."""
        if not self.rejected and not self.lossy:
            return False
        ratio = self.accepted_ratio
        enough = self._accepted + self.rejected >= ENOUGH and self._clock() - self._since >= ENOUGH
        if ratio is None or not enough or (ratio < SOUND if self.lossy else ratio >= LOSSY):
            return False
        self.lossy = not self.lossy
        return True
