"""The state of the session between a Wi-SUN module and its meter: one enum, one table of transitions, one writer.

`TRANSITIONS` is the whole behaviour. The usual way through it:

    DOWN ──SKJOIN──▶ JOINING ──event 25──▶ UP ──event 29──▶ RENEWING ──event 25──▶ UP
      ▲                 │ event 24, or no event        │ event 24, 26, 27, 28, or no event
      └─────────────────┴──────────────────────────────┘

Two rules decide what may be sent. From event 29 or SKJOIN until event 25 the manual forbids all traffic. While the limit of
time on air holds (events 32 and 33), the module cancels each transmission. The limit is no state of the session: a session
outlives the limit, and the limit outlives a join. So `SessionStateMachine` keeps the limit beside the state.

What the events of the module mean here:

    01 02 05 1F C0    neighbours, echo request, energy scan, wake-up: nothing
    20 22             a scan found a network; a scan is done: nothing, since a scan does not touch the session
    21                how the last transmission ended, see `Transmission`
    24 25             the log-in failed, the log-in is done: of a join or of a renewal
    26                the meter has ended the session
    27 28             our SKTERM is done, or unanswered: the session is over in both cases
    29                the lifetime of the session is over: the module logs in again by itself
    32 33             the limit of time on air begins, ends

Source: ROHM BP35A1 command reference 1.3.2. Assumption (no second source): a renewal is events 29 and 25 on each edition.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from meterline.protocols.broute.skstack import Event

RENEWAL_TIMEOUT_S: Final = 120.0
"""A renewal lasts a few seconds as a rule. One that lasts longer has failed, although no event said so."""
LIMIT_MAX_S: Final = 3600.0
"""The limit of time on air counts by the hour: an older one is over, although neither event nor register said so."""


class SessionState(Enum):
    """Where the session stands."""

    DOWN = auto()
    """No session is used. The module may hold one from before."""
    RESUMING = auto()
    """One question goes out over the session that the module may hold from before."""
    JOINING = auto()
    """SKJOIN was given, and neither event 24 nor 25 came."""
    UP = auto()
    """The meter can be asked."""
    RENEWING = auto()
    """The module renews the session that is used (event 29): nothing may be sent."""
    REVIVING = auto()
    """The module renews a session that is not used, because it was given up: nothing may be sent."""


class SessionEvent(Enum):
    """What can change the state: six events of the module, and what this program does or gives up."""

    LOGIN_FAILED = 0x24
    LOGIN_DONE = 0x25
    ENDED_BY_METER = 0x26
    TERMINATED = 0x27
    TERMINATION_UNANSWERED = 0x28
    LIFETIME_OVER = 0x29
    JOIN_BEGUN = "SKJOIN is about to be given"
    JOIN_OVER = "the time for events 24 and 25 is over"
    RESUME_BEGUN = "a question is about to go out over a session from before"
    RESUME_ANSWERED = "the meter has answered that question"
    RENEWAL_OVERDUE = "a renewal lasts longer than RENEWAL_TIMEOUT_S"
    GIVEN_UP = "the session is not used any more: silence, another meter's turn, a lost link"
    MODULE_RESET = "SKRESET was answered: the module has forgotten its session"


_EVERY = tuple(SessionState)
_DOWN, _RESUMING, _JOINING, _UP, _RENEWING, _REVIVING = _EVERY

TRANSITIONS: Final[dict[SessionEvent, dict[SessionState, SessionState]]] = {
    SessionEvent.LOGIN_FAILED: dict.fromkeys(_EVERY, _DOWN),
    # Of a join that was given up, too: the module says that the session stands.
    SessionEvent.LOGIN_DONE: dict.fromkeys(_EVERY, _UP),
    SessionEvent.ENDED_BY_METER: dict.fromkeys(_EVERY, _DOWN),
    SessionEvent.TERMINATED: dict.fromkeys(_EVERY, _DOWN),
    SessionEvent.TERMINATION_UNANSWERED: dict.fromkeys(_EVERY, _DOWN),
    SessionEvent.LIFETIME_OVER: {
        _DOWN: _REVIVING,
        _RESUMING: _RENEWING,
        _JOINING: _REVIVING,
        _UP: _RENEWING,
    },
    # A log-in of the module that is under way already stays one that the module began.
    SessionEvent.JOIN_BEGUN: {_DOWN: _JOINING, _RESUMING: _JOINING, _UP: _JOINING, _RENEWING: _REVIVING},
    SessionEvent.JOIN_OVER: {_JOINING: _DOWN},
    SessionEvent.RESUME_BEGUN: {_DOWN: _RESUMING, _JOINING: _RESUMING, _REVIVING: _RENEWING},
    SessionEvent.RESUME_ANSWERED: {_RESUMING: _UP},
    SessionEvent.RENEWAL_OVERDUE: {_RENEWING: _DOWN, _REVIVING: _DOWN},
    # Whether the session is used or not, nothing may be sent until its renewal is over.
    SessionEvent.GIVEN_UP: {_RESUMING: _DOWN, _JOINING: _DOWN, _UP: _DOWN, _RENEWING: _REVIVING},
    SessionEvent.MODULE_RESET: dict.fromkeys(_EVERY, _DOWN),
}
"""Event → state before → state after. An event that names no state after leaves the state as it is: modules say what they
like, and nothing that they say may end the program.
"""
_OF_A_SESSION = {event.value: event for event in SessionEvent if isinstance(event.value, int)}
_EVENT_SENT, _EVENT_LIMIT_BEGINS, _EVENT_LIMIT_ENDS = 0x21, 0x32, 0x33


class Transmission(Enum):
    """How the last transmission ended: the parameter of event 21."""

    PENDING = None
    """No event 21 came, or one that says something else."""
    DELIVERED = 0
    FAILED = 1
    """No acknowledgement, a busy channel, the limit, or no session."""
    DEFERRED = 2
    """The neighbour is looked for first; another event 21 follows."""


_TRANSMISSIONS = {transmission.value: transmission for transmission in Transmission}


class SessionStateMachine:
    """State of the session, limit of time on air, and fate of the last transmission. Nothing else writes them.

    Attributes:
        state: See `SessionState`.
        partner: IPv6 address of the meter that was joined last; events of other addresses are not about this session.
        transmission: See `Transmission`.
        unsent_reason: Why the module did not take the last datagram; empty where it did.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.state = SessionState.DOWN
        self.partner = ""
        self._renewals = 0
        self.transmission = Transmission.PENDING
        self.unsent_reason = ""
        self._on_change: Callable[[], object] = lambda: None
        self._clock = clock
        self._renewing_since = 0.0
        self._limited_since: float | None = None

    def watch(self, on_change: Callable[[], object]) -> None:
        """Let a function be called after each event of the session, and each change of the limit."""
        self._on_change = on_change

    @property
    def is_up(self) -> bool:
        """The session is used. While it is renewed, it is up, and nothing may be sent."""
        return self.state in (SessionState.UP, SessionState.RENEWING)

    @property
    def is_limited(self) -> bool:
        """The limit of time on air holds everything back."""
        return self._limited_since is not None

    @property
    def is_delivered(self) -> bool:
        """The last transmission was acknowledged."""
        return self.transmission is Transmission.DELIVERED

    @property
    def has_failed_transmission(self) -> bool:
        """The last transmission failed, and nobody has taken the failure yet."""
        return self.transmission is Transmission.FAILED

    def is_held(self) -> bool:
        """Nothing may be sent until a renewal or the limit is over. A renewal that is overdue ends here."""
        if self.state in (SessionState.RENEWING, SessionState.REVIVING):
            if self._clock() - self._renewing_since <= RENEWAL_TIMEOUT_S:
                return True
            self.apply(SessionEvent.RENEWAL_OVERDUE)
        return self.is_limited

    def may_send(self) -> bool:
        """A question may go out now."""
        return not self.is_held() and self.state in (SessionState.UP, SessionState.RESUMING)

    def apply(self, event: SessionEvent) -> None:
        """Change the state as the table says, and count what is counted of it."""
        before = self.state
        self.state = TRANSITIONS[event].get(before, before)
        if event is SessionEvent.LIFETIME_OVER and self.state is not before:  # repeated, it would hold everything back for ever
            self._renewing_since = self._clock()
        elif event is SessionEvent.LOGIN_DONE:
            self._renewals += before in (SessionState.UP, SessionState.RENEWING, SessionState.RESUMING)
        elif event is SessionEvent.MODULE_RESET:
            self._limited_since = None
        self._on_change()

    def take_event(self, event: Event, own_address: str) -> None:
        """Take in an event of the module.

        Args:
            event: As decoded; its address may be empty, the meter's, or the module's.
            own_address: IPv6 address of the module; empty where the module did not say.
        """
        number = event.number
        if (number in _OF_A_SESSION or number == _EVENT_SENT) and event.address not in ("", self.partner, own_address):
            return
        if number in _OF_A_SESSION:
            self.apply(_OF_A_SESSION[number])
        elif number == _EVENT_SENT:
            self.transmission = _TRANSMISSIONS.get(event.parameter, Transmission.PENDING)
        elif number == _EVENT_LIMIT_BEGINS:
            self._limit(self._clock())
        elif number == _EVENT_LIMIT_ENDS:
            self._limit(None)

    def begin_join(self, partner: str) -> None:
        """SKJOIN is about to be given for the meter with this address."""
        self.partner = partner
        self.apply(SessionEvent.JOIN_BEGUN)

    def begin_resume(self, partner: str) -> None:
        """One question is about to go to the meter with this address, without a join."""
        self.partner = partner
        self.apply(SessionEvent.RESUME_BEGUN)

    def take_limit(self, is_limited: bool | None) -> None:
        """Take in register SFB, since the events of the limit may have been missed; None: the module did not say."""
        if is_limited:
            if self._limited_since is None:
                self._limit(self._clock())
        elif is_limited is False or (self.is_limited and self._clock() - (self._limited_since or 0.0) > LIMIT_MAX_S):
            self._limit(None)

    def _limit(self, since: float | None) -> None:
        self._limited_since = since
        self._on_change()

    def take_renewals(self) -> int:
        """How often a session in use was renewed since this was asked last."""
        renewals, self._renewals = self._renewals, 0
        return renewals

    def begin_transmission(self) -> None:
        """SKSENDTO is about to be given."""
        self.transmission, self.unsent_reason = Transmission.PENDING, ""

    def refuse_transmission(self, reason: str) -> None:
        """The module did not take the datagram."""
        self.unsent_reason = reason

    def take_failed_transmission(self) -> bool:
        """The last transmission failed. True once for each failure."""
        if not self.has_failed_transmission:
            return False
        self.transmission = Transmission.PENDING
        return True
