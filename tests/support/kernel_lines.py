"""A meter's line in virtual time: bytes arrive at their moments in a kernel's buffer, and the real `Wire` reads them there.

What does not fit the buffer is lost, as on a serial device.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from meterline.link.stream import Wire
from meterline.meter.readings import Item, Snapshot
from meterline.protocols.tic import PROTOCOL, Options
from support.virtual_lines import run

BUFFER = 4096
"""Bytes that Linux keeps of a serial device."""
GAP_S = 0.025


class Kernel(asyncio.Transport):
    """The buffer of a device, between a line and its reader."""

    max_size = 0

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire
        self._kept = bytearray()
        self._is_paused = False
        self.lost = 0
        self.wake_ups: list[float] = []
        """Moments at which the reader was woken, each once."""
        wire.connection_made(self)

    def arrive(self, data: bytes) -> None:
        """From the line."""
        room = BUFFER - len(self._kept)
        self.lost += max(0, len(data) - room)
        self._kept += data[:room]
        self._deliver()

    def _deliver(self) -> None:
        while self._kept and not self._is_paused:
            data = bytes(self._kept[: self.max_size])
            del self._kept[: self.max_size]
            now = asyncio.get_running_loop().time()
            if not self.wake_ups or now - self.wake_ups[-1] > 0.0001:
                self.wake_ups.append(now)
            self._wire.data_received(data)

    def pause_reading(self) -> None:
        assert not self._is_paused
        self._is_paused = True

    def resume_reading(self) -> None:
        assert self._is_paused
        self._is_paused = False
        self._deliver()

    def abort(self) -> None:
        self._is_paused = True


@dataclass
class Watched:
    """How a line was read."""

    arrived: list[float] = field(default_factory=list)
    """Moment at which the last byte of each frame came."""
    published: list[float] = field(default_factory=list)
    """Moment at which each frame was emitted."""
    wake_ups: list[float] = field(default_factory=list)
    lost: int = 0
    ended: float = 0.0
    """Moment at which reading ended, and why."""
    error: BaseException | None = None
    last_byte: float = 0.0

    @property
    def delays(self) -> list[float]:
        """Seconds from the last byte of each frame until it was emitted."""
        assert len(self.arrived) == len(self.published), "a frame is missing"
        return [there - came for came, there in zip(self.arrived, self.published, strict=True)]


def at_speed(
    frames: Iterable[bytes], byte_s: float, piece_s: float = 0.02, gap_s: float = GAP_S
) -> Iterator[tuple[float, bytes]]:
    """Moments and the bytes that come then: what a line carries in `piece_s`, as an adapter or a bridge hands it on."""
    begin, due, piece = 0.0, piece_s, b""
    for frame in frames:
        for place in range(len(frame)):
            begin += byte_s
            while begin > due:
                if piece:
                    yield due, piece
                due, piece = due + piece_s, b""
            piece += frame[place : place + 1]
        begin += GAP_S
    yield due, piece


def watch(line: Iterable[tuple[float, bytes]], crowd: int = 1, baud: int | None = None, seconds: float = 20.0) -> Watched:
    """Let the driver read a line to its end, and for some seconds more."""
    found = Watched()

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        wire = Wire("/dev/ttyTEST", baud)
        wire.crowd = crowd
        kernel = Kernel(wire)
        for moment, data in line:
            loop.call_at(moment, kernel.arrive, data)
            found.arrived += [moment] * (data.count(b"\x03") + data.count(b"\x04"))
            found.last_byte = moment

        def take(item: Item) -> None:
            if isinstance(item, Snapshot):
                found.published.append(loop.time())

        options: dict[str, Options | None] = {"home": Options(baud=baud)}
        try:
            async with asyncio.timeout_at(found.last_byte + seconds):
                await PROTOCOL.read(wire, options, {}, take)
        except (OSError, TimeoutError) as error:
            found.error = error
        found.ended, found.wake_ups, found.lost = loop.time(), kernel.wake_ups, kernel.lost

    run(scene())
    return found


def frames_of(meter: Any, count: int, byte_s: float) -> list[bytes]:
    """What a simulated meter sends next, frame by frame."""
    frames = []
    for _ in range(count):
        frames.append(meter.frame())
        meter.advance(meter.now + len(frames[-1]) * byte_s + GAP_S)
    return frames
