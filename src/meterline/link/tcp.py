"""A TCP bridge: the bytes of a serial line on another machine."""

from __future__ import annotations

import asyncio

from meterline import world
from meterline.link import errors
from meterline.link.stream import Wire
from meterline.link.url import Bridge

CONNECT_TIMEOUT_S = 10.0
"""Seconds for the look-up of the name and all its addresses together."""


async def connect(url: str, bridge: Bridge) -> Wire:
    """Connect to a bridge, at the first of its addresses that answers.

    Args:
        url: The link's URL, for errors.
        bridge: Where to connect to.

    Raises:
        LinkError: The name is not known, or no address answers in `CONNECT_TIMEOUT_S`.
    """
    wire = Wire(url)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            addresses = await world.current.look_up(bridge.host)
            await _connect_first(wire, addresses, bridge.port)
    except TimeoutError:
        raise errors.not_answered(url, CONNECT_TIMEOUT_S) from None
    except UnicodeError as error:
        raise errors.not_connected(url, bridge.host, error) from None
    except OSError as error:
        raise errors.not_connected(url, bridge.host, error) from error
    return wire


async def _connect_first(wire: Wire, addresses: list[str], port: int) -> None:
    """Connect to the first address that answers."""
    for last, address in enumerate(addresses, 1 - len(addresses)):
        try:
            await asyncio.get_running_loop().create_connection(lambda: wire, address, port)
        except OSError:
            if last == 0:
                raise
        else:
            return
