"""A trial: read a meter for a while, as `run` reads it, and keep what was found. For `detect` and `doctor`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from meterline.link.stream import Link
from meterline.meter.intake import take_item
from meterline.meter.line_quality import LOSSY
from meterline.meter.meter import Meter
from meterline.meter.readings import Hint, Item, Refused
from meterline.protocols.api import MeterProtocol

SENT_BYTES = 1 << 16
"""Bytes of a line that a trial keeps."""


class Trial(NamedTuple):
    """A meter that was read for a while.

    Attributes:
        meter: What it said.
        hints: What its driver found, in order.
        trouble: Why the reading ended before its time; empty: it did not.
        sent: The beginning of what the line sent.
    """

    meter: Meter
    hints: list[Hint]
    trouble: str
    sent: bytes = b""

    @property
    def description(self) -> dict[str, str]:
        """Mode, meter and contract in words; empty where the meter did not say."""
        value = self.meter.value
        info = {label: str(value("smartmeter_info", label) or "") for label in ("mode", "type", "manufacturer", "contract")}
        return {
            "mode": info["mode"],
            "meter": ", ".join(filter(None, (info["type"], info["manufacturer"]))),
            "contract": info["contract"] or str(value("smartmeter_tariff_info", "calendar") or ""),
        }

    @property
    def notes(self) -> Iterator[str]:
        """What is wrong, in sentences."""
        yield from dict.fromkeys(hint.sentence for hint in self.hints)
        ratio = self.meter.counters.line.accepted_ratio
        if ratio is not None and ratio < LOSSY:
            yield f"most of what arrives is damaged: {ratio:.0%} of it is accepted; meterline doctor looks for the cause"
        if self.trouble:
            yield self.trouble


class _Done(Exception):
    """Enough was read."""


async def try_reading(
    protocol: MeterProtocol[Any],
    link: Link,
    options: Mapping[str, Any],
    seconds: float,
    is_enough: Callable[[Meter], bool] = lambda _: False,
    memory: dict[str, Any] | None = None,
) -> Trial:
    """Read one meter for so long, or until `is_enough`.

    Args:
        protocol: The protocol of the link.
        link: The open link. Its tap goes on getting what is read.
        options: Name → options of the one meter.
        seconds: The longest time.
        is_enough: Asked after each item.
        memory: As of `MeterProtocol.read`.

    Raises:
        OSError: The link was lost.
    """
    (name,) = options
    meter, hints, sent, tap = Meter(name, stale_after=2 * seconds), list[Hint](), bytearray(), link.tap
    meter.max_power_va = protocol.max_power_va

    def take(item: Item) -> None:
        if isinstance(item, Hint):
            hints.append(item)
        take_item(meter, item, link.timed)
        if is_enough(meter):
            raise _Done

    def keep(data: bytes) -> None:
        if tap:
            tap(data)
        sent.extend(data[: SENT_BYTES - len(sent)])

    trouble, link.tap = "", keep
    try:
        async with asyncio.timeout(seconds):
            await protocol.read(link, options, {} if memory is None else memory, take)
    except _Done:
        pass
    except (Refused, TimeoutError, EOFError) as error:
        trouble = str(error)
    finally:
        link.tap = tap
    return Trial(meter, hints, trouble, bytes(sent))
