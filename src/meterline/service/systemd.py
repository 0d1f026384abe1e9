"""Notify systemd of readiness, status and the watchdog, as sd_notify(3) does, without its library.

Outside systemd, all functions do nothing. A failed notification never ends the program.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence

from meterline import world

STATUS_INTERVAL_S = 5.0
"""Time between two checks of the meters."""
OFFLINE_NAMED_MAX = 5
"""Offline meters that the status names; the others are counted."""


def notify(*assignments: str) -> bool:
    """Send `assignments`, such as ``READY=1``, as one datagram to $NOTIFY_SOCKET.

    Returns:
        False if the process has no such socket, or the datagram could not be sent.
    """
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return False
    address = "\0" + path[1:] if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to_systemd:
            to_systemd.setblocking(False)
            to_systemd.connect(address)
            to_systemd.send("\n".join(assignments).encode("utf-8", "backslashreplace"))
    except (OSError, ValueError):
        return False
    return True


def watchdog_interval_s() -> float | None:
    """Return half of $WATCHDOG_USEC in seconds; None if no watchdog waits for this process."""
    if os.environ.get("WATCHDOG_PID") not in (None, "", str(os.getpid())):
        return None
    try:
        half = int(os.environ.get("WATCHDOG_USEC", "0")) / 2e6
    except ValueError:
        return None
    return half if half > 0 else None


def status(silent: Sequence[str], meters: int) -> str:
    """Return the line that `systemctl status` shows.

    Args:
        silent: Names of the meters without a current reading.
        meters: Number of all meters.
    """
    text = f"meters online: {meters - len(silent)} of {meters}"
    if silent:
        more = f" and {len(silent) - OFFLINE_NAMED_MAX} more" if len(silent) > OFFLINE_NAMED_MAX else ""
        text += f"; offline: {', '.join(silent[:OFFLINE_NAMED_MAX])}{more}"
    return " ".join(text.split())  # A line end inside a name would begin another assignment.


async def notify_systemd(describe: Callable[[], str]) -> None:
    """Notify systemd of readiness at once, then of each change of the status, and reset the watchdog, until cancelled.

    The watchdog is reset by a task of the event loop, so that systemd restarts a program whose loop hangs.

    Args:
        describe: Returns the line of the status.
    """
    if not os.environ.get("NOTIFY_SOCKET"):
        return
    clock = world.current.monotonic
    half = watchdog_interval_s()
    reported = describe()
    notify("READY=1", f"STATUS={reported}")
    feed_at = clock() if half else float("inf")
    while True:
        if half and clock() >= feed_at:
            notify("WATCHDOG=1")
            feed_at = clock() + half
        await world.current.sleep(min(STATUS_INTERVAL_S, feed_at - clock()))
        if (now := describe()) != reported and notify(f"STATUS={now}"):
            reported = now


def notify_stopping() -> None:
    """Notify systemd that the program is ending in an orderly way."""
    notify("STOPPING=1", "STATUS=stopping")
