"""Open a link by its URL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from meterline.link.stream import Link, SerialSettings
from meterline.link.url import Bridge, Capture, Device, parse_url

if TYPE_CHECKING:
    from meterline.link.replay import Replay
    from meterline.link.stream import Wire

DEFAULT_SETTINGS = SerialSettings()
"""Where a driver has named none: it changes them once the link is open."""


@asynccontextmanager
async def open_link(url: str, settings: SerialSettings = DEFAULT_SETTINGS) -> AsyncIterator[Link]:
    """Open a link, and close it at the end of the block, whatever happens.

    Args:
        url: A serial device, a TCP bridge or a capture; see `meterline.link.url`.
        settings: Speed and form to open a serial device with. A driver may change them later.

    Raises:
        LinkError: The link cannot be opened.
        UrlError: `url` is not the URL of a link.
    """
    link = await _open(url, settings)
    try:
        yield link
    finally:
        await link.close()


async def _open(url: str, settings: SerialSettings) -> Wire | Replay:
    # Each kind of link is imported when it is used: a meter behind a bridge pays no memory for serial devices.
    match parse_url(url):
        case Device(path):
            from meterline.link.serial import open_device

            return await open_device(path, settings)
        case Bridge() as bridge:
            from meterline.link.tcp import connect

            return await connect(url, bridge)
        case Capture() as capture:
            from meterline.link.replay import open_capture

            return open_capture(url, capture)
