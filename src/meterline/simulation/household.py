"""A household for simulated meters: power drawn, power of its solar panels and voltage, as functions of the time only."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class House:
    """A household.

    Attributes:
        zone: Time zone of its daily routine.
        subscribed: Subscribed power in volt-amperes.
        solar: Peak power of the solar panels in watts; 0: none.
        overload: (period, length) in seconds: an overload in the last `length` of every `period`; None: never.
        seed: Seed of the random variation.
    """

    zone: tzinfo
    subscribed: int = 6000
    solar: int = 0
    overload: tuple[int, int] | None = None
    seed: int = 1

    def load(self, now: float) -> float:
        """Return the watts drawn by all appliances at the Unix time `now`."""
        if self.overload and now % self.overload[0] >= self.overload[0] - self.overload[1]:
            return self.subscribed * 1.3
        hour = self._hour(now)
        watts = 140.0 + 60 * self._noise(now, 7)
        watts += 90 if self._noise(now, 1500) > 0.5 else 0  # fridge
        watts += 700 * _bump(hour, 7.5, 1.0) + 1400 * _bump(hour, 19.5, 1.8) + 400 * _bump(hour, 12.5, 1.0)
        watts += 2000 * self._noise(now, 180) if self._noise(now, 1200) > 0.75 and 6 < hour < 23 else 0  # kettle, oven
        watts += 1800 if 1 <= hour < 4 else 0  # water heater
        return min(watts, 0.9 * self.subscribed)

    def sun(self, now: float) -> float:
        """Return the watts of the solar panels at the Unix time `now`."""
        height = math.sin(math.pi * (self._hour(now) - 7.5) / 10)
        return self.solar * max(0.0, height) * (0.55 + 0.45 * self._noise(now, 240)) if self.solar else 0.0

    def volts(self, now: float, phase: int) -> float:
        """Return the RMS voltage of a phase at the Unix time `now`: lower at high load."""
        return 236 - 4 * self.load(now) / self.subscribed + 3 * (self._noise(now + 17 * phase, 60) - 0.5)

    def _hour(self, now: float) -> float:
        local = datetime.fromtimestamp(now, self.zone)
        return local.hour + local.minute / 60 + local.second / 3600

    def _noise(self, now: float, period: int) -> float:
        """A number from 0 to 1 that changes every `period` seconds, always the same for the same time."""
        return _draw(self.seed, period, int(now // period))


@lru_cache(maxsize=64)
def _draw(seed: int, period: int, index: int) -> float:
    """Return the number of one period. Most periods are longer than the steps in which a meter looks at the house."""
    return random.Random(f"{seed}:{period}:{index}").random()


def _bump(hour: float, centre: float, width: float) -> float:
    return math.exp(-(((hour - centre) / width) ** 2))
