"""Aligned tables: what was measured, the reference of the same run, their ratio, and the goal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

NONE = "-"


class Row(NamedTuple):
    """One figure. `goal` is empty where the figure only explains another."""

    what: str
    measured: str
    reference: str = NONE
    ratio: str = NONE
    goal: str = ""


HEADINGS = Row("", "measured", "reference", "ratio", "goal")


def ratio(measured: float, reference: float) -> str:
    """`measured` in units of `reference`: 2.4 x, or 1/31."""
    quotient = measured / reference if reference else float("inf")
    return f"{quotient:.1f} x" if quotient >= 0.95 else f"1/{1 / quotient:.1f}" if quotient else "0 x"


def show(title: str, notes: str, rows: Sequence[Row]) -> None:
    """Print a table under its title; `notes` say what was measured, and what the reference is."""
    widths = [max(len(row[column]) for row in (HEADINGS, *rows)) for column in range(len(HEADINGS))]
    print(f"\n== {title}\n{notes}\n")
    for row in (HEADINGS, *rows):
        cells = [row.what.ljust(widths[0]), *(row[n].rjust(widths[n]) for n in (1, 2, 3)), row.goal]
        print(("  " + "  ".join(cells)).rstrip())
    print(flush=True)
