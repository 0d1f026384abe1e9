"""The power of the last half hour, in memory: for each meter a ring of small floats, made when it first says something."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable

from meterline.web.page.view_model import Power

STEP = 10.0
"""Seconds between two points."""
LENGTH = 180

_NOTHING = array("f", [math.nan]) * LENGTH


class History:
    """`note` what the meters show now, once in every step; `points` gives the last half hour of one."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rings: dict[str, array[float]] = {}
        self.units: dict[str, str] = {}
        self.pictures: dict[tuple[str, str], str] = {}
        """Meter and language → its chart, as long as it is true."""
        self._step = int(clock() // STEP)

    def until_next(self) -> float:
        """Seconds until a point is due."""
        return STEP - self._clock() % STEP

    def note(self, powers: Iterable[tuple[str, Power | None]]) -> None:
        """One point of each meter, or none. Steps in which nobody noted anything stay empty."""
        step = int(self._clock() // STEP)
        missed = range(max(self._step + 1, step - LENGTH + 1), step)
        self._step = step
        self.pictures.clear()
        for name, power in powers:
            ring = self._rings.get(name)
            if ring is None:
                if power is None:
                    continue
                ring = self._rings[name] = array("f", _NOTHING)
            for gap in missed:
                ring[gap % LENGTH] = math.nan
            ring[step % LENGTH] = power.value if power else math.nan
            if power:
                self.units[name] = power.unit

    def points(self, name: str) -> list[float]:
        """Oldest first; empty where nothing was ever said."""
        ring, cut = self._rings.get(name), (self._step + 1) % LENGTH
        return [] if ring is None else [*ring[cut:], *ring[:cut]]
