"""The ledger as a table for people and programs: what each register rose by, by slot, hour or day; CSV, JSON or OpenMetrics.

A period of which an edge is not known has no row: nothing is interpolated.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from meterline.history.day_row import IMPORTED, METER, PER_WATT_HOUR, DayRow

By: TypeAlias = Literal["slot", "hour", "day"]
Format: TypeAlias = Literal["csv", "json", "openmetrics"]
_ORIGINS: Final = {IMPORTED: "imported", METER: "meter"}
FAMILIES: Final = {
    ("import", False): "smartmeter_history_energy_import_watthours",
    ("import", True): "smartmeter_history_energy_import_tariff_watthours",
    ("distributor", True): "smartmeter_history_energy_import_distributor_watthours",
    ("export", False): "smartmeter_history_energy_export_watthours",
    ("export", True): "smartmeter_history_energy_export_tariff_watthours",
}
"""Kind of a register, and whether it is one of several → its family. A total is never in the family of its parts."""


class Period(NamedTuple):
    """One period of one meter.

    Attributes:
        meter: Its name.
        generation: See `RowKey`.
        begin, end: Unix time of its edges, in seconds.
        watthours: Register → what it rose by; only registers that are known at both edges.
        origins: Where its two edges come from, without repetition: "live", "meter", "imported".
    """

    meter: str
    generation: int
    begin: int
    end: int
    watthours: dict[str, float]
    origins: tuple[str, ...]


def periods(rows: Iterable[DayRow], by: By, zone: ZoneInfo, since: int, until: int) -> Iterator[Period]:
    """What the registers of one meter rose by.

    Args:
        rows: Of one meter, by generation, slot length and day.
        by: How long a period is. Hours and days are those of `zone`; a day of the change of the clock has 23 or 25 hours.
        zone: Of the meter.
        since: Unix time of the first period's begin, at the earliest.
        until: Unix time of the last period's end, at the latest.

    Yields:
        Periods in their order, of each generation and slot length in turn.
    """
    edges = dict[tuple[str, int, int], dict[int, dict[str, tuple[int, int]]]]()
    for row in rows:
        known = edges.setdefault((row.key.meter, row.key.generation, row.key.slot_s), {})
        for name, column in row.registers.items():
            for edge, value in enumerate(column.values):
                if value is not None and since <= (at := row.at(edge)) <= until:
                    known.setdefault(at, {})[name] = value, column.origins[edge]
    for (meter, generation, slot_s), known in edges.items():
        step = _step(by, zone, slot_s)
        for begin in sorted(known):
            if (end := step(begin)) is None or end not in known:
                continue
            before, after = known[begin], known[end]
            names = [name for name in before if name in after]
            if names:
                risen = {name: (after[name][0] - before[name][0]) / PER_WATT_HOUR for name in sorted(names)}
                origins = sorted({_ORIGINS.get(said[name][1], "live") for said in (before, after) for name in names})
                yield Period(meter, generation, begin, end, risen, tuple(origins))


def _step(by: By, zone: ZoneInfo, slot_s: int) -> Callable[[int], int | None]:
    """From the begin of a period to its end; None where no period begins there."""

    def slot(begin: int) -> int:
        return begin + slot_s

    def hour(begin: int) -> int | None:
        return begin + 3600 if datetime.fromtimestamp(begin, zone).minute == 0 else None

    def day(begin: int) -> int | None:
        local = datetime.fromtimestamp(begin, zone)
        if (local.hour, local.minute, local.second) != (0, 0, 0):
            return None
        return int((local.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=zone).timestamp())

    return {"slot": slot, "hour": hour, "day": day}[by]


def as_csv(found: Iterable[Period], zones: dict[str, ZoneInfo]) -> Iterator[str]:
    """Lines of a table that a spreadsheet opens: times with their offset, one column a register.

    Args:
        found: Periods of any meters.
        zones: Meter → its zone.
    """
    rows = list(found)
    registers = sorted({name for period in rows for name in period.watthours})
    yield _csv_line(["meter", "generation", "begin", "end", *(f"{name} Wh" for name in registers), "origin"])
    for period in rows:
        values = [f"{period.watthours[name]:.10g}" if name in period.watthours else "" for name in registers]
        times = [_iso(moment, zones[period.meter]) for moment in (period.begin, period.end)]
        yield _csv_line([_safe(period.meter), str(period.generation), *times, *values, "+".join(period.origins)])


def _csv_line(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _safe(name: str) -> str:
    """A spreadsheet takes a text that begins so for a formula."""
    return f"'{name}" if name[:1] in "=+-@\t\r" else name


def as_json(found: Iterable[Period], zones: dict[str, ZoneInfo]) -> Iterator[str]:
    """One object a line; `zones` as of `as_csv`."""
    for period in found:
        facts = {
            "meter": period.meter,
            "generation": period.generation,
            "begin": _iso(period.begin, zones[period.meter]),
            "end": _iso(period.end, zones[period.meter]),
            "watthours": period.watthours,
            "origin": list(period.origins),
        }
        yield json.dumps(facts, ensure_ascii=False) + "\n"


def as_openmetrics(found: Iterable[Period]) -> Iterator[str]:
    """Text that `promtool tsdb create-blocks-from openmetrics` takes.

    Each sample is the energy of its period, one second before the period's end: so the sum over a day is the energy of the day.
    """
    rows = list(found)
    for (name, has_tariff), family in FAMILIES.items():
        yield f"# HELP {family} Energy of the period that ends one second later.\n# TYPE {family} gauge\n"
        for period in rows:
            for register, watthours in period.watthours.items():
                direction, _, tariff = register.partition("/")
                if (direction, bool(tariff)) == (name, has_tariff):
                    labels = f'meter="{_escaped(period.meter)}"' + (f',tariff="{_escaped(tariff)}"' if tariff else "")
                    yield f"{family}{{{labels}}} {watthours:.10g} {period.end - 1}\n"
    yield "# EOF\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _iso(moment: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(moment, UTC).astimezone(zone).isoformat()
