"""Recognition of the protocol and the speed of a link. All protocols listen before any of them writes to the link."""

from __future__ import annotations

from typing import Any

from meterline.link.open import DEFAULT_SETTINGS
from meterline.link.stream import Link, SerialSettings
from meterline.meter.readings import Hint, Silent
from meterline.protocols import PROTOCOLS
from meterline.protocols.api import MeterProtocol, Recognition

REPLAYED_BYTES = 1 << 20
"""Bytes of a link without speed that are given again to the next protocol."""


def serial_of(name: str | None) -> SerialSettings:
    """Return the serial settings to open a device with.

    Args:
        name: The protocol; None if it is not known yet.
    """
    return PROTOCOLS[name].serial if name else DEFAULT_SETTINGS


async def detect(link: Link, before: str | None = None) -> MeterProtocol[Any]:
    """Find the protocol of a link.

    All protocols that only listen are tried first. The others, which write to the link, are tried only if none of the first
    recognised the line or saw signs of its own protocol.

    Args:
        link: The open link. It is left at the speed of its protocol, with nothing lost.
        before: The protocol that was recognised on this link last time. All protocols that only listen are tried, since
            another device may have been connected; of those that write, only this one.

    Returns:
        The protocol.

    Raises:
        Silent: No protocol recognised the line. The text explains why. If data arrived without a request, only the protocols
            that listen explain, since an adapter that sends replies only would have been silent.
        OSError: The link was lost.
    """
    received, recognitions = link.received, list[Recognition]()
    *_, last = listening = PROTOCOLS.recognised_by("listen")
    for name in listening:
        recognitions.append(await try_protocol(link, PROTOCOLS[name], is_last=name == last))
        if recognitions[-1].is_sure:
            return PROTOCOLS[name]
    own = [recognition for recognition in recognitions if recognition.is_own]
    explaining = own or list(recognitions) if link.received > received else recognitions
    for name in [] if own else PROTOCOLS.recognised_by("write"):
        if before in PROTOCOLS and name != before:
            continue
        recognitions.append(await try_protocol(link, PROTOCOLS[name]))
        if recognitions[-1].is_sure:
            return PROTOCOLS[name]
    whys = [recognition.why_not for recognition in explaining]
    # A capture has no wires to check.
    raise Silent("; ".join(why.sentence if link.timed else why.text for why in whys), link=link.url)


async def try_protocol(link: Link, protocol: MeterProtocol[Any], options: Any = None, is_last: bool = True) -> Recognition:
    """Let one protocol try to recognise the line, at its own settings.

    Args:
        link: The open link.
        protocol: The protocol that tries.
        options: The options of a meter that is configured on the link.
        is_last: Whether no other protocol listens after this one. If one does, and the link has no speed (a bridge, a capture),
            the bytes that were read are given back to the link.

    Returns:
        What the protocol recognised, or why not.

    Raises:
        OSError: The link was lost.
    """
    await link.set_baud(*protocol.serial)
    heard, tap = bytearray(), link.tap
    link.tap = lambda data: heard.extend(data[: REPLAYED_BYTES - len(heard)])
    try:
        recognition = await protocol.recognise(link, options)
    except EOFError:
        recognition = Recognition(False, Hint(f"the capture holds nothing of {protocol.name}"))
    finally:
        link.tap = tap
    if not (recognition.is_sure or is_last) and link.baud is None:
        link.unread(bytes(heard))
    return recognition
