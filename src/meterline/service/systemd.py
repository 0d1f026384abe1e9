"""Tell systemd that we serve, how the meters are, and that the event loop turns: sd_notify(3), without its library.

Outside systemd nothing happens, and nothing that fails here ever ends the program.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence

from meterline import world

STATUS_EVERY = 5.0
"""Seconds between two looks at the meters."""
NAMED = 5
"""Silent meters that the status names; the others are counted."""


def notify(*assignments: str) -> bool:
    """Send them as one datagram to $NOTIFY_SOCKET. False: nobody is there, or it could not be sent."""
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


def feed_every() -> float | None:
    """Half of $WATCHDOG_USEC in seconds; None where no watchdog waits for this process."""
    if os.environ.get("WATCHDOG_PID") not in (None, "", str(os.getpid())):
        return None
    try:
        half = int(os.environ.get("WATCHDOG_USEC", "0")) / 2e6
    except ValueError:
        return None
    return half if half > 0 else None


def status(silent: Sequence[str], meters: int) -> str:
    """One line for `systemctl status`."""
    text = f"meters that speak: {meters - len(silent)} of {meters}"
    if silent:
        more = f" and {len(silent) - NAMED} more" if len(silent) > NAMED else ""
        text += f"; silent: {', '.join(silent[:NAMED])}{more}"
    return " ".join(text.split())  # a line end inside a name would begin another assignment


async def tell(describe: Callable[[], str]) -> None:
    """READY now, then the status where it changes and the watchdog's food, until cancelled.

    The food comes from a task of the loop: a loop that hangs is starved, and systemd starts the program again.
    """
    if not os.environ.get("NOTIFY_SOCKET"):
        return
    clock = world.current.monotonic
    half = feed_every()
    told = describe()
    notify("READY=1", f"STATUS={told}")
    feed_at = clock() if half else float("inf")
    while True:
        if half and clock() >= feed_at:
            notify("WATCHDOG=1")
            feed_at = clock() + half
        await world.current.sleep(min(STATUS_EVERY, feed_at - clock()))
        if (now := describe()) != told and notify(f"STATUS={now}"):
            told = now


def stopping() -> None:
    """The program ends by itself now."""
    notify("STOPPING=1", "STATUS=stopping")
