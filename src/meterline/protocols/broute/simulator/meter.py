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
from meterline.protocols.broute.simulator.registers import HALF_HOUR_S, MOST_DAYS, Energies, Registers
from meterline.simulation.household import House

JST = timezone(timedelta(hours=9))
DAY_S = 86_400
NOTICE_WITHIN_S = 300.0
"""Time after :00 and :30 within which the half-hourly values are notified."""
TRUNCATED_AT = 6
"""Number of properties of one Get that a truncating meter answers."""
UNITS = {0: 1000.0, 1: 100.0, 2: 10.0, 3: 1.0, 4: 0.1, 0x0A: 1e4, 0x0B: 1e5, 0x0C: 1e6, 0x0D: 1e7}
"""Watt-hours of one count, by the code of E1."""
SECOND_GENERATION = (0xC0, 0xD0, 0xEE, 0xEF)
"""What a meter of release R has beside the others."""
_MINUTES_STORED = 60
"""Minutes that the meter remembers. ⚠ How many real meters keep is not known."""
_UNSET_DAY, _UNSET_TIME = 0xFF, bytes.fromhex("FFFFFFFFFFFFFF")
"""E5, and ED and EF, where nobody has set them since the meter got power."""


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
    kept_days: int = MOST_DAYS
    """Days of half-hours that the meter remembers before the running day. ⚠ How many real meters keep is not known."""
    unkept: float = 0.0
    """Fraction of the half-hours that never come into the memory."""
    late_slots: int = 0
    """Seconds within which a half-hour that is over comes into the memory. ⚠ Real meters are said to need up to 300."""

    def __post_init__(self) -> None:
        self.id = self.id or f"{self.number:032X}"
        self.mac = self.mac or f"{0x0014224455667788 + self.number - 1:016X}"
        self.exports = self.house.solar > 0 if self.export is None else self.export
        self.location: int = 0x61
        self.day: int = _UNSET_DAY
        self.selector: bytes = _UNSET_TIME
        self.minute_selector: bytes = _UNSET_TIME
        self.holder: tuple[str, float] | None = None
        """Which module has a session with it, and until when."""
        self._installed = 0.0
        self._registers: Registers | None = None

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

    def replace(self, imported: float = 0.0, exported: float = 0.0) -> None:
        """Put a meter of another number in its place now, with registers of its own and without the memory of the time before.

        Id and password stay. ⚠ A distributor may give new ones.

        Args:
            imported: Where the register of the new meter begins, in Wh.
            exported: Where its reverse register begins, in Wh.
        """
        self.move()
        self.number += 500
        self._installed, self.imported, self.exported = self.now, imported, exported
        self._registers = Registers(self._net, self.now, (imported, exported))
        self._forget_selectors()

    def lose_power(self, seconds: float) -> None:
        """Cut the power from now on for some seconds: registers stand still, selectors and session are lost.

        ⚠ The clock goes on, and half-hours of the time before stay in the memory.
        """
        if self._registers:
            self._registers.cut(self.now, self.now + seconds)
        self.holder = None
        self._forget_selectors()

    def _forget_selectors(self) -> None:
        self.day, self.selector, self.minute_selector = _UNSET_DAY, _UNSET_TIME, _UNSET_TIME

    def is_dark(self, when: float) -> bool:
        """Return whether the meter has no power at a Unix time."""
        return bool(self._registers and self._registers.is_cut(when))

    def near_wrap(self) -> None:
        """Set the registers to half a count below their overflow."""
        self.imported = self.exported = UNITS[self.unit] * (self.coefficient or 1) * (10**self.digits - 0.5)
        self.now = 0.0

    def advance(self, now: float) -> None:
        """Let the time pass until `now`."""
        if not self.now or self._registers is None:
            self.now = now
            self._registers = Registers(self._net, now, (self.imported, self.exported))
        if now > self.now:
            self.now = now
            self.imported, self.exported = self._registers.at(now)

    def register(self, energy: float) -> int:
        """Return the count of a register for an energy; a register overflows after its significant digits."""
        return int(energy / UNITS[self.unit] / (self.coefficient or 1)) % int(10**self.digits)

    def energies(self, when: float) -> Energies:
        """Return what the meter has counted at a time, whether it remembers that time or not: to compare answers with.

        Args:
            when: Unix time, no later than the meter's; after a replacement no earlier than that.

        Returns:
            Import and export in Wh, finer than the registers show.

        Raises:
            ValueError: This meter counted nothing then.
        """
        if self._registers is None or not self._installed <= when <= self.now:
            raise ValueError(f"no register at {when:.0f}: the meter counts from {self._installed:.0f} to {self.now:.0f}")
        return self._registers.at(when)

    def readings(self, when: float) -> tuple[int, int]:
        """Return what both registers showed at a time, as counts of its unit. Args and Raises: see `energies`."""
        drawn, fed = self.energies(when)
        return self.register(drawn), self.register(fed)

    def at_half_hour(self, index: int) -> Energies | None:
        """Both energies at a half-hour (Unix time / 1800). None: in the future, too far back, or the meter had no power."""
        when = index * HALF_HOUR_S
        if not max(self._installed, self.midnight(self.kept_days)) <= when <= self.now or self.is_dark(when):
            return None
        energies = self.energies(when)
        return energies if min(energies) >= 0 else None  # a register begins at zero

    def slot(self, index: int) -> Energies | None:
        """Both energies at a half-hour, once they are in the memory. None: see `at_half_hour`, or not yet, or never kept."""
        if self.unkept and self._draw("unkept", index) < self.unkept:
            return None
        late = self.late_slots * self._draw("late", index) if self.late_slots else 0.0
        return self.at_half_hour(index) if self.now >= index * HALF_HOUR_S + late else None

    def at_minute(self, index: int) -> Energies | None:
        """Both energies at a full minute (Unix time / 60). None: in the future, before the last hour, or the meter was dark."""
        is_known = self.now // 60 - _MINUTES_STORED < index <= self.now // 60 and index * 60 >= self._installed
        return self.energies(index * 60) if is_known and not self.is_dark(index * 60) else None

    def midnight(self, days_back: int = 0) -> float:
        """When a day of the meter's clock began, in Unix time. `days_back`: 0 for the day that runs, 1 for yesterday."""
        return self.local.replace(hour=0, minute=0, second=0, microsecond=0).timestamp() - DAY_S * days_back

    def _draw(self, name: str, index: int) -> float:
        """A number from 0 to 1, always the same for a half-hour."""
        return random.Random(f"{self.number}:{name}:{index}").random()

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
