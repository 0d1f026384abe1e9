"""The machine: its clock, the folder of the state, the port of the page."""

from __future__ import annotations

import os
import socket
import time

from meterline.diagnostics import Finding, fault, ok, warning
from meterline.web.http.server import not_served, parse_address

BEGINNING = 1_735_689_600
"""2025: a clock before this was never set. A Raspberry Pi without a network starts in the past."""
CLOSE = 60.0
"""Seconds between two clocks that are no matter: a frame takes some, and half-hourly costs do not notice."""
_SET_CLOCK = "sudo timedatectl set-ntp true; timedatectl timesync-status"


def clock(kept: bool | None, now: float) -> Finding:
    """Whether the machine's clock can be right: costs and timestamps depend on it."""
    if now < BEGINNING:
        return fault(f"the clock was never set: it says {time.strftime('%Y-%m-%d %H:%M', time.gmtime(now))} UTC", _SET_CLOCK)
    if kept is False:
        return warning("nothing keeps the clock right: costs and timestamps will drift", _SET_CLOCK)
    return ok("the clock is set" + (" and synchronised" if kept else ""))


def meters_clock(ahead: float, kept: bool | None) -> Finding:
    """The same against the meter's clock, which is `ahead` of ours."""
    if abs(ahead) <= CLOSE:
        return ok(f"the meter's clock and this machine's agree within {CLOSE:.0f} s")
    what = f"the meter's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    if kept:
        return warning(
            f"{what}, which is synchronised", "the distributor sets the meter's clock; costs follow the meter's tariff"
        )
    return fault(what + (", which nothing keeps right" if kept is False else ""), _SET_CLOCK)


def state_folder(folder: str) -> Finding:
    """Whether the state can be kept there."""
    there = folder
    while not os.path.lexists(there) and os.path.dirname(there) != there:
        there = os.path.dirname(there)
    if os.path.isdir(there) and os.access(there, os.W_OK | os.X_OK):
        return ok(f"the state can be kept in {folder}")
    if there == folder:
        remedy = "--state.dir FOLDER, or run as the user who owns it"
    else:
        remedy = f"sudo install -d -o $USER {folder}" if os.path.isdir(there) else "--state.dir FOLDER"
    return warning(f"the state cannot be kept in {folder}: {there} cannot be written", remedy)


def port(address: str) -> Finding:
    """Whether the page can be served there, where no meterline of ours serves it already. UserError: not an address."""
    host, number = parse_address(address)
    four, six = socket.AF_INET, socket.AF_INET6
    try:
        for family in (four, six) if not host and socket.has_dualstack_ipv6() else (six if ":" in host else four,):
            socket.create_server((host, number), family=family).close()
    except OSError as error:
        why = not_served(error, host, number)
        if why.holder and why.holder.is_meterline:
            remedy = "as it should be where it asks for a password, or speaks TLS"
            return warning(f"{why.problem}, whose page cannot be read", remedy)
        return fault(f"{address}: {why.problem}", f"{why.remedy or 'choose another address'}: --web.listen-address :10231")
    return ok(f"the page can be served on {address}")
