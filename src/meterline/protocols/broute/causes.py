"""Why a meter cannot be read, in words for people: what came, then the likeliest cause first."""

from __future__ import annotations

LIMITED = (
    "the module may not send now: it has used up its time on air (360 s an hour, by law). "
    "Sending goes on when the limit is lifted, within the hour; is another program using the module?"
)
NOT_FOUND = (
    "a scan of all channels did not find the meter: is it in radio reach, and is the id right? Without a contract for the "
    "B-route in force no meter answers"
)
SHORT_SESSION = (
    "the session ends soon after each join: another controller (HEMS) may use the meter, or another program the module; "
    "or the signal is weak"
)
IMPLAUSIBLE = (
    "what the meter said does not fit what else it says; it is held back until two replies agree. "
    "Where this happens often: another USB cable or port for the module"
)
_NEARER = "bring the module nearer to the meter, with a USB cable of some metres"


def no_reply(is_near: bool | None) -> str:
    """The meter let us in, and then said nothing. `is_near`: its last signal was good; None: not known."""
    heard = "" if is_near is None else f" (its last signal was {'good' if is_near else 'weak'})"
    return f"the meter lets us in, but questions get no answer{heard}: is it in radio reach? If not, {_NEARER}"


def unsent(reason: str) -> str:
    """The module did not take our datagrams."""
    return f"the module refuses to send: {reason}. Unplug it and plug it in again; is another program using it?"


def refused_command(reason: str) -> str:
    """The module refused another command."""
    return f"the module refuses a command: {reason}. Unplug it and plug it in again; is another program using it?"


def outdated(options: str) -> str:
    """The configuration says where the meter was."""
    return f"the configuration is old: the meter is not where {options} says. Take that out; it is found without it"


def not_let_in(answers: bool, is_near: bool | None) -> str:
    """Event 24. `answers`: messages of the log-in came from the meter, so that it hears us and we hear it."""
    if answers and is_near:
        return (
            "the meter is well in reach but does not let us in: check id and password; "
            "another controller (HEMS) may hold its only session"
        )
    if answers:
        return (
            "the meter answers the log-in but does not let us in: check id and password; another controller (HEMS) may hold "
            f"its only session; the signal may be too weak: {_NEARER}"
        )
    if is_near:
        return (
            "the meter is well in reach but does not answer the log-in: another controller (HEMS) may hold its only session; "
            "check id and password"
        )
    return (
        "the meter does not answer the log-in: is it in radio reach? If it is, another controller (HEMS) may hold its only "
        "session, or the meter was replaced"
    )
