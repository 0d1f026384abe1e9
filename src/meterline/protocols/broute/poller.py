"""One meter: what is known of it, what to ask it next, and what it said that still holds.

A round asks for power, current and registers in one question, and for whatever else is due: the property map and the units of
the registers until the meter has told them twice, its identity, its clock. What a reply leaves in doubt is asked again at
once. Its half-hourly notifications are taken as they come.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from meterline import world
from meterline.meter.readings import Reading, Rejected, Resolution, Series, Snapshot
from meterline.protocols.api import Gaps
from meterline.protocols.broute import causes, echonet
from meterline.protocols.broute import properties as p
from meterline.protocols.broute.pace import Pace
from meterline.protocols.broute.questions import Questions
from meterline.protocols.broute.readings import complaint, readings
from meterline.protocols.broute.recall import Recall
from meterline.protocols.broute.reply_plausibility import ReplyPlausibility
from meterline.protocols.broute.session import Session

UNITS = (p.COEFFICIENT, p.DIGITS, p.UNIT)
LIVE = (p.POWER, p.CURRENT, p.IMPORT, p.EXPORT, p.FAULT, p.OPERATION)
"""One question: power and current of one moment bear each other out."""
CLOCK = (p.TIME, p.DATE)
HOUR_S, HALF_HOUR_S = 3600.0, 1800.0
ANNOUNCEMENT_S = 360.0
"""Seconds after a half hour by which the meter has announced its registers (it does within 300)."""
REST: dict[str, tuple[tuple[int, ...], float]] = {
    "map": ((p.GET_MAP,), HOUR_S),
    "units": (UNITS, HOUR_S),
    "identity": ((p.MAKER, p.SERIAL, p.RELEASE), HOUR_S),
    "number": ((p.IDENTIFICATION,), HOUR_S),
    "half hour": ((p.HALF_HOUR_IMPORT, p.HALF_HOUR_EXPORT), ANNOUNCEMENT_S),
    "clock": (CLOCK, HOUR_S),
    "minute": ((p.MINUTE,), 0.0),
}
"""What is asked for beside `LIVE`, the most urgent first, and after how many seconds again."""
MANDATORY = frozenset(LIVE).union(*(group for group, _ in REST.values())) - {p.IDENTIFICATION, p.MINUTE}
"""What is asked for where the meter does not say what it has: it refuses the rest itself."""
UNANSWERED_PAUSE_S = 60.0
"""Seconds until a question that got no answer is asked again; twice as many each time, up to an hour."""
CLOCK_JUMP_S = 5.0
"""Seconds by which our own clock must have jumped to count as set anew."""
SAME_OFFSET_S = 120.0
"""Seconds by which two answers about the meter's clock may differ."""
SILENT_ROUNDS = 2
"""Rounds without a word about the map after which the meter is asked without one."""
LIVE_POLL_S = 10.0
"""Seconds that are left for the next live poll, before its values get too old."""
ROUNDS_HELD = 3
"""Rounds of a slow meter for which a value holds."""
EXPLAINED_AFTER = 10
"""Answered rounds after which a missing power or energy is explained."""
EXPLAINED = (
    ("no power of this meter", ("smartmeter_power_watts",), p.POWER),
    ("no energy of this meter", ("smartmeter_energy_import_watthours_total",), p.IMPORT),
)


