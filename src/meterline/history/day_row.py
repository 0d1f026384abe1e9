"""One UTC day of one meter: what its registers stood at, at regular edges, and where each value comes from.

Edge `i` of a day is at 00:00 UTC + i × slot. The edge at 24:00 is the first one of the next day. Energy of a slot is the
difference of the values at its two edges. A value is absent where nobody said it: nothing is interpolated.
"""

from __future__ import annotations

import json
import zlib
from typing import Any, Final, NamedTuple

DAY_S: Final = 86_400
PER_WATT_HOUR: Final = 1000
"""Values are whole milliwatt-hours: each unit that meters count in (0.1 Wh on the B-route) is a multiple."""

ABSENT, METER, IMPORTED, LIVE = 0, 1, 2, 3
"""Origin of a value. METER: said by the meter for that very edge. IMPORTED: from a file. LIVE + n: the register that was
accepted last, n seconds before the edge.
"""


class RowKey(NamedTuple):
    """What a row is about.

    Attributes:
        meter: Name of the meter in the configuration.
        generation: Counts the meters that had this name, from 0 on: registers of two meters are never compared.
        day: Days since 1970-01-01, UTC.
        slot_s: Seconds from one edge to the next; divides a day.
    """

    meter: str
    generation: int
    day: int
    slot_s: int


class Column:
    """One register at the edges of a day.

    Attributes:
        values: Milliwatt-hours by edge; None where absent.
        origins: Origin of each value, see `ABSENT`.
    """

    __slots__ = ("origins", "values")

    def __init__(self, values: list[int | None], origins: list[int]) -> None:
        self.values = values
        self.origins = origins

    def take(self, edge: int, value: int, origin: int) -> bool:
        """Take a value, where it is better than the one that is there.

        Returns:
            Something has changed. A value gives way to a later one of the same origin: an edge is passed twice only where the
            machine's clock was set back. A value of the meter is better than a live one, and that than an imported one.
        """
        if _rank(origin) < _rank(self.origins[edge]) or (self.values[edge], self.origins[edge]) == (value, origin):
            return False
        self.values[edge], self.origins[edge] = value, origin
        return True


def _rank(origin: int) -> int:
    """How good an origin is."""
    return {ABSENT: 0, IMPORTED: 1, METER: 3}.get(origin, 2)


class DayRow:
    """One row of the ledger.

    Attributes:
        key: See `RowKey`.
        registers: Name → its column. Names: "import", "export", and "import/HP", "distributor/1", "export/1" by tariff.
        facts: Name → what the meter said at each edge ("tariff", "colour", "subscribed_va"); None where nothing.
        revision: Rises through the whole ledger with each change of a row; 0: not on the disk yet.
        stored: `content` as it is on the disk; empty: not on the disk yet.
    """

    __slots__ = ("facts", "key", "registers", "revision", "stored")

    def __init__(self, key: RowKey) -> None:
        self.key = key
        self.registers: dict[str, Column] = {}
        self.facts: dict[str, list[str | int | None]] = {}
        self.revision = 0
        self.stored = b""

    @property
    def edges(self) -> int:
        """Edges of a day."""
        return DAY_S // self.key.slot_s

    def at(self, edge: int) -> int:
        """Unix time of an edge, in seconds."""
        return self.key.day * DAY_S + edge * self.key.slot_s

    def take(self, register: str, edge: int, value: int, origin: int) -> bool:
        """Take what a register stood at. Returns whether something has changed.

        Args:
            register: See `registers`.
            edge: From 0 on.
            value: Milliwatt-hours.
            origin: `METER`, `IMPORTED`, or `LIVE` + seconds.
        """
        column = self.registers.get(register)
        if column is None:
            column = self.registers[register] = Column([None] * self.edges, [ABSENT] * self.edges)
        return column.take(edge, value, origin)

    def note(self, fact: str, edge: int, said: str | int | None) -> bool:
        """Take what the meter said of itself at an edge. Returns whether something has changed."""
        if said is None and fact not in self.facts:
            return False
        column = self.facts.setdefault(fact, [None] * self.edges)
        changed = column[edge] != said
        column[edge] = said
        return changed

    def copy(self) -> DayRow:
        """A row that stays as this one is now, for another thread."""
        row = DayRow(self.key)
        row.registers = {name: Column(column.values[:], column.origins[:]) for name, column in self.registers.items()}
        row.facts = {name: column[:] for name, column in self.facts.items()}
        return row

    def content(self) -> bytes:
        """The row for the disk, without its key."""
        registers = {
            name: [_differences(column.values), _runs(column.origins)] for name, column in sorted(self.registers.items())
        }
        facts = {name: _runs(column) for name, column in sorted(self.facts.items())}
        return zlib.compress(json.dumps([registers, facts], separators=(",", ":")).encode(), 6)

    @classmethod
    def from_content(cls, key: RowKey, content: bytes, revision: int) -> DayRow:
        """A row from the disk.

        Raises:
            ValueError: It is none. The caller has compared its checksum, so that only another form of it can be the reason.
        """
        row = cls(key)
        row.revision, row.stored = revision, content
        try:
            registers, facts = json.loads(zlib.decompress(content))
            for name, (differences, origins) in registers.items():
                row.registers[name] = Column(_sums(differences), _spread(origins))
            row.facts = {name: _spread(runs) for name, runs in facts.items()}
        except (zlib.error, TypeError, AttributeError, KeyError) as error:
            raise ValueError(f"no row: {error}") from None
        columns: list[list[Any]] = [column.values for column in row.registers.values()]
        columns += [column.origins for column in row.registers.values()]
        if any(len(column) != row.edges for column in (*columns, *row.facts.values())):
            raise ValueError("no row: a column is too short or too long")
        return row


def _differences(values: list[int | None]) -> list[int | None]:
    """The first value, then what each one adds to the one before: small numbers, which compress well."""
    found, last = list[int | None](), 0
    for value in values:
        found.append(None if value is None else value - last)
        last = last if value is None else value
    return found


def _sums(differences: list[int | None]) -> list[int | None]:
    found, last = list[int | None](), 0
    for difference in differences:
        last += difference or 0
        found.append(None if difference is None else last)
    return found


def _runs(column: list[Any]) -> list[Any]:
    """Each value followed by how often it comes in a row."""
    found: list[Any] = []
    for value in column:
        if found and found[-2] == value and type(found[-2]) is type(value):
            found[-1] += 1
        else:
            found += [value, 1]
    return found


def _spread(runs: list[Any]) -> list[Any]:
    if any(times > DAY_S for times in runs[1::2]):
        raise ValueError("no row: a run is too long")
    return [value for value, times in zip(runs[::2], runs[1::2], strict=True) for _ in range(times)]
