"""Whether a register can stand where it says: it must not fall, and not rise faster than power allows.

What does not follow is held back until the next value bears it out; so is the very first value, where the wire has no
checksum. Where the meter says at which value its registers begin again at 0, going past it is a rise.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from meterline.meter.readings import Series, Snapshot

SLACK = 2
"""Steps that a register may rise by rounding and sampling, whatever the power."""
MARGIN = 1.5
"""A breaker lets more than the subscribed power pass for a while (54E: it trips at 1.3 times the cut-off power)."""
HIGHEST_POWER = 36_000.0
"""Volt-amperes: the largest subscribed power of these meters; taken where none is known, and for what is injected."""

_IMPORT = "smartmeter_energy_import"


class Mark(NamedTuple):
    """A register's value and when it was read (monotonic)."""

    value: float
    at: float


class Registers:
    """What the registers of one meter said, as far as it is not shown."""

    def __init__(self) -> None:
        self.retired: dict[Series, Mark] = {}
        """Registers that are not shown any more: what they said last."""
        self.step = 1.0
        self.wraps_at = math.inf
        self.checked = True
        """The wire has a checksum: what has nothing to be judged by is believed."""
        self.subscribed = HIGHEST_POWER
        self._held: dict[Series, Mark] = {}

    def judge_by(self, snapshot: Snapshot, subscribed: float) -> None:
        """What a snapshot says of its registers, and the power that they can rise by (volt-amperes)."""
        self.step, self.wraps_at, self.checked = snapshot.step, snapshot.wraps_at, snapshot.checked
        self.subscribed = subscribed

    def plausible(self, series: Series, shown: Mark | None, now: Mark, timed: bool, stale_after: float) -> bool | None:
        """Whether a register can stand at `now` after the last believed value, or after the one held back last.

        None: there is nothing yet to judge it by.
        """
        last = shown or self.retired.get(series)
        held = self._held.pop(series, None)
        if last is None:
            if self.checked or (held and self._follows(series, held, now, timed)):
                return True
            self._held[series] = now
            return None if held is None else False
        if self._follows(series, last, now, timed):
            return True
        # A fall too small for a reset: damage within the limit was believed before. Whoever sees a counter fall takes it for a
        # reset and adds all of it once more, so nothing is shown until the register is there.
        small_fall = 0 < last.value - now.value <= self._most(series, stale_after)
        if held and not small_fall and self._follows(series, held, now, timed):
            return True
        self._held[series] = now
        return False

    def _follows(self, series: Series, mark: Mark, now: Mark, timed: bool) -> bool:
        rise = now.value - mark.value
        if rise < 0 and mark.value < self.wraps_at < math.inf:
            rise += self.wraps_at
        elif rise <= 0 or not timed:
            return rise >= 0
        return rise <= self._most(series, now.at - mark.at)

    def _most(self, series: Series, seconds: float) -> float:
        """How much a register can rise in that time."""
        power = self.subscribed if series[0].startswith(_IMPORT) else HIGHEST_POWER
        return SLACK * self.step + MARGIN * power * seconds / 3600
