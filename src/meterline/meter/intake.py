"""The one place where what a driver emits reaches a meter, whoever reads it."""

from __future__ import annotations

from meterline.meter.meter import Meter
from meterline.meter.readings import Hint, Item, Observation, Rejected, Snapshot


def take_item(meter: Meter, item: Item, timed: bool) -> None:
    """Give an item of a driver's `read` to its meter.

    Args:
        meter: The meter that the item names.
        item: What the driver emitted.
        timed: Bytes come when the meter sends them (`Link.timed`), so that the rise of a register can be judged.
    """
    if isinstance(item, Snapshot):
        meter.take(item, timed)
    elif isinstance(item, Rejected):
        meter.counters.reject(item)
    elif isinstance(item, Observation):
        meter.counters.observe(item)
    elif isinstance(item, Hint):
        meter.counters.line.note(item)
