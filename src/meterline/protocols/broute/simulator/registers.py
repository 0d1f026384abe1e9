"""The registers of a simulated meter as a function of the time alone.

A live reading, an announcement and a half-hour that the meter remembers are the same numbers, whenever somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable

HALF_HOUR_S = 1800
MOST_DAYS = 99
"""How far back E5 chooses a day."""
_MEMORY = (MOST_DAYS + 2) * 48
"""Half-hours that stay computed."""
_GRAIN = 1024
"""Energies are multiples of 1/1024 Wh. A sum of such floats is exact, so no result depends on the order of the additions."""

Energies = tuple[float, float]
"""Import and export in Wh."""


class Registers:
    """Both energies of a meter at any time. Half-hours of the past are computed when somebody asks, and kept.

    Args:
        net: The power of a household at a Unix time in W, negative where the household feeds in. Each minute counts with the
            power of its first second.
        now: A Unix time at which the energies are known.
        energies: Import and export at that time in Wh.
    """

    def __init__(self, net: Callable[[float], float], now: float, energies: Energies) -> None:
        self._net = net
        self._cuts: list[tuple[float, float]] = []
        self._first = self._last = int(now // HALF_HOUR_S)
        drawn, fed = self._sum(self._first * HALF_HOUR_S, now)
        self._edges = {self._first: (_exact(energies[0]) - drawn, _exact(energies[1]) - fed)}
        """Half-hour (Unix time / 1800) → energies, without a hole from the first to the last."""
        self._known: tuple[float, Energies] = (self._first * HALF_HOUR_S, self._edges[self._first])
        """The latest full minute that was asked, and its energies."""

    def cut(self, start: float, end: float) -> None:
        """Stand still between two Unix times, of which no later time has been asked yet."""
        self._cuts = [cut for cut in self._cuts if cut[1] > start - _MEMORY * HALF_HOUR_S] + [(start, end)]

    def is_cut(self, when: float) -> bool:
        """Return whether the meter has no power at a Unix time."""
        return any(start <= when < end for start, end in self._cuts)

    def at(self, when: float) -> Energies:
        """Return the energies at a Unix time."""
        minute = when // 60 * 60
        known, energies = self._known
        if not minute - HALF_HOUR_S < known <= minute:
            edge = int(when // HALF_HOUR_S)
            known, energies = edge * HALF_HOUR_S, self._edge(edge)
        energies = _plus(energies, self._sum(known, minute))
        self._known = (minute, energies)
        return _plus(energies, self._sum(minute, when))

    def _edge(self, index: int) -> Energies:
        while index < self._first:
            drawn, fed = self._sum((self._first - 1) * HALF_HOUR_S, self._first * HALF_HOUR_S)
            known = self._edges[self._first]
            self._first -= 1
            self._edges[self._first] = (known[0] - drawn, known[1] - fed)
        while index > self._last:
            energies = _plus(self._edges[self._last], self._sum(self._last * HALF_HOUR_S, (self._last + 1) * HALF_HOUR_S))
            self._last += 1
            self._edges[self._last] = energies
            self._forget(self._last - _MEMORY)
        return self._edges[index]

    def _forget(self, index: int) -> None:
        while self._first <= index:
            del self._edges[self._first]
            self._first += 1

    def _sum(self, start: float, end: float) -> Energies:
        """Return what is drawn and fed in between a full minute and a later time."""
        drawn = fed = 0.0
        while start < end:
            stop = min(start + 60, end)
            energy = self._energy(start, stop)
            drawn, fed, start = drawn + max(energy, 0.0), fed + max(-energy, 0.0), stop
        return drawn, fed

    def _energy(self, minute: float, end: float) -> float:
        """Return the net energy from the beginning of a minute on, in Wh."""
        seconds = end - minute - sum(max(0.0, min(end, stop) - max(minute, start)) for start, stop in self._cuts)
        return _exact(self._net(minute) * seconds / 3600) if seconds else 0.0


def _exact(energy: float) -> float:
    return round(energy * _GRAIN) / _GRAIN


def _plus(one: Energies, other: Energies) -> Energies:
    return one[0] + other[0], one[1] + other[1]
