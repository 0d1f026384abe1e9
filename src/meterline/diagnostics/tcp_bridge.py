"""A TCP bridge before it is connected to: does its name lead anywhere?"""

from __future__ import annotations

import asyncio
import ipaddress
from urllib.parse import urlsplit

from meterline import world
from meterline.diagnostics import Finding, fault, ok

RESOLVE = 10.0
"""Seconds for a name's addresses."""


async def name(url: str) -> Finding | None:
    """Whether the host's name is known; None for an address, which has none."""
    host, port = urlsplit(url).hostname or "", urlsplit(url).port
    if _is_address(host):
        return None
    remedy = f"getent hosts {host}; or write its address: link: tcp://ADDRESS:{port}"
    try:
        async with asyncio.timeout(RESOLVE):
            addresses = await world.current.look_up(host)
    except TimeoutError:
        return fault(f"the name {host!r} is not resolved in {RESOLVE:.0f} s: the name server does not answer", remedy)
    except (OSError, UnicodeError):
        return fault(f"the name {host!r} is not known", remedy)
    return ok(f"the name {host!r} leads to {', '.join(dict.fromkeys(addresses))}")


def closed(url: str, what: str) -> Finding:
    """What to do about a bridge that cannot be connected to."""
    host, port = urlsplit(url).hostname, urlsplit(url).port
    if "refused" in what:
        return fault(f"{what}: nothing listens on port {port} of {host}", f"on that machine: sudo ss -ltnp 'sport = :{port}'")
    return fault(what, f"ping {host}; is the bridge on, in this network, and not behind a firewall?")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
