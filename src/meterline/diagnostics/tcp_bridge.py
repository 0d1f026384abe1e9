"""Findings about a TCP bridge: the look-up of its name, and failures to connect."""

from __future__ import annotations

import asyncio
import ipaddress

from meterline import world
from meterline.link.errors import LinkErrorKind
from meterline.link.url import Bridge
from meterline.protocols.api import Finding, fault, ok

RESOLVE_TIMEOUT_S = 10.0
"""Time that the look-up of a name may take."""


async def name(bridge: Bridge) -> Finding | None:
    """Look the host name up and return the finding; None if the link gives an address in place of a name."""
    host = bridge.host
    if _is_address(host):
        return None
    remedy = f"getent hosts {host}; or use the address: link: tcp://ADDRESS:{bridge.port}"
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_S):
            addresses = await world.current.look_up(host)
    except TimeoutError:
        return fault(
            f"the name {host!r} was not resolved within {RESOLVE_TIMEOUT_S:.0f} s: the name server does not answer", remedy
        )
    except (OSError, UnicodeError):
        return fault(f"the name {host!r} is not known", remedy)
    return ok(f"the name {host!r} leads to {', '.join(dict.fromkeys(addresses))}")


def unreachable(bridge: Bridge, problem: str, kind: LinkErrorKind | None) -> Finding:
    """Return the fault of a bridge that cannot be connected to, or whose link was lost.

    Args:
        bridge: The bridge of the link.
        problem: The failure, in words for people.
        kind: The failure, as a kind of link error; None if the bridge is connected and its meter is silent.
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
