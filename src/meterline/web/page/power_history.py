"""The power of each meter in the last half hour, in memory: a ring of 4-byte floats, made at the first power reading."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable

from meterline.web.page.view_model import Power

STEP_S = 10.0
"""Time between two points."""
POINTS = 180
"""Points of a meter: half an hour."""

_NOTHING = array("f", [math.nan]) * POINTS


class History:
    """The power of all meters in the last half hour.

    Attributes:
        units: Name of each meter → unit of its power, W or VA.
        pictures: Name of a meter and code of a language → the chart, as HTML; emptied with each new point.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rings: dict[str, array[float]] = {}
        self.units: dict[str, str] = {}
        self.pictures: dict[tuple[str, str], str] = {}
        self._step = int(clock() // STEP_S)

    def until_next(self) -> float:
        """Return the seconds until the next point is due."""
        return STEP_S - self._clock() % STEP_S

    def note(self, powers: Iterable[tuple[str, Power | None]]) -> None:
        """Add a point of each meter. Points of steps without a call stay NaN.

        Args:
            powers: Name of each meter, and its power now; None: no current reading.
        """
        step = int(self._clock() // STEP_S)
        missed = range(max(self._step + 1, step - POINTS + 1), step)
        self._step = step
        self.pictures.clear()
        for name, power in powers:
            ring = self._rings.get(name)
            if ring is None:
                if power is None:
                    continue
                ring = self._rings[name] = array("f", _NOTHING)
            for gap in missed:
                ring[gap % POINTS] = math.nan
            ring[step % POINTS] = power.value if power else math.nan
            if power:
                self.units[name] = power.unit

    def points(self, name: str) -> list[float]:
        """Return the points of a meter, oldest first; NaN: no reading. Empty if the meter never had a power reading."""
        ring, cut = self._rings.get(name), (self._step + 1) % POINTS
        return [] if ring is None else [*ring[cut:], *ring[:cut]]
