"""Findings about this machine: its clock, the state folder, the port of the page."""

from __future__ import annotations

import os
import socket
import time

from meterline.protocols.api import Finding, fault, ok, warning
from meterline.web.http.server import not_served, parse_address

CLOCK_NOT_SET_BEFORE_S = 1_735_689_600
"""Unix time of the start of 2025. An earlier clock was never set: a Raspberry Pi without a network starts in the past."""
CLOCKS_AGREE_S = 60.0
"""Largest accepted difference of two clocks: transmission of a frame takes seconds, and prices change on the half hour."""
_UNITS = ((365 * 86_400, "year", "years"), (86_400, "day", "days"), (3600, "h", "h"), (60, "min", "min"), (1, "s", "s"))
_SET_CLOCK = "sudo timedatectl set-ntp true; timedatectl timesync-status"


def clock(kept: bool | None, now: float) -> Finding:
    """Return the finding about the clock of this machine, on which costs and timestamps depend.

    Args:
        kept: Whether the clock is synchronised over the network; None where this machine does not tell.
        now: Unix time in seconds.
    """
    if now < CLOCK_NOT_SET_BEFORE_S:
        return fault(
            f"the clock was never set: the time is {time.strftime('%Y-%m-%d %H:%M', time.gmtime(now))} UTC", _SET_CLOCK
        )
    if kept is False:
        return warning("the clock is not synchronised: costs and timestamps will drift", _SET_CLOCK)
    return ok("the clock is set" + (" and synchronised" if kept else ""))


def meters_clock(ahead: float, kept: bool | None) -> Finding:
    """Return the finding about the meter's clock, compared with the clock of this machine.

    Args:
        ahead: Seconds by which the meter's clock is ahead; negative where it is behind.
        kept: Whether this machine's clock is synchronised over the network; None where this machine does not tell.
    """
    if abs(ahead) <= CLOCKS_AGREE_S:
        return ok(f"the meter's clock and this machine's agree within {CLOCKS_AGREE_S:.0f} s")
    what = f"the meter's clock is {duration(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} this machine's"
    if kept:
        return warning(
            f"{what}, which is synchronised", "the distributor sets the meter's clock; costs follow the meter's tariff"
        )
    return fault(what + (", which is not synchronised" if kept is False else ""), _SET_CLOCK)


def duration(seconds: float) -> str:
    """Format a duration in its two largest units, such as ``2 years 229 days`` or ``5 min 20 s``."""
    rest, parts = round(seconds), list[str]()
    for size, one, many in _UNITS:
        number, rest = divmod(rest, size)
        if number or parts:
            parts.append(f"{number} {one if number == 1 else many}")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if not part.startswith("0 ")) or "0 s"


def state_folder(folder: str) -> Finding:
    """Return the finding about the state folder: whether this user can write to it, or create it."""
    there = folder
    while not os.path.lexists(there) and os.path.dirname(there) != there:
        there = os.path.dirname(there)
    if os.path.isdir(there) and os.access(there, os.W_OK | os.X_OK):
        return ok(f"the state can be stored in {folder}")
    if there == folder:
        remedy = "--state.dir FOLDER, or run as the user who owns it"
    else:
        remedy = f"sudo install -d -o $USER {folder}" if os.path.isdir(there) else "--state.dir FOLDER"
    return warning(f"the state cannot be stored in {folder}: {there} is not writable", remedy)


def port(address: str) -> Finding:
    """Return the finding about the port of the page, for a machine on which no meterline serves it already.

    Args:
        address: HOST:PORT, as `--web.listen-address` takes it.

    Raises:
        UserError: `address` is not an address.
    """
    host, number = parse_address(address)
    four, six = socket.AF_INET, socket.AF_INET6
    try:
        for family in (four, six) if not host and socket.has_dualstack_ipv6() else (six if ":" in host else four,):
            socket.create_server((host, number), family=family).close()
    except OSError as error:
        why = not_served(error, host, number)
        if why.holder and why.holder.is_meterline:
            remedy = "expected if the page needs a password or uses TLS"
            return warning(f"{why.problem}, whose page cannot be read", remedy)
        return fault(f"{address}: {why.problem}", f"{why.remedy or 'choose another address'}: --web.listen-address :10231")
    return ok(f"the page can be served on {address}")
