"""The radio side of a simulated module: registers, events, datagrams, meters in range, and scans."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial

from meterline.protocols.broute.echonet import PORT
from meterline.protocols.broute.simulator.faults import Faults, within
from meterline.protocols.broute.simulator.meter import FakeMeter
from meterline.protocols.broute.simulator.serial_port import Port
from meterline.protocols.broute.skstack import link_local, scan_seconds

CHANNELS = range(0x21, 0x3D)
NEW_REGISTERS = {
    **dict.fromkeys(("S15", "SA2", "SFF"), "0"),
    **dict.fromkeys(("S17", "SA0", "SA1", "SFE"), "1"),
    "S02": "21",
    "S03": "FFFF",
    "S07": "00000000",
    "S0A": "CCDDEEFF",
    "S16": "384",
}
"""SA2 adds a column of the link quality; the single edition accepts the register, and adds none."""
NEW_DUAL_REGISTERS = {"S0B": "CCDDEEFFCCDDEEFF", "SA9": "1", "SF0": "0"}
"""Registers that only the dual edition has."""


class Air(Port):
    """The radio side of a module. For the arguments, see `FakeModule`."""

    def __init__(
        self,
        meters: Sequence[FakeMeter],
        mac: str,
        dual: bool,
        binary: bool,
        hit: float,
        seed: int,
        faults: Faults,
        scale: float,
        haste: float,
        start_unix: float,
    ) -> None:
        super().__init__(dual, faults, scale, haste, start_unix)
        self.meters, self.mac, self.binary = tuple(meters), mac, binary
        self.registers: dict[str, str] = {}
        self.random = random.Random(seed)
        self._hit, self._scans = hit, 0

    @property
    def address(self) -> str:
        """The module's link-local address."""
        return link_local(self.mac)

    @property
    def limited(self) -> bool:
        """Whether the transmission time is used up."""
        return within(self.faults.limit32, self.elapsed)

    def begin(self) -> None:
        """Start the faults that depend on the time."""
        for meter in self.meters:
            if self.faults.wrap:
                meter.near_wrap()
            meter.unkept = self.faults.unkept or meter.unkept
            meter.late_slots = self.faults.late_slots or meter.late_slots
            meter.advance(self.unix)
        if self.faults.moves:
            self.later("fault", self.faults.moves, self._move)
        if self.faults.replaced:
            self.later("fault", self.faults.replaced, self._replace)
        if self.faults.power_cut:
            self.later("fault", self.faults.power_cut[0] - self.faults.power_cut[1], self._cut_power)
        if self.faults.limit32:
            self.later("fault", self.faults.limit32[0] - self.faults.limit32[1], self._limit)

    def _move(self) -> None:
        for meter in self.meters:
            meter.move()

    def _replace(self) -> None:
        for meter in self.meters:
            meter.advance(self.unix)
            meter.replace(*2 * [1000.0 * self.faults.replaced_register])

    def _cut_power(self) -> None:
        assert self.faults.power_cut
        period, length = self.faults.power_cut
        for meter in self.meters:
            meter.advance(self.unix)
            meter.lose_power(length)
        self.later("fault", period, self._cut_power)

    def _limit(self) -> None:
        assert self.faults.limit32
        period, length = self.faults.limit32
        self.event(0x32, self.address)
        self.later("fault", length, partial(self.event, 0x33, self.address))
        self.later("fault", period, self._limit)

    def event(self, number: int, address: str, parameter: int | None = None) -> None:
        """Send EVENT, in the form of the edition."""
        words = ["EVENT", f"{number:02X}", address, *(["0"] if self.dual else [])]
        self.send_line(" ".join(words if parameter is None else [*words, f"{parameter:02X}"]))

    def datagram(self, meter: FakeMeter, payload: bytes, port: int = PORT, to: str = "") -> None:
        """Send ERXUDP, in the form of the edition."""
        words = ["ERXUDP", link_local(meter.mac), to or self.address, f"{port:04X}", f"{port:04X}", meter.mac]
        words += [f"{self._lqi(meter):02X}"] if self.dual and self.registers["SA2"] == "1" else []
        words += ["1" if port == PORT else "0", *(["0"] if self.dual else [])]
        length = len(payload) + (self.dice.of("wrong_length").choice((-4, 22)) if self.dice.hit("wrong_length") else 0)
        body = payload if self.binary else payload.hex().upper().encode()
        self.send_line(" ".join([*words, f"{length:04X} "]).encode() + body)

    def _lqi(self, meter: FakeMeter) -> int:
        return max(0, min(255, meter.lqi + self.random.randint(-3, 3)))

    def on_air(self, address: str) -> FakeMeter | None:
        """The meter of this address, where it has power and the module's channel and PAN reach it."""
        if within(self.faults.outage, self.elapsed):
            return None
        tuned = (int(self.registers["S02"], 16), int(self.registers["S03"], 16))
        here = (meter for meter in self.meters if (meter.channel, meter.pan_id) == tuned and link_local(meter.mac) == address)
        return next((meter for meter in here if not meter.is_dark(self.unix)), None)

    def scan(self, mode: int, mask: int, duration: int, side: int) -> None:
        """Scan the channels of a mask, whose lowest bit is the lowest channel."""
        swept = [channel for channel in CHANNELS if mask >> (channel - CHANNELS[0]) & 1]
        each = scan_seconds(duration, 1)
        self._scans += 1
        for meter in self.meters if mode else ():
            asked = mode == 3 or self.registers["S0A"] == meter.pairing_id
            hears = self._scans > self.faults.scan_empty and self.random.random() < self._hit and not side
            if asked and hears and meter.channel in swept:
                when = (swept.index(meter.channel) + self.random.random()) * each
                self.soon("scan", when, partial(self._found, meter, mode))
        self.soon("scan", len(swept) * each, partial(self._swept, swept, mode))

    def _found(self, meter: FakeMeter, mode: int) -> None:
        if within(self.faults.outage, self.elapsed) or meter.is_dark(self.unix):
            return
        self.event(0x20, self.address)
        lines = [f"Channel:{meter.channel:02X}", "Channel Page:09", f"Pan ID:{meter.pan_id:04X}", f"Addr:{meter.mac}"]
        lines += [f"LQI:{self._lqi(meter):02X}", *(["Side:0"] if self.dual else [])]
        lines += [f"PairID:{meter.pairing_id}"] if mode == 2 else []
        for line in ("EPANDESC", *(f"  {line}" for line in lines)):
            self.send_line(line)

    def _swept(self, swept: list[int], mode: int) -> None:
        self.event(0x22 if mode else 0x1F, self.address)
        if not mode:
            self.send_line("EEDSCAN")
            self.send_line("0 " + "".join(f"{channel:02X} {self.random.randint(2, 17):02X} " for channel in swept))
