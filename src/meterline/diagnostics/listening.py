"""What a line says when one listens to it: at which speed, how damaged, which meter; and, where it says nothing, why.

The line is a TIC line here: a meter that is asked is the business of `module`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

from meterline.diagnostics import Finding, fault, ok, warning
from meterline.link.stream import Link
from meterline.meter.line_quality import LOSSY
from meterline.meter.meter import Meter
from meterline.meter.readings import Hint, Item, Refused, Rejected, Snapshot
from meterline.protocols.tic import diagnose
from meterline.protocols.tic.frames import Decoder
from meterline.protocols.tic.line_faults import Symptoms
from meterline.protocols.tic.speed_probe import Heard

PIECE = 256
"""Bytes as they come in one read: only so many rejects of each are looked at."""
FINE, TOO_MUCH = 0.01, 0.2
"""Parts of the groups that may be damaged: any line has some; from the second on values come too late, or never."""


def speeds(tried: Sequence[Heard]) -> Iterator[Finding]:
    """What was heard at each speed, where the last one is right."""
    *others, right = tried
    for heard in others:
        yield ok(f"{heard}: no group, as it must be at the wrong speed" if heard.size else f"{heard}: nothing yet")
    yield ok(f"{right}: this is the output of a meter")


def nothing_valid(tried: Sequence[Heard]) -> Finding:
    """Why there is no valid group at any speed."""
    hint = diagnose.nothing_valid(tried)
    return fault(hint.text, hint.remedy)


def damage(data: bytes) -> Iterator[Finding]:
    """How many of the groups in it are damaged, and what is strange about the line: the cause, where one shows."""
    symptoms, decoder = Symptoms(), Decoder()
    for start in range(0, len(data), PIECE):
        piece = data[start : start + PIECE]
        symptoms.feed(piece, decoder.feed(piece))
    groups, bad = symptoms.damage
    rate, hint = bad / max(groups, 1), diagnose.pattern(symptoms)
    what = f"{groups} groups, {bad} of them damaged ({rate:.1%})"
    if not bad:
        yield ok(f"{groups} groups, none damaged")
    elif rate < FINE:
        yield ok(f"{what}: fine, damage is counted and never shown")
    elif hint:
        yield warning(what, "see the next line for the cause")
    else:
        remedy = f"{diagnose.WIRES}; {diagnose.RESISTOR}"
        yield fault(what, remedy) if rate >= TOO_MUCH else warning(f"{what}: more than a line should have", remedy)
    if hint:
        yield (fault if rate >= TOO_MUCH or diagnose.says_nothing(symptoms) else warning)(hint.text, hint.remedy)


class _Done(Exception):
    """Enough was read."""


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
    meter, hints, trouble = Meter(name, stale_after=2 * seconds), list[Hint](), ""

    def take(item: Item) -> None:
        if isinstance(item, Hint):
            hints.append(item)
        elif isinstance(item, Snapshot):
            meter.take(item, link.timed)
        elif isinstance(item, Rejected):
            meter.reject(item)
        else:
            meter.observe(item)
        if done(meter):
            raise _Done

    try:
        async with asyncio.timeout(seconds):
            await protocol.read(link, options, {} if memory is None else memory, take)
    except _Done:
        pass
    except (Refused, TimeoutError, EOFError) as error:
        trouble = str(error)
    return Met(meter, hints, trouble)


def noted(met: Met) -> Iterator[str]:
    """What is wrong, in sentences."""
    yield from dict.fromkeys(hint.sentence for hint in met.hints)
    ratio = met.meter.line.accepted_ratio
    if ratio is not None and ratio < LOSSY:
        yield f"most of what arrives is damaged: {ratio:.0%} of it is accepted; meterline doctor looks for the cause"
    if met.trouble:
        yield met.trouble


def described(meter: Meter) -> dict[str, str]:
    """Mode, meter and contract in words; empty where the meter did not say."""
    info = {label: str(meter.value("smartmeter_info", label) or "") for label in ("mode", "type", "manufacturer", "contract")}
    return {
        "mode": info["mode"],
        "meter": ", ".join(filter(None, (info["type"], info["manufacturer"]))),
        "contract": info["contract"] or str(meter.value("smartmeter_tariff_info", "calendar") or ""),
    }


def spoken(met: Met) -> Iterator[Finding]:
    """Which meter it is."""
    said = ", ".join(f"{key} {value}" for key, value in described(met.meter).items() if value)
    if met.meter.frames:
        yield ok(f"{met.meter.frames} frames: {said or 'the meter did not say what it is'}")
    else:
        yield fault("no frame", met.trouble or diagnose.WIRES)
