"""The French TIC (télé-information client): Linky and the electronic meters before it, historic and standard mode.

The meter talks by itself. Its mode is told by what it says; its speed is tried, since Enedis changes both without notice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal

from meterline.link import Link
from meterline.model import Hint, Item, Observation, Rejected
from meterline.protocols.tic.frames import Assembler, Decoder, Event, Group
from meterline.protocols.tic.labels import CONTRACT_OF
from meterline.protocols.tic.readers import SUPPLIER_REGISTERS
from meterline.protocols.tic.readings import readings
from meterline.protocols.tic.redact import Redactor
from meterline.protocols.tic.symptoms import Symptoms

__all__ = [
    "TARIFF_REGISTERS",
    "TIME_ZONE",
    "TOLD_APART_BY",
    "Decoder",
    "Options",
    "Redactor",
    "facts",
    "proves",
    "read",
    "recognise",
    "suggested",
]

TOLD_APART_BY = None
"""A line has one meter."""
TIME_ZONE = "Europe/Paris"
TARIFF_REGISTERS = (*CONTRACT_OF, *SUPPLIER_REGISTERS)
"""Registers of what is drawn, one for each tariff."""

SPEEDS = {"standard": 9600, "historic": 1200}
PROBE = 5.0
"""Seconds to listen at each speed: a historic frame lasts three at most."""
SILENCE = 10.0
"""Seconds without a valid group after which the line counts as lost (02E: 10 s ± 1 s)."""
STALE_AFTER = 10.0
"""Seconds until a value that is not confirmed disappears: three long frames in historic mode."""
ENOUGH_GROUPS = 3
"""Valid groups that make us sure of the speed: noise gives none."""


@dataclass(frozen=True, slots=True)
class Options:
    """`baud` and `mode` say what to try first; both are detected when left out, and again after each silence."""

    baud: int | None = None
    mode: Literal["historic", "standard"] | None = None
    prm: bool = False
    """Export the number of the delivery point, which names a household."""

    def stale_after(self, meters: int) -> float:
        """Seconds until a value that is not confirmed disappears."""
        return STALE_AFTER

    def speeds(self, current: int | None) -> list[int]:
        """What to try, in this order."""
        if current is None:
            return []
        first = self.baud or (SPEEDS[self.mode] if self.mode else current)
        return list(dict.fromkeys((first, *SPEEDS.values())))


def facts(event: Event) -> dict[str, Any] | None:
    """What `decode` prints of an accepted event."""
    return event._asdict() if isinstance(event, Group) else None


def proves(event: Event) -> bool:
    """Whether only a TIC line says this: the checksum and the table of labels say so of a group."""
    return isinstance(event, Group)


class _Ear:
    """Listens on a link until it is silent, trying the speeds one after the other."""

    def __init__(self, link: Link, speeds: list[int]) -> None:
        self._link = link
        self._speeds = speeds
        self._clock: Callable[[], float] = asyncio.get_running_loop().time
        self.symptoms = Symptoms()

    @property
    def sure(self) -> bool:
        return self.symptoms.groups >= ENOUGH_GROUPS

    async def listen(self) -> AsyncGenerator[tuple[bytes, list[Event]], None]:
        """What is read, and its events. TimeoutError, with a text for people, when no valid group comes any more."""
        for speed in self._speeds or [0]:
            if speed:
                await self._link.set_baud(speed)
            decoder, self.symptoms = Decoder(), Symptoms()
            deadline = self._clock() + (PROBE if len(self._speeds) > 1 else SILENCE)
            while data := await self._read(deadline):
                events = decoder.feed(data)
                before = self.symptoms.groups
                self.symptoms.feed(data, events)
                if self.sure and self.symptoms.groups > before:
                    deadline = self._clock() + SILENCE
                yield data, events
            if self.sure:
                break
        raise TimeoutError(f"{self._link.url}: {self.complaint()}")

    async def _read(self, deadline: float) -> bytes:
        """Bytes, or none at the deadline."""
        if self._clock() >= deadline:
            return b""
        try:
            async with asyncio.timeout_at(deadline):
                return await self._link.read()
        except TimeoutError:
            return b""

    def complaint(self) -> str:
        """What to tell people when nothing comes."""
        if self.sure:
            return f"silent: no valid group for {SILENCE:.0f} s"
        tried = f" at {' or '.join(map(str, self._speeds))} baud" if self._speeds else ""
        if not self.symptoms.heard:
            return f"nothing arrives{tried}; check the wires to I1 and I2, and the adapter"
        return f"no valid group{tried}; {self.symptoms.hint() or 'is this the output of a meter?'}"


async def read(link: Link, meters: Mapping[str, Options | None], memory: dict[str, Any]) -> AsyncGenerator[Item, None]:
    """Everything that the meter says, until it is silent (TimeoutError) or the link is lost (OSError)."""
    (options,) = [given or Options() for given in meters.values()]
    link.rest = 0.1 + 0.001 * link.crowd
    ear, assembler = _Ear(link, options.speeds(link.baud)), Assembler()
    told: set[str] = set()
    after_short = False
    try:
        async with aclosing(ear.listen()) as heard:
            async for _, events in heard:
                for event in events:
                    if type(event) is Rejected:
                        yield event
                    if frame := assembler.take(event):
                        snapshot = readings(frame, options.prm, after_short)
                        after_short = snapshot.short
                        yield snapshot
                if ear.sure and link.baud and "speed" not in told:
                    told.add("speed")
                    yield Observation(("smartmeter_link_speed_bauds",), link.baud)
                hint = ear.symptoms.hint() if ear.sure else None
                if hint and hint not in told:
                    told.add(hint)
                    yield Hint(hint)
    except EOFError:
        if frame := assembler.close():
            yield readings(frame, options.prm)
        raise


def suggested(link: Link) -> str:
    """The options for the configuration of a recognised meter."""
    return f"{{baud: {link.baud}}}" if link.baud else ""


async def recognise(link: Link) -> None:
    """Is this a TIC line? Listens at both speeds, leaves the link at the right one, and gives back what it read.

    TimeoutError, with a text for people, where it is not.
    """
    read_so_far = b""
    ear = _Ear(link, Options().speeds(link.baud))
    try:
        async with aclosing(ear.listen()) as heard:
            async for data, events in heard:
                read_so_far = read_so_far + data if any(isinstance(event, Group) for event in events) else data
                if ear.sure:
                    link.unread(read_so_far)
                    return
    except EOFError:
        raise TimeoutError(f"{link.url}: {ear.complaint()}") from None
