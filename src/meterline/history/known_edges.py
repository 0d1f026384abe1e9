"""Which edges of the last 99 days the ledger knows of one meter: a bit for each, so that asking costs no reading of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from meterline.history.day_row import DAY_S, DayRow

DAYS: Final = 99
REGISTERS: Final = ("import", "export")
"""Registers that meters remember."""


class KnownEdges:
    """Edges of `REGISTERS` at which a value is known."""

    def __init__(self, slot_s: int) -> None:
        """
        Args:
            slot_s: Seconds from one edge to the next; divides a day.
        """
        self._slot_s = slot_s
        self._bits: dict[int, tuple[int, ...]] = {}
        """Day → for each register a number whose bit `i` says that edge `i` is known."""

    def take(self, rows: Iterable[DayRow]) -> None:
        """Take rows as they stand now, and forget days that are over for long."""
        for row in rows:
            self._bits[row.key.day] = tuple(_bits(row, register) for register in REGISTERS)
        for day in sorted(self._bits)[: -DAYS - 2]:
            del self._bits[day]

    def absent(self, register: str, since: int, until: int, now: int) -> list[int]:
        """Return the edges of the last 99 days before `now` that are not known, from `since` on and before `until`."""
        first = -(-max(since, now - DAYS * DAY_S) // self._slot_s)
        last = -(-min(until, now + 1) // self._slot_s)
        place, by_day = REGISTERS.index(register), DAY_S // self._slot_s
        return [
            edge * self._slot_s for edge in range(first, last) if not self._of_day(edge // by_day, place) >> edge % by_day & 1
        ]

    def count(self, now: int) -> tuple[int, int]:
        """Return how many edges of the last 99 days before `now` are known of the import register, and how many are not."""
        by_day, first, last = DAY_S // self._slot_s, -(-(now - DAYS * DAY_S) // self._slot_s), now // self._slot_s
        known = sum(bits.bit_count() for bits in self._within(first, last + 1, by_day))
        return known, last + 1 - first - known

    def _within(self, first: int, end: int, by_day: int) -> Iterator[int]:
        """The bits of the import register of each day, without those before the first edge, and from the end on."""
        for day in range(first // by_day, end // by_day + 1):
            bits = self._of_day(day, 0)
            if day == end // by_day:
                bits &= (1 << end % by_day) - 1
            yield bits >> first % by_day if day == first // by_day else bits

    def _of_day(self, day: int, place: int) -> int:
        return self._bits[day][place] if day in self._bits else 0


def _bits(row: DayRow, register: str) -> int:
    column = row.registers.get(register)
    return sum(1 << edge for edge, value in enumerate(column.values) if value is not None) if column else 0
