"""The serial side of a simulated module: its time, what it hears (lines, and the raw bytes of SKSENDTO), what it says."""

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
_SLACK = 1e-6
"""Seconds that rounding may cost."""


class CommandFailed(Exception):
    """A command that is answered FAIL: its text is the code."""


class _Due(NamedTuple):
    when: float
    number: int
    kind: str
    action: Callable[[], None]


class Port:
    """Time is monotonic seconds of whoever asks; inside, `elapsed` seconds of a world that runs `scale` times as fast.

    `haste`: how many times faster than real ones module and meter react; clocks and faults do not care.
    """

    def __init__(self, dual: bool, faults: Faults, scale: float, haste: float, start_unix: float) -> None:
        self.dual, self.faults, self.dice = dual, faults, Dice(faults)
        self.echo = True
        self.elapsed = 0.0
        self._scale, self._haste, self._start_unix = scale, haste, start_unix
        self._origin: float | None = None
        self._agenda: list[_Due] = []
        self._number = 0
        self._said = bytearray()
        self._heard = bytearray()
        self._expected = 0
        """Bytes of the datagram that SKSENDTO announced; 0: a line is heard."""
        self._header: list[str] = []
        self._carriage_return = self._product_ended = False
        self._opened = 0.0

    @property
    def unix(self) -> float:
        """The world's time."""
        return self._start_unix + self.elapsed

    def feed(self, data: bytes, now: float) -> None:
        """What the host writes."""
        self._pass(now)
        if not self._muted:
            for byte in data:
                self._hear(byte)

    def take(self, now: float) -> bytes:
        """What it has sent until now."""
        self._pass(now)
        if within(self.faults.stall, self.elapsed):
            return b""
        said = bytes(self._said)
        self._said.clear()
        return said

    def due(self) -> float:
        """When to `take` next, unless it is fed before; inf: never. It only knows once `take` or `feed` was called."""
        if self._origin is None:
            return math.inf
        next_action = self._agenda[0].when if self._agenda else math.inf
        if self._said:
            stall = self.faults.stall if within(self.faults.stall, self.elapsed) else None
            next_action = min(next_action, (self.elapsed // stall[0] + 1) * stall[0] if stall else self.elapsed)
        return self._origin + next_action / self._scale

    def reopen(self) -> None:
        """A client opened the port: a module that was mute hears again."""
        self._opened = self.elapsed

    # To be said by those who know what a command means.

    def begin(self) -> None:
        """The first contact."""

    def run(self, words: list[str]) -> None:
        """A command; CommandFailed where it cannot be."""
        raise NotImplementedError

    def announced(self, words: list[str]) -> int:
        """How many bytes follow the header of SKSENDTO; CommandFailed where it is wrong."""
        raise NotImplementedError

    def send(self, words: list[str], payload: bytes) -> None:
        """SKSENDTO, all of it heard."""
        raise NotImplementedError

    # What they do with it.

    def say(self, line: str | bytes, end: bytes = b"\r\n") -> None:
        """A line, unless the module is mute."""
        raw = (line.encode("ascii") if isinstance(line, str) else line) + end
        if self.dice.hit("garbage"):
            dice = self.dice.of("garbage")
            noise = bytes(dice.choices(b"\x00\x80\xf8\xff", k=dice.randint(1, 4)))
            raw = (noise if dice.random() < 0.5 else raw[: len(raw) // 2] + b"\r\n") + raw
        self._put(raw)

    def later(self, kind: str, delay: float, action: Callable[[], None]) -> None:
        """Do it after so many seconds of the world."""
        self._number += 1
        heapq.heappush(self._agenda, _Due(self.elapsed + max(delay, 0.0), self._number, kind, action))

    def soon(self, kind: str, delay: float, action: Callable[[], None]) -> None:
        """Do it after the time that a module or a meter needs."""
        self.later(kind, delay / self._haste, action)

    def cancel(self, kind: str) -> None:
        """Do none of this kind."""
        self._agenda = [due for due in self._agenda if due.kind != kind]
        heapq.heapify(self._agenda)

    def planned(self, kind: str) -> bool:
        """Whether any of this kind is still to be done."""
        return any(due.kind == kind for due in self._agenda)

    @property
    def _muted(self) -> bool:
        return bool(self.faults.mute) and self.elapsed >= self._opened + self.faults.mute

    def _pass(self, now: float) -> None:
        """Let the time pass, and do what is due on the way."""
        if self._origin is None:
            self._origin = now
            self.begin()
        until = (now - self._origin) * self._scale + _SLACK
        while self._agenda and self._agenda[0].when <= until:
            due = heapq.heappop(self._agenda)
            self.elapsed = max(self.elapsed, due.when)
            due.action()
        self.elapsed = max(self.elapsed, until - _SLACK)

    def _put(self, raw: bytes) -> None:
        if not self._muted:
            self._said += raw

    def _echo(self, raw: bytes) -> None:
        if self.echo:
            self._put(raw)

    def _hear(self, byte: int) -> None:
        if self._expected:
            self._heard.append(byte)
            if len(self._heard) == self._expected:
                self._datagram_heard()
        elif byte == _CR:
            self._end_at_cr()
        elif byte == _LF:
            self._end_at_lf()
        else:
            self._character(byte)

    def _character(self, byte: int) -> None:
        if self._carriage_return:
            self._line_heard()
        self._product_ended = False
        self._echo(bytes([byte]))
        self._heard.append(byte)
        if byte == 0x20 and self._heard.startswith(b"SKSENDTO ") and self._heard.count(b" ") == 6 + self.dual:
            self._header_heard()
        elif len(self._heard) > MAX_LINE:
            self._heard.clear()
            self.say("FAIL ER09")

    def _end_at_cr(self) -> None:
        if self._heard.split(b" ")[0].decode("latin-1") in PRODUCT_COMMANDS:
            self._echo(b"\r" if self.faults.lone_cr_echo else b"\r\n")
            self._line_heard()
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
        self._line_heard()

    def _line_heard(self) -> None:
        line, self._carriage_return = self._heard.decode("latin-1").rstrip(" "), False
        self._heard.clear()
        if line:
            self._try(lambda: self.run(line.split(" ")))

    def _header_heard(self) -> None:
        words = self._heard.decode("latin-1").rstrip(" ").split(" ")
        self._heard.clear()
        self._header, self._expected = words, self._try(lambda: self.announced(words)) or 0

    def _datagram_heard(self) -> None:
        payload, self._expected = bytes(self._heard), 0
        self._heard.clear()
        self._put(b"\r" if self.faults.lone_cr_echo else b"\r\n")
        self._try(lambda: self.send(self._header, payload))

    def _try(self, action: Callable[[], int | None]) -> int | None:
        try:
            return action()
        except CommandFailed as failed:
            self.say(f"FAIL {failed}")
            return None
