"""What speaks on a link, and how fast: asks each protocol in turn, on this link alone."""

from __future__ import annotations

from types import ModuleType

from meterline.link.stream import Link
from meterline.meter.readings import Silent
from meterline.protocols import PROTOCOLS


async def detect(link: Link, before: str | None = None) -> tuple[str, ModuleType]:
    """The protocol's name and module; the link is left at its speed, with nothing lost. Silent: none is recognised.

    `before`: the protocol that was recognised on this link last time. Another device may be there by now, so all that only
    listen are tried; but nothing is written for another protocol's sake. Where something arrives that nobody asked for, only
    those complain that listen, since a module that must be asked is silent.
    """
    complaints = []
    for name, protocol in PROTOCOLS.items():
        if before in PROTOCOLS and name != before and protocol.IS_ASKED:
            continue
        try:
            await protocol.recognise(link)
        except Silent as error:
            complaints.append(error)
        else:
            return name, protocol
    talking = [error for error in complaints if error.talks]
    raise Silent("; ".join(error.sentence for error in talking or complaints), link=link.url)
