"""One meter: what is known of it, what to ask it next, and what it said that still holds.

A round asks for its property map, then the units of its registers, until it has told them; then, each time, for power, current
and registers in one question; now and then for the rest. Its half-hourly notifications are taken as they come.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, Iterable, Sequence

from meterline.model import Reading, Series, Snapshot
from meterline.protocols.broute import echonet
from meterline.protocols.broute import properties as p
from meterline.protocols.broute.readings import readings
from meterline.protocols.broute.session import Session

UNITS = (p.COEFFICIENT, p.DIGITS, p.UNIT)
LIVE = (p.POWER, p.CURRENT, p.IMPORT, p.EXPORT, p.FAULT, p.OPERATION)
"""One question: meters were seen to answer six properties at most."""
IDENTITY = ((p.MAKER, p.SERIAL, p.RELEASE), (p.IDENTIFICATION,))
CLOCK = (p.TIME, p.DATE)
HALF_HOURS = (p.HALF_HOUR_IMPORT, p.HALF_HOUR_EXPORT)
MANDATORY = frozenset({*UNITS, *LIVE, *IDENTITY[0], *CLOCK, *HALF_HOURS})
"""What is asked for where the meter does not say what it has: it refuses the rest itself."""

HOUR, HALF_HOUR = 3600.0, 1800.0
ANNOUNCED = 360.0
"""Seconds after a half hour by which the meter has announced its registers (it does within 300)."""
SET = 5.0
"""Seconds by which our own clock must have jumped to count as set anew."""
SILENT_ROUNDS = 2
"""Rounds without a word about the map after which the meter is asked without one."""


class Asked:
    """`poll` it; `hear` what it says unasked. Times are the loop's, so that setting the clock moves none of them."""

    def __init__(self, mac: str) -> None:
        self.mac = mac
        self.answered = False
        """Whether the last poll got an answer."""
        self._offered: frozenset[int] = frozenset()
        self._maps_missed = 0
        self._units: dict[int, bytes] = {}
        """What the meter said last of its registers' unit: believed when it says the same twice in a row."""
        self._unit: p.Unit | None = None
        self._due: dict[str, float] = {}
        """What is not asked each time → when it is asked next."""
        self._skew: float | None = None
        self._lasting: dict[Series, tuple[Reading, float]] = {
            ("smartmeter_info", "protocol"): (Reading(("smartmeter_info", "protocol"), "broute"), math.inf)
        }

    async def poll(self, session: Session) -> AsyncGenerator[None, None]:
        """One round of questions; yields whenever there is something new to show."""
        self.answered = False
        started = session.module.clock()
        self._notice_a_set_clock(started)
        if self._is_due("map", started) and not await self._learn_map(session):
            return
        if self._is_due("units", started):
            await self._learn_units(session)
        async for frame in self._ask(session, LIVE):
            self.answered = True
            self._show(session, frame.properties)
            yield
        if self.answered:
            async for _ in self._ask_the_rest(session):
                yield
            session.observe("smartmeter_poll_duration_seconds", value=session.module.clock() - started, increment=False)

    def hear(self, session: Session, frame: echonet.Frame) -> None:
        """Show a notification of the meter."""
        if frame.seoj == echonet.METER:
            self._show(session, frame.properties)

    def _is_due(self, what: str, now: float) -> bool:
        return now >= self._due.get(what, -math.inf)

    def _notice_a_set_clock(self, now: float) -> None:
        """What was measured by our clock is measured again once it has been set."""
        skew = time.time() - now
        if self._skew is not None and abs(skew - self._skew) > SET:
            self._due |= {"clock": now, "half hour": now}
            self._lasting.pop(("smartmeter_clock_offset_seconds",), None)
        self._skew = skew

    async def _learn_map(self, session: Session) -> bool:
        """Which properties the meter has, asked again each hour; False where it should be asked first."""
        frame = await session.get([p.GET_MAP], slow=True)
        if frame is None:
            self._maps_missed += 1
            if not self._offered and self._maps_missed < SILENT_ROUNDS:
                return False
        said = dict(frame.properties).get(p.GET_MAP, b"") if frame else b""
        self._offered = echonet.property_map(said) or self._offered or MANDATORY
        self._due["map"] = session.module.clock() + HOUR
        return True

    async def _learn_units(self, session: Session) -> None:
        """D3, D7 and E1, each hour: a lost reply says nothing, and a refusal or a damaged digit is not said twice."""
        for _ in range(2):
            said = {epc: b"" for epc in UNITS if epc not in self._offered}
            async for frame in self._ask(session, UNITS):
                said |= {epc: edt for epc, edt in frame.properties if epc in UNITS}
            if len(said) < len(UNITS):
                return
            agreed, self._units = said == self._units, said
            if agreed:
                self._due["units"] = session.module.clock() + HOUR
                self._unit = self._believed(session)
                return

    def _believed(self, session: Session) -> p.Unit | None:
        """The unit; None where the meter refuses to say it: then there is no energy."""
        coefficient, digits, exponent = (self._units[epc] for epc in UNITS)
        try:
            return p.unit(coefficient or b"\0\0\0\1", exponent, digits or None) if exponent else None
        except ValueError as error:
            session.module.complain(f"the meter says something about its registers that cannot be ({error}): no energy")
            return None

    async def _ask(self, session: Session, epcs: Iterable[int]) -> AsyncGenerator[echonet.Frame, None]:
        """The replies to questions for those that the meter has: it may leave some out of the first one."""
        wanted = [epc for epc in epcs if epc in self._offered]
        while wanted:
            frame = await session.get(wanted)
            if frame is None:
                return
            for epc, edt in frame.properties:
                if not edt:
                    session.observe("smartmeter_properties_refused_total", f"{epc:02X}")
            yield frame
            left = [epc for epc in wanted if epc not in dict(frame.properties)]
            wanted = left if len(left) < len(wanted) else []

    async def _ask_the_rest(self, session: Session) -> AsyncGenerator[None, None]:
        """What is not asked for each time."""
        now = session.module.clock()
        questions: list[tuple[int, ...]] = [(p.MINUTE,)]
        if self._is_due("identity", now):
            self._due["identity"] = now + HOUR
            questions += IDENTITY
        if self._is_due("half hour", now):
            self._due["half hour"] = now + ANNOUNCED
            questions.append(HALF_HOURS)
        for epcs in questions:
            async for frame in self._ask(session, epcs):
                self._show(session, frame.properties)
                yield
        if self._is_due("clock", now):
            async for frame in self._ask(session, CLOCK):
                self._read_clock(dict(frame.properties), session.module.clock())

    def _read_clock(self, said: dict[int, bytes], tick: float) -> None:
        """The meter says minutes: within the minute its clock is taken to be right."""
        now = time.time()
        try:
            minute = p.minute(said.get(p.TIME, b""), said.get(p.DATE, b""))
        except ValueError:
            return
        self._due["clock"] = tick + HOUR
        ahead, behind = max(minute - now, 0.0), min(minute + 60 - now, 0.0)
        self._keep([Reading(("smartmeter_clock_offset_seconds",), float(round(ahead + behind)))], tick + 2 * HOUR)

    def _keep(self, found: Iterable[Reading], until: float) -> None:
        self._lasting |= {reading.series: (reading, until) for reading in found}

    def _show(self, session: Session, said: Sequence[echonet.Property]) -> None:
        """Leave a snapshot for the driver to yield: what was said now, and what still holds."""
        tick = session.module.clock()
        found, rejected = readings(said, self._unit)
        for reject in rejected:
            session.module.reject(reject._replace(meter=session.meter))
        self._keep([reading for reading in found if reading.series[0] == "smartmeter_info"], tick + 3 * HOUR)
        fixed = [reading for reading in found if reading.series[0].startswith("smartmeter_fixed_") and "30m" in reading.series]
        if fixed:
            self._due["half hour"] = tick + HALF_HOUR - time.time() % HALF_HOUR + ANNOUNCED
            self._keep(fixed, self._due["half hour"] + ANNOUNCED)
        shown = {series: reading for series, (reading, until) in self._lasting.items() if until > tick}
        shown |= {reading.series: reading for reading in found}
        step, wraps_at = 1.0, math.inf
        if self._unit:
            step, wraps_at = float(self._unit.watthours), self._unit.energy(self._unit.steps)
        words = {f"{epc:02X}": edt.hex().upper() for epc, edt in said if edt}
        session.module.items.append(
            Snapshot(tuple(shown.values()), self.mac, meter=session.meter, step=step, wraps_at=wraps_at, words=words)
        )
