"""What a meter remembers of its registers → rows of the days that it speaks of. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from meterline.history.day_row import DAY_S, LIVE, METER, PER_WATT_HOUR, Column, DayRow
from meterline.meter.readings import Remembered

SLACK_S: Final = 3600
"""Seconds of the highest power by which a live register may differ from what the meter remembers of the edge: its age, and what
the two clocks differ by.
"""


def days_of(item: Remembered) -> set[int]:
    """The days of its edges, since 1970."""
    return {at // DAY_S for at, _, _ in item.edges}


def contradicts(rows: Mapping[int, DayRow], item: Remembered, max_power_va: float) -> bool:
    """Whether the ledger knows another value of one of the edges: it is another meter, another day, or damage.

    Args:
        rows: Day → row, for each day of the item.
        item: What the meter remembers.
        max_power_va: The highest power of the meter.
    """
    most = max_power_va * SLACK_S / 3600 * PER_WATT_HOUR
    return any(
        column is not None and not _agrees(column, edge, value, most) for _, edge, column, _, value in _placed(rows, item)
    )


def _agrees(column: Column, edge: int, value: int, most: float) -> bool:
    known, origin = column.values[edge], column.origins[edge]
    if known is None or METER != origin < LIVE:
        return True
    return known == value if origin == METER else abs(known - value) <= most


def fill(rows: Mapping[int, DayRow], item: Remembered) -> tuple[int, set[int]]:
    """Take what the meter remembers into its rows.

    Args:
        rows: Day → row, for each day of the item.
        item: What the meter remembers.

    Returns:
        How many values were absent before, and the days whose rows have changed.
    """
    filled, changed = 0, set[int]()
    for row, edge, column, register, value in _placed(rows, item):
        was_absent = column is None or column.values[edge] is None
        if row.take(register, edge, value, METER):
            changed.add(row.key.day)
            filled += was_absent
    return filled, changed


def _placed(rows: Mapping[int, DayRow], item: Remembered) -> Iterator[tuple[DayRow, int, Column | None, str, int]]:
    """Row, edge of it, its column where there is one, register, and milliwatt-hours of each value at an edge."""
    for at, register, watthours in item.edges:
        row = rows[at // DAY_S]
        if at % row.key.slot_s == 0:
            yield row, at % DAY_S // row.key.slot_s, row.registers.get(register), register, round(watthours * PER_WATT_HOUR)
