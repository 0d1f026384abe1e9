"""Asks one meter for what it remembers: one exchange between two live polls, so that no live value gets older for it.

clock (97, 98) ▶ selector (SetC) ▶ history (Get) ▶ the same again ▶ clock and live registers

A reply that comes too late is dropped: its question is asked again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from meterline.meter.readings import Remembered
from meterline.protocols.api import Gaps
from meterline.protocols.broute import echonet
from meterline.protocols.broute import properties as p
from meterline.protocols.broute.memory import Doubt, Memory, Question, Witness, believe, decode, is_quiet
from meterline.protocols.broute.session import Session

SHORT_REPLY_S, LONG_REPLY_S = 20.0, 60.0
"""Seconds to wait for a reply of one radio frame, and of a day, which is two."""
LEAST_S = 5.0
"""Seconds without which no question is begun."""
CLOCK_TOLERANCE_S = 900.0
"""Seconds by which the meter's clock may differ from ours: half a slot. Beyond, its half-hours are other edges than ours."""
_CLOCK = (p.TIME, p.DATE)
_WITNESS = (*_CLOCK, p.IMPORT, p.EXPORT, p.HALF_HOUR_IMPORT, p.HALF_HOUR_EXPORT)


class Recall:
    """The memory of one meter, and the exchanges about it."""

    def __init__(self, mac: str, ends: Mapping[str, str]) -> None:
        """
        Args:
            mac: Address of the meter.
            ends: See `Memory.ends`.
        """
        self.memory = Memory(ends)
        self._mac = mac
        self._deadline = 0.0

    async def exchange(
        self, session: Session, gaps: Gaps, offered: Collection[int], unit: p.Unit, now: float, deadline: float
    ) -> None:
        """Ask one question, where one is due, and emit what is believed of its reply.

        Args:
            session: Up, with this meter.
            gaps: What the ledger lacks.
            offered: Properties of the meter.
            unit: Of its registers.
            now: Unix time by our clock.
            deadline: When the next live poll has to begin, by the clock of the module.

        Raises:
            SessionLost: The session has ended.
            SessionHeld: Nothing may be sent now.
            CommandFailed, OSError: The module refuses a command; the link is lost.
        """
        clock, memory = session.module.clock, self.memory
        self._deadline = deadline
        if not memory.is_due(clock()) or deadline - clock() < LEAST_S:
            return
        minute = await self._read_clock(session, offered)
        if minute is None or (memory.settable is None and not await self._read_settable(session)):
            memory.stumble(clock())
            return
        if is_quiet(minute):
            return
        if abs(minute + 30 - now) > CLOCK_TOLERANCE_S:
            self._refuse(session, "clock")
            memory.end_round(clock())
            return

        def absent(register: str, since: int, until: int) -> Sequence[int] | None:
            return gaps.absent(session.meter, register, since, until)

        question = memory.next(absent, offered, minute, clock())
        if question is not None and deadline - clock() >= LEAST_S:
            session.observe("smartmeter_history_questions_total")
            await self._settle(session, question, offered, unit, minute)

    async def _read_clock(self, session: Session, offered: Collection[int]) -> int | None:
        """The minute that the meter's clock shows, in Unix time; None where it does not say."""
        tick = session.module.clock()
        try:
            minute = Witness.said(await self._get(session, _CLOCK, offered)).minute
        except Doubt:
            return None
        self.memory.take_clock(tick, minute)
        return minute

    async def _read_settable(self, session: Session) -> bool:
        """Ask for the map of what may be set. Whether it came."""
        said = await self._get(session, (p.SET_MAP,), {p.SET_MAP})
        self.memory.settable = echonet.property_map(said.get(p.SET_MAP, b""))
        return self.memory.settable is not None

    async def _settle(
        self, session: Session, question: Question, offered: Collection[int], unit: p.Unit, before: float
    ) -> None:
        """Ask a question, and believe the reply or not."""
        memory = self.memory
        try:
            edt = await self._reply(session, question)
            if edt is None:
                return
            after = Witness.said(await self._get(session, _WITNESS, offered))
            edges = believe(question, edt, unit, before, after)
        except Doubt as doubt:
            memory.miss(question, is_answered=str(doubt) != "unanswered")
            self._refuse(session, str(doubt))
            return
        memory.settle(question, edges, after.minute)
        if edges:
            session.module.emit(Remembered(edges, self._mac, session.meter))

    async def _reply(self, session: Session, question: Question) -> bytes | None:
        """What two replies have said alike; None: there is time for the second one after the next live poll only.

        Raises:
            Doubt: None came, or another one.
        """
        chosen = await session.try_set(question.choice, self._patience(session, SHORT_REPLY_S))
        if chosen is None:
            raise Doubt("unanswered")
        if chosen.esv != echonet.SET_RES:
            raise Doubt("refused")
        while True:
            asked = session.module.clock()
            patience = self._patience(session, LONG_REPLY_S if question.is_day else SHORT_REPLY_S)
            frame = await session.try_get((question.history,), patience)
            if frame is None:
                raise Doubt("unanswered")
            edt = dict(frame.properties).get(question.history)
            if not edt:
                raise Doubt("refused")
            decode(question, edt)
            confirmed = self.memory.confirms(question, edt)
            if confirmed is not None:
                if not confirmed:
                    raise Doubt("unconfirmed")
                return edt
            taken = session.module.clock() - asked
            if self._deadline - session.module.clock() < 2 * taken + LEAST_S:
                return None

    async def _get(self, session: Session, group: tuple[int, ...], offered: Collection[int]) -> dict[int, bytes]:
        """What the meter says of these properties, as far as it has them."""
        epcs = [epc for epc in group if epc in offered]
        frame = await session.try_get(epcs, self._patience(session, SHORT_REPLY_S)) if epcs else None
        return {epc: edt for epc, edt in frame.properties if edt and epc in epcs} if frame else {}

    def _patience(self, session: Session, most: float) -> float:
        """Seconds to wait for a reply."""
        return max(0.0, min(most, self._deadline - session.module.clock()))

    def _refuse(self, session: Session, reason: str) -> None:
        session.observe("smartmeter_history_refused_total", reason)
