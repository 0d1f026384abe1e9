"""For meters that talk by themselves: recognise, follow and diagnose a line by its decoder alone.

A protocol calls these functions from its own methods, and does what it knows better itself.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from meterline.meter.line_quality import FINE, TOO_MUCH
from meterline.meter.readings import Hint, Silent
from meterline.protocols.api import Finding, MeterProtocol, Recognition, fault, ok, warning

if TYPE_CHECKING:
    from meterline.link.stream import Link
    from meterline.protocols.trial import Trial

PROOFS = 3
"""Events that only one protocol can produce, from which a line is recognised."""
COUNTED_BYTES = 4000
"""Bytes of which the commonest are counted."""


async def recognise_by_listening(protocol: MeterProtocol[Any], link: Link, seconds: float, wiring: str) -> Recognition:
    """Listen until the decoder has produced enough events that prove the protocol.

    Args:
        protocol: Its `decoder` and `proves` are used.
        link: The open link, at the speed of the meter. Nothing is written to it.
        seconds: How long to listen at most: as long as a few frames take.
        wiring: What to check where the line cannot be read, for people.

    Raises:
        OSError: The link was lost.
    """
    decoder, common, proofs, size, kept = protocol.decoder(), Counter[int](), 0, 0, b""
    try:
        async with asyncio.timeout(seconds):
            while proofs < PROOFS:
                data = await link.read()
                size += len(data)
                if size <= COUNTED_BYTES:
                    common.update(data)
                proofs += sum(map(protocol.proves, decoder.feed(data)))
                kept = kept + data if proofs else data
    except (TimeoutError, EOFError):
        pass
    else:
        link.unread(kept)
        return Recognition(True)
    came = f"{size} bytes in {seconds:.0f} s" + (f" at {link.baud} baud" if link.baud else "")
    if not size:
        what = f"nothing arrives at all: {came}"
    elif proofs:
        what = f"hardly a valid frame: {came}"
    else:
        what = f"bytes arrive, but not of a meter that speaks {protocol.name}, or every frame is damaged: {came}"
    commonest = ", ".join(f"{byte:02X}: {times}" for byte, times in common.most_common(16))
    counts = f"{came}; valid frames: {proofs}; commonest bytes: {commonest or 'none'}"
    return Recognition(False, Hint(what, remedy=wiring), is_own=bool(proofs), counts=(counts,))


async def follow_events(protocol: MeterProtocol[Any], link: Link, silence: float, take: Callable[[Any], object]) -> NoReturn:
    """Read a line, and pass on each event of its decoder.

    Args:
        protocol: Its `decoder` and `proves` are used.
        link: The open link.
        silence: Seconds without an event that proves the protocol after which the meter counts as silent.
        take: Gets each event, in order.

    Raises:
        Silent: The meter is silent.
        OSError: The link was lost.
        EOFError: The capture has ended.
    """
    decoder, clock = protocol.decoder(), asyncio.get_running_loop().time
    deadline = clock() + silence
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                data = await link.read()
        except TimeoutError:
            raise Silent(f"{link.url}: silent: no valid frame for {silence:.0f} s") from None
        for event in decoder.feed(data):
            if protocol.proves(event):
                deadline = clock() + silence
            take(event)


async def diagnose_by_listening(
    protocol: MeterProtocol[Any],
    link: Link,
    meters: Mapping[str, Any],
    seconds: float,
    recognition: Recognition,
    wiring: str,
) -> AsyncIterator[Finding | Trial]:
    """Read the meter for a while, and judge how much of the line is damaged. See `MeterProtocol.diagnose`."""
    if not recognition.is_sure:
        yield fault(recognition.why_not.text, recognition.why_not.remedy)
        return
    from meterline.protocols.trial import try_reading  # only a diagnosis needs it

    trial = await try_reading(protocol, link, meters, seconds)
    frames, bad = trial.meter.counters.frames, sum(trial.meter.counters.rejected.values())
    rate = bad / max(frames + bad, 1)
    said = ", ".join(f"{key} {value}" for key, value in trial.description.items() if value)
    if not frames:
        yield fault("no frame", trial.trouble or wiring)
    else:
        yield ok(f"{frames} frames: {said or 'the meter did not say what it is'}")
    what = f"{bad} damaged ({rate:.1%})"
    if rate < FINE:
        yield ok(f"{what}: fine, damage is counted and never shown")
    else:
        yield (fault if rate >= TOO_MUCH else warning)(f"{what}: more than a line should have", wiring)
    for hint in dict.fromkeys(trial.hints):
        if not hint.good:
            yield warning(hint.text, hint.remedy)
    yield trial
