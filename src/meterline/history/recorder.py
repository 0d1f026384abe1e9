"""What meters say → the rows of today: what each register stood at, at the last edge that has passed.

A value is live: the register that was accepted last before the edge, where it is no older than what is shown may be. Where the
meter itself says what a register stood at, at an edge, that is better. What nobody said stays absent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from functools import cache
from typing import Final

from meterline import world
from meterline.history.clock import TrustedClock
from meterline.history.day_row import DAY_S, LIVE, METER, PER_WATT_HOUR, DayRow, RowKey
from meterline.history.generations import Generations
from meterline.history.ledger import Ledger
from meterline.meter.meter import Meter
from meterline.meter.readings import Series

log = logging.getLogger("meterline")

SURE_AFTER: Final = 3
"""Readings until a register is recorded after a start: a damaged first one is mended by then."""
WRITE_DELAY_S: Final = 2.0
"""Seconds after an edge in which what all meters said at that edge becomes one transaction."""
WRITE_AGAIN_S: Final = 60.0
_REGISTERS: Final = {
    "smartmeter_energy_import_watthours_total": "import",
    "smartmeter_energy_import_tariff_watthours_total": "import",
    "smartmeter_energy_import_distributor_watthours_total": "distributor",
    "smartmeter_energy_export_watthours_total": "export",
    "smartmeter_energy_export_tariff_watthours_total": "export",
}
_AT_EDGES: Final = {
    "import": ("smartmeter_fixed_energy_import_watthours", "smartmeter_fixed_energy_import_timestamp_seconds"),
    "export": ("smartmeter_fixed_energy_export_watthours", "smartmeter_fixed_energy_export_timestamp_seconds"),
}
"""What the meter says of full half hours: the family of the register, and that of its time."""
_HALF_HOUR: Final = "30m"


def zone_key(meter: str) -> str:
    """The key of the ledger's entry with the time zone of a meter, in which its days are told."""
    return f"zone/{meter}"


@cache
def register_of(series: Series) -> str | None:
    """The name of a register in the ledger; None: the series is none that is recorded."""
    name = _REGISTERS.get(series[0])
    return "/".join((name, *series[1:])) if name else None


class _Recorded:
    """One meter, and its rows that are not on the disk yet."""

    def __init__(self, meter: Meter, slot_s: int, zone: str, generation: int) -> None:
        self.meter, self.slot_s, self.zone, self.generation = meter, slot_s, zone, generation
        self.is_zone_kept = False
        self.at = 0
        """Unix time of the last snapshot; every edge up to then is recorded. 0: none yet."""
        self.last: dict[Series, tuple[float, int]] = {}
        """Register → watt-hours, and Unix time in seconds when they were accepted."""
        self.unsure: dict[Series, int] = {}
        """Registers that have not been read often enough yet, and how often they were."""
        self.rows: dict[int, DayRow] = {}
        """Rows by day: those of the last two."""
        self.changed: set[int] = set()
        """Days whose rows are not on the disk."""

    def is_sure(self, series: Series) -> bool:
        """Whether a register that was never recorded has been read often enough by now."""
        if register_of(series) is None:
            return False
        times = self.unsure[series] = self.unsure.get(series, 0) + 1
        return times >= SURE_AFTER


class _Write:
    """What has changed, as it stands now, on its way to the disk."""

    def __init__(self, batch: list[_Recorded], generations: Generations) -> None:
        self._generations = generations
        self._days = [(recorded, frozenset(recorded.changed)) for recorded in batch]
        self.rows = [recorded.rows[day].copy() for recorded, days in self._days for day in sorted(days)]
        self.entries = [
            (zone_key(recorded.meter.name), recorded.zone.encode()) for recorded in batch if not recorded.is_zone_kept
        ]
        for recorded in batch:
            self.entries += generations.entries(recorded.meter.name)
            recorded.changed.clear()

    def settle(self, is_written: bool) -> bool:
        """It is on the disk, or it is still to be written."""
        for recorded, days in self._days:
            if is_written:
                recorded.is_zone_kept = True
                self._generations.settle(recorded.meter.name, self.entries)
            else:
                recorded.changed |= days
        return is_written


