"""What a line says when one listens to it: at which speed, how damaged, which meter; and, where it says nothing, why.

The line is a TIC line here: a meter that is asked is the business of `module`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, NamedTuple

from meterline.doctor import Finding, fault, ok, warning
from meterline.link import Link
from meterline.meter import Meter
from meterline.model import Hint, Refused, Rejected, Snapshot
from meterline.protocols import tic
from meterline.protocols.tic.frames import Decoder, Group
from meterline.protocols.tic.symptoms import ENOUGH, Symptoms

FINE, TOO_MUCH = 0.01, 0.2
"""Parts of the groups that may be damaged: any line has some; from the second on values come too late, or never."""

_WIRES = "check the screws at I1 and I2, twist or shorten the two wires, and keep them away from mains and switching supplies"
_RESISTOR = (
    "an adapter with a potentiometer: turn it until the damage ends; one of your own: standard mode needs a resistor "
    "of 220 Ω to 1 kΩ before the optocoupler and one of 3.3 kΩ behind it"
)
_NOTHING = (
    "check that the wires are at I1 and I2 (not I1 and A) of the meter and on the meter's side of the adapter's optocoupler, "
    "try another cable or adapter; if the meter's display shows no TIC mode, ask the supplier to switch it on"
)
_BRIDGE = (
    "set the bridge to the meter's speed, 7 data bits, even parity, raw: 1200 baud in historic mode, 9600 in standard mode"
)


@dataclass
class Heard:
    """What came at one speed."""

    baud: int | None
    seconds: float = 0.0
    data: bytearray = field(default_factory=bytearray)
    symptoms: Symptoms = field(default_factory=Symptoms)
    damaged: int = 0
    """Rejects that look like groups: their checksum or form is wrong, but they are text."""

    @property
    def sure(self) -> bool:
        """It is a TIC line at this speed."""
        return self.symptoms.groups >= tic.ENOUGH_GROUPS

    def __str__(self) -> str:
        return f"{len(self.data)} bytes in {self.seconds:.0f} s" + (f" at {self.baud} baud" if self.baud else "")


async def hear(link: Link, options: tic.Options | None) -> list[Heard]:
    """Listen at each speed in turn, until one is the right one; what was read there is given back to the link."""
    tried: list[Heard] = []
    for baud in (*(options or tic.Options()).speeds(link.baud),) or (None,):
        if baud:
            await link.set_baud(baud)
        tried.append(await _listen(link, Heard(baud)))
        if tried[-1].sure:
            link.unread(bytes(tried[-1].data))
            break
    return tried


async def _listen(link: Link, heard: Heard) -> Heard:
    clock, decoder = asyncio.get_running_loop().time, Decoder()
    started = clock()
    try:
        async with asyncio.timeout(tic.PROBE):
            while not heard.sure:
                data = await link.read()
                events = decoder.feed(data)
                heard.data += data
                heard.symptoms.feed(data, events)
                heard.damaged += sum(isinstance(event, Rejected) and _is_text(event.data) for event in events)
    except (TimeoutError, EOFError):
        pass
    heard.seconds = clock() - started
    return heard


def _is_text(body: bytes) -> bool:
    """A group with some damage: noise has hardly a printable byte."""
    return len(body) >= 5 and sum(0x20 <= byte < 0x7F or byte == 9 for byte in body) * 10 >= len(body) * 9


def speeds(tried: Sequence[Heard]) -> Iterator[Finding]:
    """What was heard at each speed, where the last one is right."""
    *others, right = tried
    for heard in others:
        yield ok(f"{heard}: no group, as it must be at the wrong speed" if heard.data else f"{heard}: nothing yet")
    yield ok(f"{right}: this is the output of a meter")


def nothing_valid(tried: Sequence[Heard]) -> Finding:
    """Why there is no valid group at any speed."""
    came = "; ".join(map(str, tried))
    best = max(tried, key=lambda heard: (heard.symptoms.groups, heard.damaged, heard.symptoms.foreign))
    if not any(heard.data for heard in tried):
        where = "" if tried[0].baud else "is it the right port of the bridge? "
        return fault(f"nothing arrives at all: {came}", where + _NOTHING)
    if best.symptoms.groups:
        return fault(f"hardly a valid group: {came}", f"{_WIRES}; {_RESISTOR}")
    if best.symptoms.foreign > 5:
        return fault(f"a meter of a company: its labels are not known here: {came}", "this kind of meter is not supported")
    if best.damaged >= 3:
        return fault(f"groups arrive, and every one of them is damaged: {came}", f"{_WIRES}; {_RESISTOR}")
    if all(heard.data.count(0) * 2 > len(heard.data) for heard in tried if heard.data):
        remedy = f"{_WIRES}; the adapter may be at its limit: {_RESISTOR}" if tried[0].baud else _BRIDGE
        return fault(f"hardly anything but NULs arrives: {came}", remedy)
    if sum(len(heard.data) for heard in tried) < ENOUGH:
        return fault(f"hardly anything arrives: {came}", _NOTHING)
    remedy = f"is this the adapter of the meter? If so: {_WIRES}" if tried[0].baud else _BRIDGE
    return fault(f"only noise arrives: {came}", remedy)


def damage(data: bytes) -> Finding:
    """How many of the groups in it are damaged, with a judgement."""
    events = Decoder().feed(data)
    good = sum(type(event) is Group for event in events)
    bad = sum(type(event) is Rejected and event.reason != "unknown_label" for event in events)
    rate = bad / max(good + bad, 1)
    what = f"{good + bad} groups, {bad} of them damaged ({rate:.1%})"
    if not bad:
        return ok(f"{good} groups, none damaged")
    if rate < FINE:
        return ok(f"{what}: fine, damage is counted and never shown")
    remedy = f"{_WIRES}; {_RESISTOR}"
    return fault(what, remedy) if rate >= TOO_MUCH else warning(f"{what}: more than a line should have", remedy)


class Met(NamedTuple):
    """A meter that was read for a while."""

    meter: Meter
    hints: list[Hint]
    trouble: str
    """Why it ended before its time."""


async def meet(
    link: Link,
    protocol: ModuleType,
    options: Mapping[str, Any],
    seconds: float,
    done: Callable[[Meter], bool] = lambda _: False,
    memory: dict[str, Any] | None = None,
) -> Met:
    """Read the meter as `run` does, for so long or until `done`. LinkError where the link is lost."""
    (name,) = options
    meter, hints, trouble = Meter(name, stale_after=2 * seconds), [], ""
    try:
        async with asyncio.timeout(seconds), aclosing(protocol.read(link, options, {} if memory is None else memory)) as items:
            async for item in items:
                if isinstance(item, Hint):
                    hints.append(item)
                elif isinstance(item, Snapshot):
                    meter.take(item, link.timed)
                elif isinstance(item, Rejected):
                    meter.reject(item)
                else:
                    meter.observe(item)
                if done(meter):
                    break
    except (Refused, TimeoutError, EOFError) as error:
        trouble = str(error)
    return Met(meter, hints, trouble)


def described(meter: Meter) -> dict[str, str]:
    """Mode, meter and contract in words; empty where the meter did not say."""
    info = {label: str(meter.value("smartmeter_info", label) or "") for label in ("mode", "type", "manufacturer", "contract")}
    return {
        "mode": info["mode"],
        "meter": ", ".join(filter(None, (info["type"], info["manufacturer"]))),
        "contract": info["contract"] or str(meter.value("smartmeter_tariff_info", "calendar") or ""),
    }


def spoken(met: Met) -> Iterator[Finding]:
    """Which meter it is, and what is strange about its line."""
    for hint in met.hints:
        if not hint.good:
            what, _, remedy = hint.text.partition(". ")
            yield warning(what, remedy)
    said = ", ".join(f"{key} {value}" for key, value in described(met.meter).items() if value)
    if met.meter.frames:
        yield ok(f"{met.meter.frames} frames: {said or 'the meter did not say what it is'}")
    else:
        yield fault("no frame", met.trouble or _WIRES)
