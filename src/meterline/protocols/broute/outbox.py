"""What the driver has to yield, until it can: what repeats is added up, so that a flood of damage waits as one item."""

from __future__ import annotations

from collections.abc import Hashable

from meterline.meter.readings import Hint, Item, Observation, Rejected

POLL_DURATION = "smartmeter_poll_duration_seconds"


class Outbox:
    """`append` items, `take` them all. A reject or an increment is added to the one that waits; a gauge takes its place."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, Item] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def append(self, item: Item) -> None:
        """Let it wait."""
        key = self._key(item)
        before = self._waiting.get(key)
        if type(item) is Rejected and type(before) is Rejected:
            item = Rejected(item.reason, item.data, item.meter, before.times + item.times)
        elif type(item) is Observation and type(before) is Observation and item.increment:
            item = item._replace(value=(before.value or 0.0) + (item.value or 0.0))
        self._waiting[key] = item

    def take(self) -> list[Item]:
        """Everything, in the order in which its kind came first."""
        items = list(self._waiting.values())
        self._waiting.clear()
        return items

    def _key(self, item: Item) -> Hashable:
        if type(item) is Rejected:
            return item.reason, item.meter
        if type(item) is Hint:
            return item
        if type(item) is Observation and item.series[0] != POLL_DURATION:
            return item.series, item.increment, item.meter
        return len(self._waiting)  # one of many, each of its own