class Recorder:
    """Records the registers of all meters in the ledger.

    `open` a meter, `take` after each snapshot, `run` beside the meters, `close` at the end.
    """

    def __init__(self, ledger: Ledger) -> None:
        """`ledger`: where rows are kept."""
        self.ledger = ledger
        self._generations = Generations(ledger)
        self._clock = TrustedClock(lambda: world.current.now())
        self._meters: dict[str, _Recorded] = {}
        self._due = asyncio.Event()

    def open(self, meter: Meter, slot_s: int, zone: str) -> None:
        """Begin to record a meter, or go on.

        Args:
            meter: Its accepted readings are recorded.
            slot_s: Seconds from one edge to the next, by its protocol; divides a day.
            zone: IANA name of the time zone in which its days are told.
        """
        known = self._meters.get(meter.name)
        if known is None or (known.slot_s, known.zone) != (slot_s, zone) or known.meter is not meter:
            self._meters[meter.name] = _Recorded(meter, slot_s, zone, self._generations.number(meter.name))

    def forget(self, meter: str) -> None:
        """Record a meter no more. What is not on the disk is written."""
        if (recorded := self._meters.get(meter)) and recorded.changed:
            self._write_now([recorded])
        self._meters.pop(meter, None)

    def take(self, meter: Meter) -> None:
        """Record what a meter said in the snapshot that it has just taken."""
        recorded = self._meters.get(meter.name)
        if recorded is None or not meter.registers or not self._generations.take(meter):
            return
        if (now := self._clock.moment(meter.clock())) is None:
            return
        if now < recorded.at:  # the clock was set back: edges of the time that comes again are recorded again
            recorded.at = 0
            recorded.last.clear()
        if self._generations.number(meter.name) != recorded.generation:
            self.forget(meter.name)
            self.open(meter, recorded.slot_s, recorded.zone)
            recorded = self._meters[meter.name]
        for edge in _edges(recorded.at, now - 1, recorded.slot_s):
            self._record(recorded, edge)
        for series, value in meter.registers.items():
            if series in recorded.last or recorded.is_sure(series):
                recorded.last[series] = value, now
        if now % recorded.slot_s == 0:
            self._record(recorded, now)
        self._record_what_it_said_of_edges(recorded, now)
        recorded.at = now
        if recorded.changed:
            self._due.set()

    def _record(self, recorded: _Recorded, at: int) -> None:
        """What is known of an edge that has passed."""
        patience = recorded.meter.freshness()
        fresh = [(series, value, at - then) for series, (value, then) in recorded.last.items() if 0 <= at - then <= patience]
        if not fresh:
            return
        row, edge = self._row(recorded, at)
        changed = False
        for series, value, age in fresh:
            if register := register_of(series):
                changed |= row.take(register, edge, round(value * PER_WATT_HOUR), LIVE + age)
        for fact, said in _facts(recorded.meter).items():
            changed |= row.note(fact, edge, said)
        if changed:
            recorded.changed.add(row.key.day)

    def _record_what_it_said_of_edges(self, recorded: _Recorded, now: int) -> None:
        for register, (family, time_family) in _AT_EDGES.items():
            value, at = recorded.meter.value(family, _HALF_HOUR), recorded.meter.value(time_family, _HALF_HOUR)
            if isinstance(value, int | float) and isinstance(at, int | float) and at % recorded.slot_s == 0 and at <= now:
                row, edge = self._row(recorded, int(at))
                if row.take(register, edge, round(value * PER_WATT_HOUR), METER):
                    recorded.changed.add(row.key.day)

    def _row(self, recorded: _Recorded, at: int) -> tuple[DayRow, int]:
        """The row of a moment, and which edge of it the moment is."""
        day, second = divmod(at, DAY_S)
        row = recorded.rows.get(day)
        if row is None:
            key = RowKey(recorded.meter.name, recorded.generation, day, recorded.slot_s)
            row = recorded.rows[day] = self.ledger.row(key) or DayRow(key)
            for old in sorted(recorded.rows)[:-2]:
                if old not in recorded.changed:
                    del recorded.rows[old]
        return row, second // recorded.slot_s

    async def run(self) -> None:
        """Write what has changed, until cancelled."""
        while True:
            await self._due.wait()
            await world.current.sleep(WRITE_DELAY_S)
            self._due.clear()
            write = _Write([recorded for recorded in self._meters.values() if recorded.changed], self._generations)
            if not write.settle(await world.current.in_thread(self.ledger.write, write.rows, write.entries)):
                await world.current.sleep(WRITE_AGAIN_S)
                self._due.set()

    def _write_now(self, batch: list[_Recorded]) -> None:
        write = _Write(batch, self._generations)
        write.settle(self.ledger.write(write.rows, write.entries))

    def close(self) -> None:
        """Write everything."""
        if batch := [recorded for recorded in self._meters.values() if recorded.changed]:
            self._write_now(batch)
        self.ledger.close()


def _edges(after: int, until: int, slot_s: int) -> Iterator[int]:
    """Edges after a moment, up to another; the first two at most: later ones have no value that is fresh."""
    if after:
        first = (after // slot_s + 1) * slot_s
        yield from (edge for edge in (first, first + slot_s) if edge <= until)


def _facts(meter: Meter) -> dict[str, str | int | None]:
    """What a bill needs later, and nobody can ask again."""
    found: dict[str, str | int | None] = {"tariff": None, "colour": None, "subscribed_va": None}
    for series, value in meter.readings.items():
        if series[0] == "smartmeter_tariff_active" and value == 1:
            found["tariff"] = series[1]
        elif series[0] == "smartmeter_tempo_colour" and series[2] == "today" and value == 1:
            found["colour"] = series[1]
        elif series[0] == "smartmeter_subscribed_power_voltamperes" and isinstance(value, int | float):
            found["subscribed_va"] = round(value)
    return found
