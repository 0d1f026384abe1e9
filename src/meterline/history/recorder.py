"""What meters say → the rows of today: what each register stood at, at the last edge that has passed.

A value is live: the register that was accepted last before the edge, where it is no older than what is shown may be. Where the
meter itself says what a register stood at, at an edge, that is better. What nobody said stays absent.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Final

from meterline import world
from meterline.history.clock import TrustedClock
from meterline.history.day_row import DAY_S, LIVE, METER, PER_WATT_HOUR, DayRow, RowKey
from meterline.history.generations import Generations
from meterline.history.healing import contradicts, days_of, fill
from meterline.history.known_edges import DAYS, KnownEdges
from meterline.history.ledger import Ledger
from meterline.meter.meter import Meter
from meterline.meter.readings import Observation, Remembered, Series

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
_EDGES: Final = "smartmeter_history_edges"
_FILLED: Final = "smartmeter_history_edges_filled_total"
_REFUSED: Final = "smartmeter_history_refused_total"


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
        self.stored: dict[int, bytes] = {}
        """Rows of the last two days as they are on the disk, by day: a tenth of their size in memory."""
        self.said: dict[str, tuple[float, float]] = {}
        """Register → what the meter said of an edge last, and of which one."""
        self.rows: dict[int, DayRow] = {}
        """Rows by day: those that are not on the disk, and those in use."""
        self.changed: set[int] = set()
        """Days whose rows are not on the disk."""
        self.known: KnownEdges | None = None
        """None while nobody has asked for gaps, or the ledger was not read for them yet."""
        self.is_asked_for_gaps = False

    def take(self, register: str, edge: tuple[DayRow, int], watthours: float, origin: int) -> None:
        """Take what a register stood at, into a row of the last two days."""
        row, place = edge
        if row.take(register, place, round(watthours * PER_WATT_HOUR), origin):
            self.changed.add(row.key.day)

    def pack(self, written: Iterable[DayRow]) -> None:
        """Keep rows that are on the disk in their short form, unless they have changed while they were written."""
        for row in written:
            if row.key.day not in self.changed:
                self.rows.pop(row.key.day, None)
                self.stored[row.key.day] = row.stored
        for old in sorted(self.stored)[:-2]:
            del self.stored[old]

    @property
    def is_shown(self) -> bool:
        """It is shown how many edges are known: what is observed of a link goes with the link."""
        return (_EDGES, "known") in self.meter.counters.observed

    def show_known(self, now: int) -> None:
        """Show how many edges are known."""
        if self.known is None:
            return
        for state, edges in zip(("known", "absent"), self.known.count(now), strict=True):
            if self.meter.counters.observed.get(series := (_EDGES, state)) != edges:
                self.meter.counters.observe(Observation(series, float(edges)))

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
        self._parts = [(recorded, [recorded.rows[day].copy() for day in sorted(recorded.changed)]) for recorded in batch]
        self.rows = [row for _, rows in self._parts for row in rows]
        self.entries = [
            (zone_key(recorded.meter.name), recorded.zone.encode()) for recorded in batch if not recorded.is_zone_kept
        ]
        for recorded in batch:
            self.entries += generations.entries(recorded.meter.name)
            recorded.changed.clear()

    def settle(self, is_written: bool) -> bool:
        """It is on the disk, or it is still to be written."""
        for recorded, rows in self._parts:
            if is_written:
                recorded.is_zone_kept = True
                recorded.pack(rows)
                self._generations.settle(recorded.meter.name, self.entries)
            else:
                recorded.changed |= {row.key.day for row in rows}
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
        self._remembered: deque[tuple[_Recorded, Remembered]] = deque()
        """What meters have said of their past, on its way to the disk. A meter is asked for each day once."""

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
        before = recorded.at
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
        if recorded.known:
            recorded.known.take(recorded.rows[day] for day in recorded.changed)
            if recorded.changed or before // recorded.slot_s != now // recorded.slot_s or not recorded.is_shown:
                recorded.show_known(now)

    def _record(self, recorded: _Recorded, at: int) -> None:
        """What is known of an edge that has passed."""
        patience = recorded.meter.freshness()
        fresh = [(series, value, at - then) for series, (value, then) in recorded.last.items() if 0 <= at - then <= patience]
        if not fresh:
            return
        row, edge = self._row(recorded, at)
        for series, value, age in fresh:
            if register := register_of(series):
                recorded.take(register, (row, edge), value, LIVE + age)
        for fact, said in _facts(recorded.meter).items():
            if row.note(fact, edge, said):
                recorded.changed.add(row.key.day)

    def _record_what_it_said_of_edges(self, recorded: _Recorded, now: int) -> None:
        for register, (family, time_family) in _AT_EDGES.items():
            value, at = recorded.meter.value(family, _HALF_HOUR), recorded.meter.value(time_family, _HALF_HOUR)
            if not (isinstance(value, int | float) and isinstance(at, int | float)):
                continue
            is_new = recorded.said.get(register) != (value, at)
            if is_new and at % recorded.slot_s == 0 and at <= now:
                recorded.take(register, self._row(recorded, int(at)), value, METER)
                recorded.said[register] = value, at

    def _row(self, recorded: _Recorded, at: int) -> tuple[DayRow, int]:
        """The row of a moment, and which edge of it the moment is."""
        day, second = divmod(at, DAY_S)
        row = recorded.rows.get(day)
        if row is None:
            key = RowKey(recorded.meter.name, recorded.generation, day, recorded.slot_s)
            if stored := recorded.stored.get(day):
                row = DayRow.from_content(key, stored, 0)
            else:
                row = self.ledger.row(key) or DayRow(key)
            recorded.rows[day] = row
            for old in sorted(recorded.rows)[:-2]:
                if old not in recorded.changed:
                    del recorded.rows[old]
        return row, second // recorded.slot_s

    def absent(self, meter: str, register: str, since: int, until: int) -> Sequence[int] | None:
        """See `meterline.protocols.api.Gaps`. The first question lets the ledger be read."""
        recorded = self._meters.get(meter)
        if recorded is None or not recorded.at:
            return None
        if not recorded.is_asked_for_gaps:
            recorded.is_asked_for_gaps = True
            self._due.set()
        return recorded.known.absent(register, since, until, recorded.at) if recorded.known else None

    def patience(self, meter: str) -> float:
        """See `meterline.protocols.api.Gaps`."""
        return self._meters[meter].meter.patience if meter in self._meters else 0.0

    def heal(self, meter: Meter, item: Remembered) -> None:
        """Record what a meter remembers, soon and in a thread.

        Args:
            meter: The meter that is recorded now. What another one remembers is refused.
            item: What passed the checks of the driver.
        """
        recorded = self._meters.get(meter.name)
        if recorded is None or not self._generations.is_present(meter.name, recorded.generation, item.address):
            _refuse(meter, "other_meter")
            return
        self._remembered.append((recorded, item))
        self._due.set()

    async def run(self) -> None:
        """Write what has changed, until cancelled."""
        while True:
            await self._due.wait()
            await world.current.sleep(WRITE_DELAY_S)
            self._due.clear()
            is_written = True
            while self._remembered and is_written:
                is_written = await self._heal(*self._remembered[0])
                if is_written:
                    self._remembered.popleft()
            write = _Write([recorded for recorded in self._meters.values() if recorded.changed], self._generations)
            if write.rows or write.entries:
                is_written &= write.settle(await world.current.in_thread(self.ledger.write, write.rows, write.entries))
            for recorded in [one for one in self._meters.values() if one.is_asked_for_gaps and one.known is None]:
                await self._read_known(recorded)
            if not is_written:
                await world.current.sleep(WRITE_AGAIN_S)
                self._due.set()

    async def _read_known(self, recorded: _Recorded) -> None:
        """Read which edges of the last 99 days are known."""
        name, today, known = recorded.meter.name, recorded.at // DAY_S, KnownEdges(recorded.slot_s)

        def read() -> None:
            for row in self.ledger.rows(name, today - DAYS - 1, today + 1):
                if (row.key.generation, row.key.slot_s) == (recorded.generation, recorded.slot_s):
                    known.take([row])

        await world.current.in_thread(read)
        known.take(recorded.rows.values())
        recorded.known = known
        recorded.show_known(recorded.at)

    async def _heal(self, recorded: _Recorded, item: Remembered) -> bool:
        """Take what a meter remembers into its rows. False: it could not be written, and is to be taken again.

        Rows of the last two days are changed where they are, since live values go into them; older ones in a thread.
        """
        if self._meters.get(recorded.meter.name) is not recorded:
            return True
        yesterday = recorded.at // DAY_S - 1
        days = days_of(item)
        live = {day for day in days if day >= yesterday or day in recorded.rows}
        keys = [RowKey(recorded.meter.name, recorded.generation, day, recorded.slot_s) for day in sorted(days - live)]
        older = await world.current.in_thread(lambda: [self.ledger.row(key) or DayRow(key) for key in keys])
        rows = {row.key.day: row for row in older} | {day: self._row(recorded, day * DAY_S)[0] for day in sorted(live)}
        if contradicts(rows, item, recorded.meter.max_power_va):
            _refuse(recorded.meter, "known_edge")
            return True
        filled, changed = fill(rows, item)
        recorded.changed |= changed & live
        if (rest := changed - live) and not await world.current.in_thread(self.ledger.write, [rows[day] for day in rest]):
            return False
        for day in rest:
            recorded.stored.pop(day, None)
        recorded.meter.counters.observe(Observation((_FILLED,), float(filled), increment=True))
        if recorded.known:
            recorded.known.take(rows.values())
            recorded.show_known(recorded.at)
        return True

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


def _refuse(meter: Meter, reason: str) -> None:
    """Count what is not believed of the memory of a meter."""
    meter.counters.observe(Observation((_REFUSED, reason), 1.0, increment=True))


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
