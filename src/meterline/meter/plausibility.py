"""Whether a register can stand where it says: it must not fall, and not rise faster than power allows.

What does not follow is held back until the next value bears it out; so is the very first value, where the wire has no
checksum. Where the meter says at which value its registers begin again at 0, going past it is a rise.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from meterline.meter.readings import NO_RESOLUTIONS, Resolution, Series, Snapshot

SLACK = 2
"""Steps that a register may rise by rounding and sampling, whatever the power."""
MARGIN = 1.5
"""A breaker lets more than the subscribed power pass for a while (54E: it trips at 1.3 times the cut-off power)."""
DEFAULT_MAX_POWER_VA = 36_000.0
"""The highest power of a meter whose protocol is not known yet."""

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
        self._resolution, self._resolutions = Resolution(), NO_RESOLUTIONS
        self.checked = True
        """The wire has a checksum: what has nothing to be judged by is believed."""
        self.subscribed = self.max_power_va = DEFAULT_MAX_POWER_VA
        self._held: dict[Series, Mark] = {}

    def judge_by(self, snapshot: Snapshot, max_power_va: float, subscribed: float | None) -> None:
        """Take what the next registers are judged by.

        Args:
            snapshot: Where they come from: it says their resolution.
            max_power_va: The highest power of this kind of meter, in volt-amperes: the limit for what is fed in.
            subscribed: The subscribed power in volt-amperes, the limit for what is drawn; None: it is not known.
        """
        self._resolution, self._resolutions = snapshot.resolution, snapshot.resolutions
        self.checked, self.max_power_va = snapshot.checked, max_power_va
        self.subscribed = max_power_va if subscribed is None else subscribed

    def resolution(self, series: Series) -> Resolution:
        """Return the resolution of a register of the last snapshot."""
        return self._resolutions.get(series, self._resolution)

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
        if rise < 0 and mark.value < (wraps_at := self.resolution(series).wraps_at) < math.inf:
            rise += wraps_at
        elif rise <= 0 or not timed:
            return rise >= 0
        return rise <= self._most(series, now.at - mark.at)

    def _most(self, series: Series, seconds: float) -> float:
        """How much a register can rise in that time."""
        power = self.subscribed if series[0].startswith(_IMPORT) else self.max_power_va
        return SLACK * self.resolution(series).step + MARGIN * power * seconds / 3600
