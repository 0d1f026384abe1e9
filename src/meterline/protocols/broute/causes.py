"""Why a meter cannot be read, for people: what came as the problem, the likeliest cause first in the remedy."""

from __future__ import annotations

from meterline.meter.readings import Hint

_NEARER = "bring the module nearer to the meter, with a USB cable of some metres"
_REPLUG = "unplug the module and plug it in again; stop any other program that uses it"
_CABLE = "try another USB cable, hub or port; stop any other program that uses the device"
_HELD = "another controller (HEMS) may hold its only session"

LIMITED = Hint(
    "the module has used up its time on air (360 s an hour, by law) and may not send now",
    remedy="sending goes on within the hour; stop any other program that uses the module",
)
NOT_FOUND = Hint(
    "a scan of all channels did not find the meter",
    remedy="check that the meter is in radio reach and the id is right; no meter answers without a contract for the B-route",
)
SHORT_SESSION = Hint(
    "the session ends soon after each join",
    remedy=f"another controller (HEMS) may use the meter, or another program the module; if not, {_NEARER}",
)
IMPLAUSIBLE = Hint(
    "a value does not fit the other values of the meter; it is held back until two replies agree",
    remedy="where this happens often, try another USB cable or port for the module",
)
MALFORMED = Hint("the module sent a line or a datagram that cannot be read; it is counted and not shown", remedy=_CABLE)
TRUNCATED = Hint("bytes of the module are lost on the way to this machine; the message is counted and not shown", remedy=_CABLE)
NO_FRAME = Hint(
    "a datagram of the meter is not ECHONET Lite: the lengths in it do not fit; it is counted and not shown", remedy=_CABLE
)


def no_reply(is_near: bool | None) -> Hint:
    """The meter let us in, and then said nothing. `is_near`: its last signal was good; None: not known."""
    signal = "" if is_near is None else f" (its last signal was {'good' if is_near else 'weak'})"
    return Hint(
        f"the meter lets us in, but questions get no answer{signal}",
        remedy=f"check that it is in radio reach; if not, {_NEARER}",
    )


def unsent(reason: str) -> Hint:
    """The module did not take our datagrams."""
    return Hint(f"the module refuses to send: {reason}", remedy=_REPLUG)


def refused_command(reason: str) -> Hint:
    """The module refused another command."""
    return Hint(f"the module refuses a command: {reason}", remedy=_REPLUG)


def outdated(options: str) -> Hint:
    """The configuration says where the meter was."""
    return Hint(
        f"the configuration is old: the meter is not where {options} says",
        remedy="take that out; the meter is found without it",
    )


def not_let_in(answers: bool, is_near: bool | None) -> Hint:
    """Event 24. `answers`: messages of the log-in came from the meter, so that it hears us and we hear it."""
    if answers and is_near:
        return Hint("the meter is well in reach but does not let us in", remedy=f"check id and password; {_HELD}")
    if answers:
        return Hint(
            "the meter answers the log-in but does not let us in",
            remedy=f"check id and password; {_HELD}; the signal may be too weak: {_NEARER}",
        )
    if is_near:
        return Hint("the meter is well in reach but does not answer the log-in", remedy=f"{_HELD}; check id and password")
    return Hint(
        "the meter does not answer the log-in",
        remedy=f"check that it is in radio reach; if it is, {_HELD}, or the meter was replaced",
    )