class MeterPoller:
    """Polls one meter, and remembers what of its words still holds.

    All times are by the clock of the event loop, so that setting the clock of the machine moves none of them.

    Attributes:
        mac: Address of the meter; another MAC is another meter.
        answered: The last poll got an answer.
        pace: How long the meter takes to answer.
        ends: Register → the date from which on back the meter remembers nothing.
    """

    def __init__(self, mac: str, ends: Mapping[str, str] = MappingProxyType({})) -> None:
        self.mac = mac
        self._recall = Recall(mac, ends)
        self.answered = False
        self.pace = Pace()
        self._questions = Questions()
        self._plausibility = ReplyPlausibility()
        self._map: frozenset[int] = frozenset()
        """What the meter said last that it has: believed when it says the same twice in a row."""
        self._map_is_sure = False
        self._maps_missed = 0
        self._units: dict[int, bytes] = {}
        """What the meter said last of its registers' unit: believed likewise."""
        self._unit: p.Unit | None = None
        self._read_once = False
        """Registers were read since their unit is known."""
        self._offset: float | None = None
        """By how much the meter's clock was off last."""
        self._due: dict[str, float] = {}
        """What is not asked each time → when it is asked next."""
        self._unanswered: dict[str, int] = {}
        """What is not asked each time → how often it got no answer, in a row."""
        self._skew: float | None = None
        self._rounds = 0
        self._heard: dict[int, float] = {}
        """Property → when it was answered last."""
        self._shown: dict[Series, float] = {}
        """Series → when it had a value last."""
        self._lasting: dict[Series, tuple[Reading, float]] = {
            ("smartmeter_info", "protocol"): (Reading(("smartmeter_info", "protocol"), "broute"), math.inf)
        }

    @property
    def ends(self) -> Mapping[str, str]:
        """See the class."""
        return self._recall.memory.ends

    def begin(self, tick: float) -> None:
        """A new session with it."""
        self._questions.begin()
        self._unanswered.clear()
        self._recall.memory.begin(tick)

    async def recall(self, session: Session, gaps: Gaps, deadline: float) -> None:
        """After a poll: ask one question about what the meter remembers, where the ledger lacks it.

        Args:
            session: Up, with this meter.
            gaps: What the ledger lacks.
            deadline: When live values get too old, by the clock of the module.

        Raises:
            Lost, Held, CommandFailed, OSError: See `poll`.
        """
        if self.answered and self._unit:
            until = deadline - max(LIVE_POLL_S, 2 * self.pace.usual)
            offered = self._questions.offered | {p.DAY_IMPORT}  # every meter has it, whether its map came or not
            await self._recall.exchange(session, gaps, offered, self._unit, world.current.now(), until)

    async def poll(self, session: Session, until: float = math.inf) -> None:
        """One round of questions. Each reply is shown at once.

        Args:
            session: Up, with this meter.
            until: When the next round is due, by the clock of the module. A meter that answers slowly is asked for one thing a
                round beside `LIVE`.

        Raises:
            Lost: The session has ended.
            Held: Nothing may be sent now.
            CommandFailed, OSError: The module refuses a command; the link is lost.
        """
        self.answered, session.pace = False, self.pace
        clock = session.module.clock
        started = clock()
        self._notice_a_set_clock(started)
        if not self._questions.offered:
            await self._settle(session, "map", started)
        for name in ("map", "units"):
            if self._questions.offered and self._has_time(clock(), until):
                await self._settle(session, name, until)
        await self._read(session, until)
        if not self.answered:
            return
        for name in REST:
            if self._is_due(name, clock()):
                await self._settle(session, name, until)
                if not self._has_time(clock(), until):
                    break
        self._explain(session)
        session.observe("smartmeter_poll_duration_seconds", value=clock() - started, increment=False)

    def take_notification(self, session: Session, frame: echonet.Frame) -> None:
        """Show a notification of the meter. What it alone says is asked for."""
        if frame.seoj == echonet.METER and self.show(session, frame.properties):
            self._due["half hour"] = session.module.clock()

    def _has_time(self, now: float, until: float) -> bool:
        """There is time for one more question before the next round."""
        return now + self.pace.usual < until

    def _is_due(self, what: str, now: float) -> bool:
        return now >= self._due.get(what, -math.inf)

    def _notice_a_set_clock(self, now: float) -> None:
        """What was measured by our clock is measured again once it has been set."""
        skew = world.current.now() - now
        if self._skew is not None and abs(skew - self._skew) > CLOCK_JUMP_S:
            self._due |= {"clock": now, "half hour": now}
            self._offset = None
            self._lasting.pop(("smartmeter_clock_offset_seconds",), None)
        self._skew = skew

    async def _read(self, session: Session, until: float) -> None:
        """Power, current and registers: once, and again at once where the reply leaves something in doubt."""
        doubts = False

        def take(frame: echonet.Frame) -> None:
            nonlocal doubts
            self.answered = True
            doubts |= self.show(session, frame.properties)

        for _ in range(2):
            doubts = False
            await self._questions.ask(session, LIVE, take)
            if self._unit and self.answered and not self._read_once:
                self._read_once = doubts = True
            if not doubts or not self._has_time(session.module.clock(), until):
                return

    async def _settle(self, session: Session, name: str, until: float) -> None:
        """Ask for something that is due, and once more where the first reply does not settle it."""
        group, period = REST[name]
        for _ in range(2):
            if not self._is_due(name, session.module.clock()):
                return
            said: dict[int, bytes] = {}
            await self._questions.ask(session, group, lambda frame: said.update(frame.properties))  # noqa: B023
            now = session.module.clock()
            if said:
                self._unanswered.pop(name, None)
            if name == "map":
                settled = self._take_map(said.get(p.GET_MAP))
            elif name == "units":
                settled = self._take_units(session, said)
            elif name == "clock":
                settled = self._take_clock(session, said)
            else:
                settled = bool(said) and not self.show(session, [echonet.Property(*one) for one in said.items()])
            if settled:
                self._due[name] = max(self._due.get(name, now), now + period)
            elif not said and self._questions.offered:
                self._unanswered[name] = self._unanswered.get(name, 0) + 1
                self._due[name] = now + min(UNANSWERED_PAUSE_S * 2 ** min(self._unanswered[name] - 1, 10), HOUR_S)
            elif not said or not self._has_time(now, until):
                return

    def _take_map(self, said: bytes | None) -> bool:
        """Which properties the meter has. One that does not answer, or says what is none, is asked without a map."""
        found = echonet.property_map(said or b"")
        if found:
            self._map_is_sure = found == self._map
            self._questions.offered = found if self._map_is_sure else self._questions.offered | found
            self._map = found
            return self._map_is_sure
        self._maps_missed += 1
        if said is None and not self._questions.offered and self._maps_missed < SILENT_ROUNDS:
            return False
        self._questions.offered = self._questions.offered or MANDATORY
        self._map_is_sure = True
        return said is not None

    def _take_units(self, session: Session, said: dict[int, bytes]) -> bool:
        """D3, D7 and E1: a lost reply says nothing, and a refusal or a damaged digit is not said twice."""
        if not self._map_is_sure:
            return False
        said = {epc: b"" for epc in UNITS if self._questions.lacks(epc)} | said
        agreed, self._units = said == self._units and len(said) == len(UNITS), said
        if agreed:
            self._unit = self._believed(session)
        return agreed

    def _believed(self, session: Session) -> p.Unit | None:
        """The unit; None where the meter refuses to say it: then there is no energy."""
        coefficient, digits, exponent = (self._units[epc] for epc in UNITS)
        try:
            return p.unit(coefficient or b"\0\0\0\1", exponent, digits or None) if exponent else None
        except ValueError as error:
            session.module.complain(f"no energy: the meter says something of its registers' unit that cannot be ({error})")
            return None

    def _take_clock(self, session: Session, said: dict[int, bytes]) -> bool:
        """The meter says minutes: within the minute its clock is taken to be right. Believed when it is off alike twice."""
        tick, now = session.module.clock(), world.current.now()
        if not said.get(p.TIME) or not said.get(p.DATE):
            return bool(said)
        try:
            minute = p.minute(said[p.TIME], said[p.DATE])
        except ValueError as error:
            session.module.complain(f"the meter's clock (97, 98) does not say a time ({error}): is it set?")
            return True
        offset = max(minute - now, 0.0) + min(minute + 60 - now, 0.0)
        alike = self._offset is not None and abs(offset - self._offset) <= SAME_OFFSET_S
        self._offset = offset
        if alike:
            self._keep([Reading(("smartmeter_clock_offset_seconds",), float(round(offset)))], tick + 2 * HOUR_S)
        return alike

    def _explain(self, session: Session) -> None:
        """Why there is no power, or no energy."""
        self._rounds += 1
        since = session.module.clock() - HOUR_S
        for what, series, epc in EXPLAINED:
            if self._rounds >= EXPLAINED_AFTER and self._shown.get(series, -math.inf) < since:
                session.module.complain(f"{what}: {self._why_not(epc, since)}")

    def _why_not(self, epc: int, since: float) -> str:
        if epc == p.IMPORT and not self._unit:
            lacking = [one for one in (p.UNIT, p.COEFFICIENT, p.DIGITS) if one not in self._units]
            if lacking or not self._units[p.UNIT]:
                epc = lacking[0] if lacking else p.UNIT
            else:
                return "it does not say the unit of its registers (D3, D7, E1) twice alike, or one that can be"
        if self._questions.lacks(epc) or self._heard.get(epc, -math.inf) < since:
            return f"{p.NAMES[epc]} ({epc:02X}) {self._questions.why_not(epc)}"
        return f"{p.NAMES[epc]} ({epc:02X}) is not measured, as the meter says, or cannot be believed"

    def _keep(self, found: Iterable[Reading], until: float) -> None:
        self._lasting |= {reading.series: (reading, until) for reading in found}

    def _believable(self, session: Session, said: list[echonet.Property]) -> list[echonet.Property]:
        """What of a reply is shown; the rest is counted."""
        module = session.module
        self._heard |= {epc: module.clock() for epc, edt in said if edt}
        _, malformed = readings(said, self._unit)
        for reject in malformed:
            module.reject(reject._replace(meter=session.meter), complaint(reject.data[0], reject.data[2:], self._unit))
        wrong = {reject.data[0] for reject in malformed}
        kept = self._plausibility.accept(one for one in said if one.epc not in wrong)
        if self._plausibility.implausible:
            module.reject(
                Rejected("implausible", meter=session.meter, times=self._plausibility.implausible), causes.IMPLAUSIBLE
            )
        self._plausibility.implausible = 0
        return kept

    def show(self, session: Session, said: Iterable[echonet.Property]) -> bool:
        """Emit a snapshot: what was said now, and what still holds. Whether something is in doubt."""
        tick = session.module.clock()
        said = self._believable(session, list(said))
        found, _ = readings(said, self._unit)
        self._shown |= {reading.series: tick for reading in found if reading.value is not None}
        fixed = [reading for reading in found if reading.series[0].startswith("smartmeter_fixed_") and "30m" in reading.series]
        if fixed:
            self._due["half hour"] = tick + HALF_HOUR_S - world.current.now() % HALF_HOUR_S + ANNOUNCEMENT_S
            self._keep(fixed, self._due["half hour"] + ANNOUNCEMENT_S)
        self._keep([reading for reading in found if reading.series[0] == "smartmeter_info"], tick + 3 * HOUR_S)
        shown = {series: reading for series, (reading, until) in self._lasting.items() if until > tick}
        shown |= {reading.series: reading for reading in found}
        resolution = Resolution()
        if self._unit:
            resolution = Resolution(float(self._unit.watthours), self._unit.energy(self._unit.steps))
        snapshot = Snapshot(tuple(shown.values()), self.mac, meter=session.meter, resolution=resolution, checked=False)
        words = {f"{epc:02X}": edt.hex().upper() for epc, edt in said if edt}
        session.module.emit(snapshot._replace(words=words, holds=ROUNDS_HELD * self.pace.usual))
        return self._plausibility.needs_repeat
