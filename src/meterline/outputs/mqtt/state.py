"""What a meter says now → one object of JSON. Every key that was announced is in it, null where there is no value now.

Home Assistant keeps the old value of a key that is missing, and takes null for "unknown".
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TypeAlias

from meterline.billing.billing import BillingService, Starts
from meterline.meter.families import COLUMNS
from meterline.meter.meter import Meter
from meterline.meter.readings import Series
from meterline.outputs.mqtt.entities import PRIVATE, STARTS, UNKNOWN, Entity, entity_of
from meterline.outputs.mqtt.pace import Situation

Json: TypeAlias = bool | int | float | str | None

LONGEST_TEXT = 255
"""Characters of a state that Home Assistant takes."""
_URGENT = tuple(
    COLUMNS[f"smartmeter_{short}"]
    for short in ("overload", "phase_overload", "tariff_active", "tempo_colour", "peak_running", "peak_notice", "breaker")
)


def situation(meter: Meter, is_settled: bool) -> Situation:
    """What decides whether a meter is to be sent now. Readings that nobody confirms any more are dropped first."""
    meter.expire()
    columns = meter.text.columns
    return Situation(meter.up, is_settled, meter.gone, tuple(columns[column] for column in _URGENT), meter.counters.frames)


def series_of(meter: Meter, books: BillingService) -> Iterator[tuple[Series, float | str]]:
    """Everything that is shown of a meter now: its readings, its line, its costs."""
    yield ("smartmeter_up",), float(meter.up)
    yield from meter.counters.values()
    if meter.counters.frames:
        yield ("smartmeter_last_frame_timestamp_seconds",), meter.last_frame_at
    yield from meter.readings.items()
    yield from books.shown(meter.name)


class Sayings:
    """What was ever said of a meter, and what is said now.

    Attributes:
        entities: Key → entity, of everything that was said or announced.
        options: Key of a state → its values that are known.
        values: Key → value, of now.
    """

    def __init__(self) -> None:
        self.entities: dict[str, Entity] = {}
        self.options: dict[str, set[str]] = {}
        self.values: dict[str, Json] = {}

    def take(self, said: Iterable[tuple[Series, float | str]], with_numbers: bool) -> bool:
        """Take what is said now.

        Args:
            said: Series and values of /metrics.
            with_numbers: Also labels that name the meter or the household.

        Returns:
            Whether there is something that was never said before.
        """
        is_new = False
        values: dict[str, Json] = {}
        self.values = values
        for series, value in said:
            entity = entity_of(series)
            if entity is None or (entity.family.type == "info" and series[1] in PRIVATE and not with_numbers):
                continue
            if entity.key not in self.entities:
                is_new = True
                self.entities[entity.key] = entity
            if entity.family.kind == "state":
                is_new |= self.add_options(entity.key, (series[1],))
                if value:
                    values[entity.key] = series[1]
                else:
                    values.setdefault(entity.key, UNKNOWN)
            else:
                values[entity.key] = _json(entity, value)
        return is_new

    def add_options(self, key: str, states: Iterable[str]) -> bool:
        """Values that a state may have, "unknown" among them. Returns whether one is new."""
        known = self.options.setdefault(key, {UNKNOWN})
        before = len(known)
        known.update(states)
        return len(known) > before

    def text(self, starts: Starts | None) -> str:
        """The object. `starts`: since when its sums are counted; None where there are no books."""
        found: dict[str, Json] = {key: self.values.get(key) for key in self.entities}
        if starts:
            found |= {key: None if start is None else _moment(start) for key, start in zip(STARTS, starts, strict=True)}
        return json.dumps(found, ensure_ascii=False, separators=(",", ":"))


def _json(entity: Entity, value: float | str) -> Json:
    family = entity.family
    if family.type == "info":
        return str(value).encode("utf-8", "replace").decode()[:LONGEST_TEXT]
    number = float(value)
    if not math.isfinite(number):
        return None
    if family.kind == "flag":
        return bool(number)
    if family.name.endswith("timestamp_seconds"):
        return _moment(number)
    return int(number) if number.is_integer() else round(number, 6)


def _moment(unix: float) -> str | None:
    try:
        return datetime.fromtimestamp(unix, UTC).isoformat(timespec="seconds")
    except (OverflowError, OSError, ValueError):
        return None
