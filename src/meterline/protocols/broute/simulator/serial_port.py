"""The serial side of a simulated module: time, received lines and the raw bytes of SKSENDTO, and sent lines."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import NamedTuple

from meterline.protocols.broute.simulator.faults import Dice, Faults, within
from meterline.protocols.broute.splitter import MAX_LINE

PRODUCT_COMMANDS = ("ROPT", "WOPT", "RUART", "WUART")
"""Settings of the product: ended and answered by CR alone."""
_CR, _LF = 0x0D, 0x0A
_ROUNDING_S = 1e-6


class CommandFailed(Exception):
    """A command that is answered with FAIL; the text is the code."""


class _Due(NamedTuple):
    when: float
    number: int
    kind: str
    action: Callable[[], None]


class Port:
    """The serial port of a module. For the arguments, see `FakeModule`.

    Callers pass monotonic seconds. `elapsed` is simulated time in seconds since the first contact, `scale` times as fast.
    """

    def __init__(self, dual: bool, faults: Faults, scale: float, haste: float, start_unix: float) -> None:
        self.dual, self.faults, self.dice = dual, faults, Dice(faults)
        self.echo = True
        self.elapsed = 0.0
        self._scale, self._haste, self._start_unix = scale, haste, start_unix
        self._origin: float | None = None
        self._agenda: list[_Due] = []
        self._number = 0
        self._outgoing = bytearray()
        self._received = bytearray()
        self._expected = 0
        """Bytes of the payload that SKSENDTO has announced; 0: a line is expected."""
        self._header: list[str] = []
        self._carriage_return = self._product_ended = False
        self._opened = 0.0

    @property
    def unix(self) -> float:
        """The simulated Unix time."""
        return self._start_unix + self.elapsed

    def feed(self, data: bytes, now: float) -> None:
        """Take bytes that the host wrote."""
        self._pass(now)
        if not self._muted:
            for byte in data:
                self._receive(byte)

    def take(self, now: float) -> bytes:
        """Return the bytes that the module has sent until `now`."""
        self._pass(now)
        if within(self.faults.stall, self.elapsed):
            return b""
        outgoing = bytes(self._outgoing)
        self._outgoing.clear()
        return outgoing

    def due(self) -> float:
        """Return the time of the next bytes, unless `feed` is called before; infinity: none, or no contact yet."""
        if self._origin is None:
            return math.inf
        next_action = self._agenda[0].when if self._agenda else math.inf
        if self._outgoing:
            stall = self.faults.stall if within(self.faults.stall, self.elapsed) else None
            next_action = min(next_action, (self.elapsed // stall[0] + 1) * stall[0] if stall else self.elapsed)
        return self._origin + next_action / self._scale

    def reopen(self) -> None:
        """React to a client that opened the port: a mute module works again."""
        self._opened = self.elapsed

    # Subclasses implement the meaning of commands.

    def begin(self) -> None:
        """Start at the first contact."""

    def run(self, words: list[str]) -> None:
        """Run a command. CommandFailed: the command is not valid."""
        raise NotImplementedError

    def announced(self, words: list[str]) -> int:
        """Return the number of bytes after the header of SKSENDTO. CommandFailed: the header is not valid."""
        raise NotImplementedError

    def send(self, words: list[str], payload: bytes) -> None:
        """Send the datagram of a complete SKSENDTO."""
        raise NotImplementedError

    # Subclasses use these methods.

    def send_line(self, line: str | bytes, end: bytes = b"\r\n") -> None:
        """Send a line, unless the module is mute."""
        raw = (line.encode("ascii") if isinstance(line, str) else line) + end
        if self.dice.hit("garbage"):
            dice = self.dice.of("garbage")
            noise = bytes(dice.choices(b"\x00\x80\xf8\xff", k=dice.randint(1, 4)))
            raw = (noise if dice.random() < 0.5 else raw[: len(raw) // 2] + b"\r\n") + raw
        self._put(raw)

    def later(self, kind: str, delay: float, action: Callable[[], None]) -> None:
        """Plan an action after `delay` simulated seconds."""
        self._number += 1
        heapq.heappush(self._agenda, _Due(self.elapsed + max(delay, 0.0), self._number, kind, action))

    def soon(self, kind: str, delay: float, action: Callable[[], None]) -> None:
        """Plan an action after the reaction time `delay` of a module or meter in seconds, which `haste` shortens."""
        self.later(kind, delay / self._haste, action)

    def cancel(self, kind: str) -> None:
        """Cancel the planned actions of a kind."""
        self._agenda = [due for due in self._agenda if due.kind != kind]
        heapq.heapify(self._agenda)

    def planned(self, kind: str) -> bool:
        """Return whether an action of a kind is planned."""
        return any(due.kind == kind for due in self._agenda)

    @property
    def _muted(self) -> bool:
        return bool(self.faults.mute) and self.elapsed >= self._opened + self.faults.mute

    def _pass(self, now: float) -> None:
        """Advance the time, and run the actions that are due."""
        if self._origin is None:
            self._origin = now
            self.begin()
        until = (now - self._origin) * self._scale + _ROUNDING_S
        while self._agenda and self._agenda[0].when <= until:
            due = heapq.heappop(self._agenda)
            self.elapsed = max(self.elapsed, due.when)
            due.action()
        self.elapsed = max(self.elapsed, until - _ROUNDING_S)

    def _put(self, raw: bytes) -> None:
        if not self._muted:
            self._outgoing += raw

    def _echo(self, raw: bytes) -> None:
        if self.echo:
            self._put(raw)

    def _receive(self, byte: int) -> None:
        if self._expected:
            self._received.append(byte)
            if len(self._received) == self._expected:
                self._end_datagram()
        elif byte == _CR:
            self._end_at_cr()
        elif byte == _LF:
            self._end_at_lf()
        else:
            self._character(byte)

    def _character(self, byte: int) -> None:
        if self._carriage_return:
            self._end_line()
        self._product_ended = False
        self._echo(bytes([byte]))
        self._received.append(byte)
        if byte == 0x20 and self._received.startswith(b"SKSENDTO ") and self._received.count(b" ") == 6 + self.dual:
            self._end_header()
        elif len(self._received) > MAX_LINE:
            self._received.clear()
            self.send_line("FAIL ER09")

    def _end_at_cr(self) -> None:
        if self._received.split(b" ")[0].decode("latin-1") in PRODUCT_COMMANDS:
            self._echo(b"\r" if self.faults.lone_cr_echo else b"\r\n")
            self._end_line()
            self._product_ended = True
        else:
            self._echo(b"\r")
            self._carriage_return = True

    def _end_at_lf(self) -> None:
        if self._product_ended:
            self._product_ended = False
            return
        if not self.faults.lone_cr_echo:
            self._echo(b"\n")
        self._end_line()

    def _end_line(self) -> None:
        line, self._carriage_return = self._received.decode("latin-1").rstrip(" "), False
        self._received.clear()
        if line:
            self._try(lambda: self.run(line.split(" ")))

    def _end_header(self) -> None:
        words = self._received.decode("latin-1").rstrip(" ").split(" ")
        self._received.clear()
        self._header, self._expected = words, self._try(lambda: self.announced(words)) or 0

    def _end_datagram(self) -> None:
        payload, self._expected = bytes(self._received), 0
        self._received.clear()
        self._put(b"\r" if self.faults.lone_cr_echo else b"\r\n")
        self._try(lambda: self.send(self._header, payload))

    def _try(self, action: Callable[[], int | None]) -> int | None:
        try:
            return action()
        except CommandFailed as failed:
            self.send_line(f"FAIL {failed}")
            return None
