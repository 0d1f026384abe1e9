"""The session of a simulated module with a meter: join, renewal and end, and the datagrams of both."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from meterline.protocols.broute import echonet
from meterline.protocols.broute.echonet import PANA_PORT, PORT, Frame
from meterline.protocols.broute.simulator.faults import DAYS
from meterline.protocols.broute.simulator.meter import DAY_S, FakeMeter
from meterline.protocols.broute.simulator.pana import messages
from meterline.protocols.broute.simulator.radio import Air
from meterline.protocols.broute.skstack import link_local

ALL_NODES = "FF02:0000:0000:0000:0000:0000:0000:0001"
RENEWED_AT_RATIO = 0.8
"""Part of the lifetime after which a session is renewed."""
JOIN_TIMEOUT_S = (38.0, 40.0)
"""Range of the time after which a module gives up a meter that does not answer its PANA messages."""
LATE = 60.0
"""Seconds of a late reply."""
SLOW = (20.0, 60.0)
"""Seconds until a slow meter has found a day of half-hours."""
ONE_FRAME = 185
"""Bytes of a reply that fit into one radio frame."""
SOLICITATION = 0.2
"""Seconds that a datagram waits for its neighbour solicitation."""
_ON_AIR = 0.08
"""Milliseconds of a byte at 100 kbit/s."""
_HEADERS = 80
"""Bytes on the air beside the payload of a datagram."""


class Session(NamedTuple):
    """A session with a meter. A meter that has another address now has lost the session."""

    meter: FakeMeter
    address: str


class Sessions(Air):
    """The sessions of a module. `rbid`, `password`: credentials that the host has set."""

    rbid = password = ""
    session: Session | None = None
    sent_ms = 0.0
    """Milliseconds of transmission."""
    _last_reply = 0.0

    def join(self, address: str, known: bool) -> None:
        """PANA with the meter of this address: event 25 or 24 at its end. `known`: it needs no neighbour solicitation."""
        self.lose()
        meter, after = self.on_air(address), 0.0
        self.event(0x21, address, 0 if known else 2)
        if meter is None or self.limited:
            self._give_up(address)
            return
        if not known:
            after = self.random.uniform(0.05, 0.15)
            self.soon("join", after, partial(self.event, 0x02, address))
        if self._welcome(meter):
            last = self._exchange(meter, address, messages(meter.id, meter.lifetime, self.random), after)
            self.soon("join", last, partial(self._joined, meter, False))
        else:
            last = self._exchange(meter, address, messages(meter.id, meter.lifetime, self.random)[:2], after)
            self.soon("join", last + self.random.uniform(1.0, 4.0), partial(self._failed, address))

    def _welcome(self, meter: FakeMeter) -> bool:
        """Id and password are right, and no other module has a session."""
        right = (self.rbid, self.password) == (meter.id, meter.password)
        free = meter.holder is None or meter.holder[0] == self.mac or meter.holder[1] < self.unix
        return right and free and not self.faults.lies

    def _exchange(self, meter: FakeMeter, address: str, payloads: tuple[bytes, ...], after: float) -> float:
        """Messages of the meter, each answered by the module, and when the last one is over."""

        def take(payload: bytes) -> None:
            self.datagram(meter, payload, PANA_PORT)
            self.event(0x21, address, 0)
            self._count(payload)

        for payload in payloads:
            after += self.random.uniform(0.1, 0.5)
            self.soon("join", after, partial(take, payload))
        return after + 0.05

    def _joined(self, meter: FakeMeter, renewed: bool) -> None:
        self.session = Session(meter, link_local(meter.mac))
        meter.holder = (self.mac, self.unix + meter.lifetime)
        self.event(0x25, self.session.address)
        self.cancel("session")
        renews = self.registers["S17"] == "1"
        self.later("session", meter.lifetime * (RENEWED_AT_RATIO if renews else 1), self._renew if renews else self._expire)
        self._await_notice()
        if self.faults.end26:
            self.later("session", self.faults.end26, self._end)
        if self.faults.expire29:
            self.later("session", self.faults.expire29, self._expire)
        if not renewed:
            announcement = echonet.encode(meter.announcement())
            self.soon("session", 0.3, partial(self.datagram, meter, announcement, to=ALL_NODES))

    def _await_notice(self) -> None:
        if self.session:
            self.later("session", self.session.meter.next_notification(self.unix + 1) - self.unix, self._notify)

    def _notify(self) -> None:
        if meter := self.listening():
            self.datagram(meter, echonet.encode(meter.notification(self.unix)))
        self._await_notice()

    def listening(self) -> FakeMeter | None:
        """The meter of the session, where it is the same and in reach, and still knows the session."""
        meter = self.on_air(self.session.address) if self.session else None
        return meter if meter and meter.holder and meter.holder[0] == self.mac else None

    def _renew(self) -> None:
        if self.session:
            self.event(0x29, self.session.address)
            self.authenticate()

    def authenticate(self) -> None:
        """Renew the session: event 25 or 24 at its end."""
        assert self.session
        address = self.session.address
        if (meter := self.listening()) and self._welcome(meter) and not self.limited:
            last = self._exchange(meter, address, messages(meter.id, meter.lifetime, self.random)[1:], 0.0)
            self.soon("join", last, partial(self._joined, meter, True))
        else:
            self._give_up(address)

    def _give_up(self, address: str) -> None:
        self.soon("join", self.random.uniform(*JOIN_TIMEOUT_S), partial(self._failed, address))

    def _failed(self, address: str) -> None:
        self.lose()
        self.event(0x24, address)

    def _expire(self) -> None:
        if self.session:
            self.event(0x29, self.session.address)
            self._give_up(self.session.address)

    def _end(self) -> None:
        if self.session and (meter := self.listening()):
            address, meter.holder = self.session.address, None
            self.lose()
            self.event(0x26, address)

    def terminate(self) -> None:
        """The module ends the session: event 27, or 28 where the meter does not answer."""
        assert self.session
        address, meter = self.session.address, self.listening()
        self.lose()
        if meter:
            meter.holder = None
            self.event(0x21, address, 0)
        self.soon("end", 0.2 if meter else 10.0, partial(self.event, 0x27 if meter else 0x28, address))

    def lose(self) -> None:
        """There is no session any more."""
        self.session = None
        for kind in ("session", "join", "reply"):
            self.cancel(kind)

    def transmit(self, address: str, port: int, security: int, payload: bytes) -> int:
        """Send a datagram: the result as in event 21. Where there is no session nothing is encrypted."""
        meter = self.listening()
        if self.session and (self.session.address != address or self.planned("join")):
            meter = None
        if self.limited or (security == 1 and meter is None) or self.dice.hit("refused21"):
            return 1
        self._count(payload)
        solicited = self.dice.hit("solicit")
        frame = echonet.decode(payload)
        if meter and security and port == PORT and isinstance(frame, Frame):
            self._ask(meter, frame, SOLICITATION if solicited else 0.0)
        return 2 if solicited else 0

    def _count(self, payload: bytes) -> None:
        self.sent_ms += _ON_AIR * (_HEADERS + len(payload))

    def _ask(self, meter: FakeMeter, frame: Frame, held: float) -> None:
        if wait := self._search(meter, frame):
            self.later("reply", wait, partial(self._answer, meter, frame, held))
        else:
            self._answer(meter, frame, held)

    def _search(self, meter: FakeMeter, frame: Frame) -> float:
        """Seconds that the meter needs to find a day of half-hours, where a fault holds it up."""
        if frame.esv != echonet.GET or DAYS.isdisjoint(epc for epc, _ in frame.properties):
            return 0.0
        meter.advance(self.unix)
        wait = self.dice.of("slow_e2").uniform(*SLOW) if self.dice.hit("slow_e2") else 0.0
        until_midnight = meter.midnight() + DAY_S - self.unix
        return max(wait, until_midnight + 1.0) if until_midnight <= self.faults.midnight else wait

    def _answer(self, meter: FakeMeter, frame: Frame, held: float) -> None:
        if frame.esv == echonet.SETC and self.dice.hit("set_refused"):
            answer: Frame | None = Frame(frame.tid, frame.deoj, frame.seoj, echonet.SETC_SNA, frame.properties)
        else:
            answer = meter.answer(frame, self.unix)
        if answer is None or (self.faults.silent and frame.esv == echonet.GET) or self.dice.hit("drop"):
            return
        payload = self.dice.damage(answer)
        if len(payload) > ONE_FRAME and self.dice.hit("lost_fragment"):
            return
        reply = partial(self._reply, payload)
        if self.dice.hit("late"):
            self.later("reply", LATE, reply)
            return
        self._interrupt(meter, frame, after := self._delay(payload, held))
        for _ in range(2 if self.dice.hit("duplicate") else 1):
            self.soon("reply", after, reply)

    def _delay(self, payload: bytes, held: float) -> float:
        """Seconds until a reply comes: 0.03 to 0.6 mostly, two radio frames take longer, none overtakes another."""
        delay = held + min(0.03 + self.random.expovariate(6.0), 2.0) + (0.2 if len(payload) > ONE_FRAME else 0.0)
        self._last_reply = max(self.elapsed + delay, self._last_reply)
        return self._last_reply - self.elapsed

    def _interrupt(self, meter: FakeMeter, frame: Frame, after: float) -> None:
        """An announcement that comes before the reply, maybe with its TID."""
        if self.dice.hit("inf_during"):
            tid = frame.tid if self.dice.of("inf_during").random() < 0.5 else frame.tid ^ 0xFFFF
            notice = meter.notification(self.unix)._replace(tid=tid)
            self.soon("reply", after, partial(self._reply, echonet.encode(notice)))

    def _reply(self, payload: bytes) -> None:
        if meter := self.listening():
            self.datagram(meter, payload)
