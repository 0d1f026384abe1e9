"""What speaks on a link, and how fast: asks each protocol in turn, on this link alone."""

from __future__ import annotations

from types import ModuleType

from meterline.link import Link
from meterline.protocols import PROTOCOLS


async def detect(link: Link) -> tuple[str, ModuleType]:
    """The protocol's name and module; the link is left at its speed, with nothing lost. TimeoutError: none is recognised."""
    complaints = []
    for name, protocol in PROTOCOLS.items():
        try:
            await protocol.recognise(link)
        except TimeoutError as error:
            complaints.append(str(error))
        else:
            return name, protocol
    raise TimeoutError("; ".join(complaints))
