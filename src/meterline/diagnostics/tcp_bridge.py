"""A TCP bridge before it is connected to: does its name lead anywhere?"""

from __future__ import annotations

import asyncio
import ipaddress

from meterline import world
from meterline.diagnostics import Finding, fault, ok
from meterline.link.errors import LinkErrorKind
from meterline.link.url import Bridge

RESOLVE_TIMEOUT_S = 10.0
"""Seconds to wait for a name's addresses."""


async def name(bridge: Bridge) -> Finding | None:
    """Whether the host's name is known; None for an address, which has none."""
    host = bridge.host
    if _is_address(host):
        return None
    remedy = f"getent hosts {host}; or write its address: link: tcp://ADDRESS:{bridge.port}"
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_S):
            addresses = await world.current.look_up(host)
    except TimeoutError:
        return fault(f"the name {host!r} is not resolved in {RESOLVE_TIMEOUT_S:.0f} s: the name server does not answer", remedy)
    except (OSError, UnicodeError):
        return fault(f"the name {host!r} is not known", remedy)
    return ok(f"the name {host!r} leads to {', '.join(dict.fromkeys(addresses))}")


def unreachable(bridge: Bridge, problem: str, kind: LinkErrorKind | None) -> Finding:
    """What to do about a bridge that cannot be connected to, or whose link was lost.

    Args:
        bridge: Where the link leads to.
        problem: What happened, for people.
        kind: The same, for the program; None where the bridge is connected and its meter is silent.
    """
    if kind is LinkErrorKind.REFUSED:
        what = f"{problem}: nothing listens on port {bridge.port} of {bridge.host}"
        return fault(what, f"on that machine: sudo ss -ltnp 'sport = :{bridge.port}'")
    return fault(problem, f"ping {bridge.host}; is the bridge on, in this network, and not behind a firewall?")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
