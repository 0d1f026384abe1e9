"""Faults of a simulated module, its radio and its meter."""

from __future__ import annotations

import random
from dataclasses import dataclass

from meterline.protocols.broute import echonet
from meterline.protocols.broute.echonet import Frame, Property


@dataclass(frozen=True)
class Faults:
    """Fractions are rates, between 0 and 1. Pairs are (period, length): the last `length` seconds of every `period`.

    Seconds are those of the simulated world, counted from the first contact with the module.
    """

    drop: float = 0.0
    """Replies lost."""
    late: float = 0.0
    """Replies that come 60 s late."""
    duplicate: float = 0.0
    """Replies that come twice."""
    inf_during: float = 0.0
    """An announcement comes before the reply, with the TID that was asked or another."""
    refused21: float = 0.0
    """Datagrams not sent: EVENT 21 01."""
    solicit: float = 0.0
    """Datagrams held up by a neighbour solicitation: EVENT 21 02, then 00."""
    er09: float = 0.0
    er10: float = 0.0
    """SKSENDTO refused with ER09 or ER10."""
    sna: float = 0.0
    """Replies that refuse one property."""
    set_refused: float = 0.0
    """SetC refused: every value comes back."""
    slow_e2: float = 0.0
    """Replies with a day of half-hours (E2, E4) that come after 20 to 60 s."""
    lost_fragment: float = 0.0
    """Replies of two radio frames whose second is lost: nothing comes."""
    older_day: float = 0.0
    """Replies with a history (E2, E4, EC, EE) that hold the one asked before."""
    wrong_digit: float = 0.0
    """Replies with a history in which one hex digit of a register is another one, as after noise on the serial line."""
    unkept: float = 0.0
    """Half-hours that the meter never remembers."""
    wrong_pdc: float = 0.0
    """Replies with a wrong length of a property."""
    wrong_length: float = 0.0
    """ERXUDP with a wrong length."""
    garbage: float = 0.0
    """Lines with noise, or a part of a line, before them."""
    sentinels: float = 0.0
    """Replies that say "not measured" of each value."""
    crlf_payload: bool = False
    """0D 0A in the value of E8."""
    lone_cr_echo: bool = False
    """The echo of a line ends with CR alone."""
    no_ropt: bool = False
    """Product settings are unknown: ER04."""
    silent: bool = False
    """No Get is ever answered."""
    lies: bool = False
    """Every authentication fails."""
    wrap: bool = False
    """The registers begin one count before they wrap."""
    mute: int = 0
    """Seconds after which the module neither receives nor sends until its port is opened again."""
    moves: int = 0
    """Seconds after which the meter is another: channel, MAC address and PAN change."""
    replaced: int = 0
    """Seconds after which a meter of another number takes its place, with other registers and without its memory."""
    replaced_register: int = 0
    """Where the registers of that meter begin, in kWh."""
    late_slots: int = 0
    """Seconds within which a half-hour that is over comes into the memory (E2, E4, EC)."""
    midnight: int = 0
    """Seconds before the meter's midnight from which a day (E2, E4) is answered only after it, counted from the new date."""
    end26: int = 0
    """Seconds after each join until the meter ends the session."""
    expire29: int = 0
    """Seconds after each join until the session expires and cannot be renewed."""
    scan_empty: int = 0
    """Number of scans at the start that find nothing."""
    limit32: tuple[int, int] | None = None
    """The transmission time is used up."""
    stall: tuple[int, int] | None = None
    """The module delays its output."""
    outage: tuple[int, int] | None = None
    """Out of radio reach."""
    power_cut: tuple[int, int] | None = None
    """The meter without power: it says nothing, its registers stand still, its selectors (E5, ED, EF) and session are lost."""
    seed: int = 1


DAYS = {0xE2, 0xE4}
"""Days of half-hours."""
HISTORY = DAYS | {0xEC, 0xEE}
"""What the meter remembers."""
SENTINELS = {
    0xD0: bytes.fromhex("07E90101000000FFFFFFFEFFFFFFFE"),
    0xE0: bytes.fromhex("FFFFFFFE"),
    0xE3: bytes.fromhex("FFFFFFFE"),
    0xE7: bytes.fromhex("7FFFFFFE"),
    0xE8: bytes.fromhex("7FFE7FFE"),
    0xEA: bytes.fromhex("07E90101000000FFFFFFFE"),
    0xEB: bytes.fromhex("07E90101000000FFFFFFFE"),
}
"""Property → "not measured"."""
_CRLF_CURRENT = bytes.fromhex("00A00D0A")


class Dice:
    """Random numbers for the faults, of a generator for each fault: one fault does not change the times of another."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._throws: dict[str, random.Random] = {}
        self._asked_before: dict[int, bytes] = {}
        """Property → what it said last, of those of `HISTORY`."""

    def of(self, name: str) -> random.Random:
        """Return the random generator of a fault."""
        return self._throws.setdefault(name, random.Random(f"{self.faults.seed}:{name}"))

    def hit(self, name: str) -> bool:
        """Return whether the fault of this name occurs now."""
        rate = float(getattr(self.faults, name))
        return rate > 0 and self.of(name).random() < rate

    def damage(self, frame: Frame) -> bytes:
        """Encode a reply of the meter, with the faults that occur now."""
        if self.hit("sentinels"):
            frame = _replaced(frame, SENTINELS)
        if self.faults.crlf_payload:
            frame = _replaced(frame, {0xE8: _CRLF_CURRENT})
        if frame.esv == echonet.GET_RES and self.hit("sna"):
            refused = self.of("sna").choice(frame.properties).epc
            frame = _replaced(frame, {refused: b""})._replace(esv=echonet.GET_SNA)
        if frame.esv == echonet.GET_RES:
            frame = self._misread(self._older(frame))
        payload = echonet.encode(frame)
        if self.hit("wrong_pdc"):
            payload = payload[:13] + bytes([payload[13] + 1 & 0xFF]) + payload[14:]
        return payload

    def _older(self, frame: Frame) -> Frame:
        older: dict[int, bytes] = {}
        for epc, edt in frame.properties:
            if epc in HISTORY:
                before, self._asked_before[epc] = self._asked_before.get(epc), edt
                older |= {epc: before} if before and self.hit("older_day") else {}
        return _replaced(frame, older)

    def _misread(self, frame: Frame) -> Frame:
        for epc, edt in frame.properties:
            if epc in HISTORY and self.hit("wrong_digit"):
                dice, wrong = self.of("wrong_digit"), bytearray(edt)
                place = dice.randrange(2 if epc in DAYS else 7, len(edt))  # behind the day, or time and count
                wrong[place] ^= dice.randint(1, 15) << dice.choice((0, 4))
                frame = _replaced(frame, {epc: bytes(wrong)})
        return frame


def _replaced(frame: Frame, values: dict[int, bytes]) -> Frame:
    properties = tuple(Property(epc, values.get(epc, edt) if edt else edt) for epc, edt in frame.properties)
    return frame._replace(properties=properties)


def within(pair: tuple[int, int] | None, elapsed: float) -> bool:
    """Return whether `elapsed` is in the last `length` seconds of a `period`; `pair`: (period, length), None: never."""
    return pair is not None and elapsed % pair[0] >= pair[0] - pair[1]
