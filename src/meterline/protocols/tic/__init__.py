"""The French TIC (télé-information client): Linky and the electronic meters before it, historic and standard mode.

The meter talks by itself. Its mode is told by what it says; its speed is tried, since Enedis changes both without notice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

from meterline.link.stream import Link
from meterline.meter.readings import Emit, Observation, Rejected, Silent
from meterline.protocols.tic.contracts import CONTRACT_OF, SUPPLIER_REGISTERS
from meterline.protocols.tic.diagnose import nothing_valid, pattern
from meterline.protocols.tic.frames import Assembler, Decoder, Event, Group
from meterline.protocols.tic.listener import Listener, probe_speeds
from meterline.protocols.tic.redact import Redactor
from meterline.protocols.tic.snapshots import SnapshotBuilder
from meterline.protocols.tic.speed_probe import ENOUGH_GROUPS, Heard

__all__ = [
    "IS_ASKED",
    "TARIFF_REGISTERS",
    "TIME_ZONE",
    "TOLD_APART_BY",
    "Decoder",
    "Options",
    "Redactor",
    "facts",
    "hear",
    "proves",
    "read",
    "recognise",
    "suggested",
]

IS_ASKED = False
"""It talks by itself."""
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
SETTLED = 400
"""Groups of which a line is judged at each quarter; before, when there are a quarter more."""
STALE_AFTER = 10.0
"""Seconds until a value that is not confirmed disappears: three long frames in historic mode."""


@dataclass(frozen=True, slots=True)
class Options:
    """`baud` and `mode` say what to try first; both are detected when left out, and again after each silence."""

    baud: int | None = field(default=None, metadata={"public": True})
    mode: Literal["historic", "standard"] | None = field(default=None, metadata={"public": True})
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


async def read(link: Link, meters: Mapping[str, Options | None], memory: dict[str, Any], emit: Emit) -> NoReturn:
    """Read the meter until it is silent (Silent) or the link is lost (OSError) or ends (EOFError)."""
    (options,) = [given or Options() for given in meters.values()]
    link.rest = 0.1 + 0.001 * link.crowd
    listener, assembler = Listener(link, options.speeds(link.baud), PROBE, SILENCE), Assembler()
    snapshots, judged = SnapshotBuilder(options.prm), 0

    def take(_: bytes, events: list[Event]) -> bool:
        nonlocal judged
        for event in events:
            if type(event) is Rejected:
                emit(event)
        for frame in assembler.feed(events):
            emit(snapshots.build(frame))
        groups = listener.symptoms.groups
        if groups >= ENOUGH_GROUPS and groups - judged >= min(groups, SETTLED) // 4:
            if link.baud and not judged:
                emit(Observation(("smartmeter_link_speed_bauds",), link.baud))
            judged = groups
            if hint := pattern(listener.symptoms):
                emit(hint)
        return False

    try:
        await listener.listen(take)
        raise AssertionError("a listener that nobody stops ends by an exception")
    except EOFError:
        if frame := assembler.close():
            emit(snapshots.build(frame))
        raise


def suggested(link: Link) -> str:
    """The options for the configuration of a recognised meter."""
    return f"{{baud: {link.baud}}}" if link.baud else ""


async def hear(link: Link, options: Options | None = None) -> list[Heard]:
    """What comes at each speed, until one is the right one: the link is left there, and nothing is lost."""
    return await probe_speeds(link, (options or Options()).speeds(link.baud), PROBE, SILENCE)


async def recognise(link: Link) -> None:
    """Is this a TIC line? Listens at both speeds, leaves the link at the right one, and gives back what it read.

    Silent, with a text for people, where it is not.
    """
    tried = await hear(link)
    if not tried[-1].sure:
        found = nothing_valid(tried)
        remedy = found.remedy if link.timed else ""  # a capture has no wires to check
        raise Silent(found.text, remedy, link.url, talks=any(heard.size for heard in tried))
