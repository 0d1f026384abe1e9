"""The paths of an SVG chart: a line above its area, with gaps where there are no readings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

HEIGHT = 120


class Scale(NamedTuple):
    """The values at the top and at the bottom of a chart."""

    top: float
    bottom: float

    def y(self, value: float) -> int:
        """Return the distance of a value from the top, in units of the chart."""
        return round((self.top - value) / (self.top - self.bottom) * HEIGHT)


def scale(points: Sequence[float]) -> Scale:
    """Return the scale: from 0, or a round number below all exported power, to a round number above all points."""
    known = [point for point in points if not math.isnan(point)]
    return Scale(
        _round_up(max(known, default=0)) or (0 if min(known, default=0) < 0 else 100), -_round_up(-min(known, default=0))
    )


def _round_up(value: float) -> float:
    """Return the next round number: a step of the table below times a power of ten."""
    if value <= 0:
        return 0
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if value <= step * power)


class Picture(NamedTuple):
    """The paths of a chart, one unit a point from left to right and `HEIGHT` units from top to bottom.

    Attributes:
        area: The area between line and zero.
        zero: The line of zero.
        line: The line through the points.
    """

    area: str
    zero: str
    line: str


def draw(points: Sequence[float], measure: Scale) -> Picture:
    """Return the paths for points, of which NaN ones are gaps."""
    zero = measure.y(0)
    runs = _runs(points)
    return Picture(
        area="".join(f"{_line(start, run, measure)}V{zero}H{start}Z" for start, run in runs),
        zero=f"M0 {zero}H{len(points) - 1}",
        line="".join(_line(start, run, measure) for start, run in runs),
    )


def _runs(points: Sequence[float]) -> list[tuple[int, list[float]]]:
    """Return the runs of points without a gap, each with the index of its first point."""
    runs: list[tuple[int, list[float]]] = []
    gap = True
    for place, point in enumerate(points):
        if math.isnan(point):
            gap = True
            continue
        if gap:
            runs.append((place, []))
        runs[-1][1].append(point)
        gap = False
    return runs


def _line(start: int, run: Sequence[float], measure: Scale) -> str:
    # Relative steps are shorter than absolute ones.
    heights = [measure.y(point) for point in run]
    steps = [f"l1 {after - before}" for before, after in pairwise(heights)]
    return f"M{start} {heights[0]}" + ("".join(steps) or "h.01")
