"""One meter: what is known of it, what to ask it next, and what it said that still holds.

A round asks for its property map, then the units of its registers, until it has told them; then, each time, for power, current
and registers in one question; now and then for the rest. Its half-hourly notifications are taken as they come.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, Iterable

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
MANDATORY = frozenset({*UNITS[1:], *LIVE, *IDENTITY[0], *CLOCK, *HALF_HOURS})
"""What is asked for where the meter refuses its map."""

HOUR, HALF_HOUR = 3600.0, 1800.0
ANNOUNCED = 360.0
"""Seconds after a half hour by which the meter has announced its registers (it does within 300)."""


class Asked:
    """`poll` it; `hear` what it says unasked."""

    def __init__(self, mac: str) -> None:
        self.mac = mac
        self.answered = False
        """Whether the last poll got an answer."""
        self._offered: frozenset[int] = frozenset()
        self._units: dict[int, bytes] = {}
        self._unit: p.Unit | None = None
        self._unknown = set(IDENTITY)
        self._clock_due = self._half_hour_due = -math.inf
        self._lasting: dict[Series, tuple[Reading, float]] = {
            ("smartmeter_info", "protocol"): (Reading(("smartmeter_info", "protocol"), "broute"), math.inf)
        }

    async def poll(self, session: Session) -> AsyncGenerator[None, None]:
        """One round of questions; yields whenever there is something new to show."""
        self.answered = False
        started = session.module.clock()
        if not self._offered and not await self._learn_map(session):
            return
        if self._unit is None and self._of(UNITS) and len(self._units) < len(UNITS):
            await self._learn_units(session)
        async for frame in self._ask(session, self._of(LIVE)):
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

    def _of(self, epcs: Iterable[int]) -> list[int]:
        return [epc for epc in epcs if epc in self._offered]

    async def _learn_map(self, session: Session) -> bool:
        """Which properties the meter has."""
        frame = await session.get([p.GET_MAP], slow=True)
        if frame is None:
            return False
        edt = next((edt for epc, edt in frame.properties if epc == p.GET_MAP), b"")
        self._offered = echonet.property_map(edt) or MANDATORY
        return True

    async def _learn_units(self, session: Session) -> None:
        """D3, D7 and E1: each until the meter has said it or refused it; a lost reply says nothing."""
        said = self._units
        said |= {epc: b"" for epc in UNITS if epc not in self._offered}
        async for frame in self._ask(session, [epc for epc in UNITS if epc not in said]):
            said |= dict(frame.properties)
        if len(said) == len(UNITS) and said[p.UNIT]:
            try:
                self._unit = p.unit(said[p.COEFFICIENT] or b"\0\0\0\1", said[p.UNIT], said[p.DIGITS] or None)
            except ValueError as error:
                session.module.complain(f"the meter says something about its registers that cannot be ({error}): no energy")

    async def _ask(self, session: Session, epcs: list[int]) -> AsyncGenerator[echonet.Frame, None]:
        """The replies to questions for these properties: a meter may leave some out of the first one."""
        while epcs:
            frame = await session.get(epcs)
            if frame is None:
                return
            for epc, edt in frame.properties:
                if not edt:
                    session.observe("smartmeter_properties_refused_total", f"{epc:02X}")
            yield frame
            left = [epc for epc in epcs if epc not in dict(frame.properties)]
            epcs = left if len(left) < len(epcs) else []

    async def _ask_the_rest(self, session: Session) -> AsyncGenerator[None, None]:
        """What is not asked for each time."""
        for epcs in (*self._unknown, (p.MINUTE,)):
            async for frame in self._ask(session, self._of(epcs)):
                self._unknown.discard(epcs)
                self._show(session, frame.properties)
                yield
        if time.time() >= self._clock_due:
            async for frame in self._ask(session, self._of(CLOCK)):
                self._read_clock(dict(frame.properties))
        if time.time() >= self._half_hour_due:
            self._half_hour_due = time.time() + ANNOUNCED
            async for frame in self._ask(session, self._of(HALF_HOURS)):
                self._show(session, frame.properties)
                yield

    def _read_clock(self, said: dict[int, bytes]) -> None:
        """The meter says minutes: within the minute its clock is taken to be right."""
        now = time.time()
        self._clock_due = now + HOUR
        try:
            minute = p.minute(said.get(p.TIME, b""), said.get(p.DATE, b""))
        except ValueError:
            return
        ahead, behind = max(minute - now, 0.0), min(minute + 60 - now, 0.0)
        self._keep([Reading(("smartmeter_clock_offset_seconds",), float(round(ahead + behind)))], now + 2 * HOUR)

    def _keep(self, found: Iterable[Reading], until: float) -> None:
        self._lasting |= {reading.series: (reading, until) for reading in found}

    def _show(self, session: Session, said: Iterable[echonet.Property]) -> None:
        """Leave a snapshot for the driver to yield: what was said now, and what still holds."""
        now = time.time()
        found, rejected = readings(said, self._unit)
        for reject in rejected:
            session.module.reject(reject._replace(meter=session.meter))
        identity = [reading for reading in found if reading.series[0] == "smartmeter_info"]
        fixed = [reading for reading in found if reading.series[0].startswith("smartmeter_fixed_") and "30m" in reading.series]
        self._keep(identity, math.inf)
        if fixed:
            self._half_hour_due = (now // HALF_HOUR + 1) * HALF_HOUR + ANNOUNCED
            self._keep(fixed, self._half_hour_due + ANNOUNCED)
        shown = {series: reading for series, (reading, until) in self._lasting.items() if until > now}
        shown |= {reading.series: reading for reading in found}
        step, wraps_at = 1.0, math.inf
        if self._unit:
            step, wraps_at = float(self._unit.watthours), self._unit.energy(self._unit.steps)
        session.module.items.append(
            Snapshot(tuple(shown.values()), self.mac, meter=session.meter, step=step, wraps_at=wraps_at)
        )
