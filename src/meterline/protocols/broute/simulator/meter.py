"""A simulated B-route meter with a household: replies to ECHONET Lite requests, and half-hourly notifications.

The meter reads no clock: `advance` moves its registers to a time, `answer` returns the reply at that time.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from meterline.protocols.broute import echonet
from meterline.protocols.broute.echonet import CONTROLLER, METER, NODE, Frame, Property
from meterline.protocols.broute.simulator.properties import NODE_VALUES, SETTABLE, VALUES
from meterline.simulation.household import House

JST = timezone(timedelta(hours=9))
HALF_HOUR_S = 1800
NOTICE_WITHIN_S = 300.0
"""Time after :00 and :30 within which the half-hourly values are notified."""
TRUNCATED_AT = 6
"""Number of properties of one Get that a truncating meter answers."""
UNITS = {0: 1000.0, 1: 100.0, 2: 10.0, 3: 1.0, 4: 0.1, 0x0A: 1e4, 0x0B: 1e5, 0x0C: 1e6, 0x0D: 1e7}
"""Code of E1 → watt-hours of one count."""
_PAST_HALF_HOURS = 96
"""Half-hours before the start whose registers the meter knows."""
SECOND_GENERATION = (0xC0, 0xD0, 0xEE, 0xEF)
"""Properties that only a meter of release R has."""
_MINUTES_STORED = 60
"""⚠ Assumed: how many minutes a real meter stores is not known."""


@dataclass
class FakeMeter:
    """A simulated meter. Energies are watt-hours, times Unix seconds.

    Attributes:
        house: The household.
        number: Number of the meter, in its addresses and its serial number.
        id: Authentication ID, 32 characters; empty: made from `number`.
        password: Password, 12 characters.
        channel: Radio channel.
        mac: MAC address, 16 hexadecimal digits; empty: made from `number`.
        export: Whether the meter has export registers; None: if the household has solar panels.
        two_wire: Whether the meter has one phase only.
        unit: Code of E1: size of a count.
        digits: Significant digits of the registers.
        coefficient: Value of D3; None: the meter lacks the property.
        second_generation: Whether the meter is of release R.
        truncates: Whether the meter answers the first properties of a Get only.
        lifetime: Lifetime of a PANA session in seconds.
        lqi: Link quality at which a module receives the meter, 0 to 255.
        overrides: Property code → its value; None: refused.
        now: Time of the state.
        imported: Imported energy.
        exported: Exported energy.
        holder: MAC address of the module that has the session, and the end of the session; None: no session.
    """

    house: House = field(default_factory=lambda: House(JST))
    number: int = 1
    id: str = ""
    password: str = "0123456789AB"
    channel: int = 0x31
    mac: str = ""
    export: bool | None = None
    two_wire: bool = False
    unit: int = 1
    digits: int = 6
    coefficient: int | None = 1
    second_generation: bool = False
    truncates: bool = False
    lifetime: int = 86_400
    lqi: int = 0x8C
    overrides: dict[int, bytes | None] = field(default_factory=dict)
    now: float = 0.0
    imported: float = 12_345_678.0
    exported: float = 3_456_789.0

    def __post_init__(self) -> None:
        self.id = self.id or f"{self.number:032X}"
        self.mac = self.mac or f"{0x0014224455667788 + self.number - 1:016X}"
        self.exports = self.house.solar > 0 if self.export is None else self.export
        self.location: int = 0x61
        self.day: int = 0xFF
        self.selector: bytes = bytes.fromhex("FFFFFFFFFFFFFF")
        self.minute_selector: bytes = self.selector
        self.holder: tuple[str, float] | None = None
        self._marks: dict[int, tuple[float, float]] = {}
        self._minutes: dict[int, tuple[float, float]] = {}
        self._earliest = (0.0, 0.0, 0.0)

    @property
    def pairing_id(self) -> str:
        """The pairing ID that a scan searches for."""
        return self.id[-8:]

    @property
    def pan_id(self) -> int:
        """The PAN ID: the end of the MAC address, as in every capture."""
        return int(self.mac[-4:], 16)

    @property
    def local(self) -> datetime:
        """The time of the meter's clock."""
        return datetime.fromtimestamp(self.now, JST)

    @property
    def watts(self) -> int:
        """Net power, which changes once a second; exported power is negative."""
        return round(self._net(self.now // 1))

    def move(self) -> None:
        """Change channel, MAC address and PAN, as a replaced meter would."""
        self.channel = 0x21 + (self.channel - 0x21 + 5) % 28
        self.mac = f"{int(self.mac, 16) ^ 0x1357:016X}"
        self.holder = None

    def near_wrap(self) -> None:
        """Set the registers to half a count below their overflow."""
        self.imported = self.exported = UNITS[self.unit] * (self.coefficient or 1) * (10**self.digits - 0.5)
        self.now = 0.0
        self._marks.clear()
        self._minutes.clear()

    def advance(self, now: float) -> None:
        """Advance the registers to the Unix time `now`."""
        if not self.now:
            self.now = now
            self._earliest = (now, self.imported, self.exported)
            self._mark()
        while self.now < now:
            stop = min(now, (self.now // 60 + 1) * 60)
            drawn, fed = self._energy(self.now, stop)
            self.imported, self.exported, self.now = self.imported + drawn, self.exported + fed, stop
            self._mark()

    def _mark(self) -> None:
        """Store both energies at a full minute and at a half-hour."""
        minute, seconds = divmod(self.now, 60)
        if not seconds:
            self._minutes[int(minute)] = (self.imported, self.exported)
            self._minutes.pop(int(minute) - _MINUTES_STORED, None)
        if self.now % HALF_HOUR_S == 0:
            self._marks[int(self.now // HALF_HOUR_S)] = (self.imported, self.exported)

    def register(self, energy: float) -> int:
        """Return the count of a register for an energy; a register overflows after its significant digits."""
        return int(energy / UNITS[self.unit] / (self.coefficient or 1)) % int(10**self.digits)

    def at_half_hour(self, index: int) -> tuple[float, float] | None:
        """Return both energies at a half-hour (Unix time / 1800); None in the future and in the far past."""
        start = int(self._earliest[0] // HALF_HOUR_S)
        if index not in self._marks and start - _PAST_HALF_HOURS < index <= start and index <= self.now // HALF_HOUR_S:
            while self._earliest[0] > index * HALF_HOUR_S:
                self._look_back()
        return self._marks.get(index)

    def at_minute(self, index: int) -> tuple[float, float] | None:
        """Return both energies at a full minute (Unix time / 60); None in the future and before the last hour."""
        if not self.now // 60 - _MINUTES_STORED < index <= self.now // 60:
            return None
        half_hour, past = index * 60 // HALF_HOUR_S, self.at_half_hour(index * 60 // HALF_HOUR_S)
        if index not in self._minutes and past:  # A minute before the start.
            drawn, fed = self._energy(half_hour * HALF_HOUR_S, index * 60)
            return past[0] + drawn, past[1] + fed
        return self._minutes.get(index)

    def _look_back(self) -> None:
        end, imported, exported = self._earliest
        index = int(-(-end // HALF_HOUR_S)) - 1
        drawn, fed = self._energy(index * HALF_HOUR_S, end)
        self._earliest = (index * HALF_HOUR_S, imported - drawn, exported - fed)
        self._marks[index] = self._earliest[1:]

    def _energy(self, start: float, end: float) -> tuple[float, float]:
        drawn = fed = 0.0
        while start < end:
            step = min(60.0, end - start)
            energy = self._net(start) * step / 3600
            drawn, fed, start = drawn + max(energy, 0.0), fed + max(-energy, 0.0), start + step
        return drawn, fed

    def _net(self, now: float) -> float:
        net = self.house.load(now) - self.house.sun(now)
        return net if self.exports else max(net, 0.0)

    def epcs(self) -> set[int]:
        """Return the codes of the properties that can be read."""
        lacking = {0xE3, 0xE4, 0xEB} if not self.exports else set()
        lacking |= {0xD3} if self.coefficient is None else set()
        lacking |= set() if self.second_generation else set(SECOND_GENERATION)
        refused = {epc for epc, value in self.overrides.items() if value is None}
        return (set(VALUES) - lacking | set(self.overrides)) - refused

    def value(self, epc: int, eoj: bytes = METER) -> bytes | None:
        """Return the value of a property; None: refused."""
        if eoj == NODE:
            return NODE_VALUES[epc](self) if epc in NODE_VALUES else None
        return (self.overrides.get(epc) or VALUES[epc](self)) if epc in self.epcs() else None

    def answer(self, frame: Frame, now: float) -> Frame | None:
        """Return the reply to a request at the Unix time `now`; None: no reply."""
        self.advance(now)
        if frame.deoj not in (METER, NODE):
            return None
        if frame.esv == echonet.GET:
            asked = frame.properties[:TRUNCATED_AT] if self.truncates else frame.properties
            esvs, properties = (echonet.GET_RES, echonet.GET_SNA), tuple(self._got(asked, frame.deoj))
        elif frame.esv == echonet.INF_REQ:
            esvs, properties = (echonet.INF, echonet.INF_SNA), tuple(self._got(frame.properties, frame.deoj))
        elif frame.esv == echonet.SETC:
            return self._set(frame)
        else:
            return None
        whole = len(properties) == len(frame.properties) and all(edt for _, edt in properties)
        return Frame(frame.tid, frame.deoj, frame.seoj, esvs[0 if whole else 1], properties)

    def _got(self, asked: tuple[Property, ...], eoj: bytes) -> Iterator[Property]:
        for epc, _ in asked:
            yield Property(epc, self.value(epc, eoj) or b"")

    def _set(self, frame: Frame) -> Frame:
        """Return the reply to a SetC: an accepted property is empty, a refused one holds the requested value."""
        meter = frame.deoj == METER
        done = [meter and epc in SETTABLE and epc in self.epcs() and SETTABLE[epc](self, edt) for epc, edt in frame.properties]
        left = tuple(Property(epc, b"" if set_ else edt) for set_, (epc, edt) in zip(done, frame.properties, strict=True))
        return Frame(frame.tid, frame.deoj, frame.seoj, echonet.SET_RES if all(done) else echonet.SETC_SNA, left)

    def announcement(self) -> Frame:
        """Return the notification of the meter's instances, which is sent to all nodes after a join."""
        return Frame(0, NODE, NODE, echonet.INF, (Property(0xD5, b"\x01" + METER),))

    def next_notification(self, after: float) -> float:
        """Return the time of the next half-hourly notification."""
        index = int(after // HALF_HOUR_S)
        return next(when for when in map(self._notice, (index, index + 1)) if when > after)

    def notification(self, now: float) -> Frame:
        """Return the notification of the values of the last half-hour."""
        self.advance(now)
        epcs = [epc for epc in (0xEA, 0xEB) if epc in self.epcs()]
        return Frame(1, METER, CONTROLLER, echonet.INF, tuple(Property(epc, self.value(epc) or b"") for epc in epcs))

    def _notice(self, index: int) -> float:
        return index * HALF_HOUR_S + random.Random(f"{self.number}:{index}").uniform(0.0, NOTICE_WITHIN_S)
