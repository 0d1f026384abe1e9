"""Put a simulated meter that talks by itself on a pseudo-terminal or a TCP port, at the speed of its line, with faults."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
import termios
import tty
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from meterline import world

Write = Callable[[bytes], None]

SLICE = 0.05
"""Seconds between two writes: a line delivers its characters one by one, a USB adapter in small packets."""
GAP = 0.025
"""Seconds of silence between two frames: 16.7 to 33.4 ms (54E)."""
_SPEEDS = {termios.B1200: 1200, termios.B9600: 9600}


class Talker(Protocol):
    """A meter that sends frames without being asked."""

    mode: str

    def advance(self, now: float) -> None:
        """Let the time pass until `now` (Unix seconds)."""

    def frame(self) -> bytes:
        """The next frame."""


@dataclass
class Faults:
    """What goes wrong on the line. Rates are per bit and per byte; pairs are (period, length) in seconds."""

    bit_errors: float = 0.0
    lost_bytes: float = 0.0
    silence: tuple[int, int] | None = None
    eot: int = 0
    """Every how many frames one is cut short by EOT."""
    mode: int = 0
    """Seconds after which the meter changes between historic and standard mode, again and again."""
    seed: int = 1

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._frames = 0

    def silent(self, now: float) -> bool:
        """Whether nothing is sent at this moment: the last `length` seconds of every `period`."""
        return bool(self.silence) and now % self.silence[0] >= self.silence[0] - self.silence[1]  # type: ignore[index]

    def damage(self, frame: bytes) -> bytes:
        """The frame as it arrives."""
        self._frames += 1
        if self.eot and self._frames % self.eot == 0:
            frame = frame[: frame.rfind(b"\r", 0, len(frame) // 2) + 1] + b"\x04"
        if not (self.bit_errors or self.lost_bytes):
            return frame
        arrived = bytearray()
        for byte in frame:
            if self._random.random() < self.lost_bytes:
                continue
            for bit in range(8):
                byte ^= (self._random.random() < self.bit_errors) << bit
            arrived.append(byte)
        return bytes(arrived)


async def talk(meter: Talker, baud: dict[str, int], write: Write, faults: Faults, heard_at: Callable[[], int | None]) -> None:
    """Send frames for ever. `baud`: mode → speed of the line. `heard_at`: the reader's speed, where the line can know it."""
    change = world.current.monotonic() + faults.mode if faults.mode else float("inf")
    while True:
        if world.current.monotonic() >= change:
            meter.mode = "standard" if meter.mode == "historic" else "historic"
            change += faults.mode
        now = world.current.now()
        if faults.silent(now):
            await world.current.sleep(SLICE)
            continue
        meter.advance(now)
        speed = baud[meter.mode]
        for piece in _pieces(faults.damage(meter.frame()), speed):
            reader = heard_at()
            write(piece if reader in (None, speed) else noise(piece, speed, reader or speed))
            await world.current.sleep(len(piece) * 10 / speed)
        await world.current.sleep(GAP)


def _pieces(frame: bytes, baud: int) -> Iterator[bytes]:
    size = max(1, int(baud / 10 * SLICE))
    for start in range(0, len(frame), size):
        yield frame[start : start + size]


def noise(data: bytes, sent: int, heard: int) -> bytes:
    """What a reader at another speed makes of it: a bit of a slow line lasts several of a fast one, and the reverse."""
    kinds = b"\x00\x80\xf8\xff" if heard > sent else b"\x9e\xf3\x00\xe7"
    count = max(1, len(data) * heard // sent) if heard < sent else len(data) * 4
    return bytes(kinds[(byte * 7 + position) % 4] for position, byte in zip(range(count), data * 4, strict=False))


class Pty(NamedTuple):
    """Both ends of a pseudo-terminal, and the name of its reader's."""

    master: int
    slave: int
    name: str

    def write(self, data: bytes) -> None:
        """To the reader. Where nobody reads, new bytes are lost: to flush the old ones would look like an unplugged device.

        A reader that was told of bytes which are gone reads nothing, and that is how a terminal says that it was hung up.
        """
        with contextlib.suppress(BlockingIOError):
            os.write(self.master, data)

    def speed(self) -> int | None:
        """The reader's, where it is one of a meter."""
        return _SPEEDS.get(termios.tcgetattr(self.slave)[4])


@contextlib.contextmanager
def pseudo_terminal(path: str | None) -> Iterator[Pty]:
    """A raw pseudo-terminal, and the symbolic link `path` to it."""
    if path and os.path.lexists(path) and not os.path.islink(path):
        raise FileExistsError(errno.EEXIST, "exists, and is not a link left by a simulator", path)
    master, slave = os.openpty()
    try:
        tty.setraw(slave)
        os.set_blocking(master, False)
        name = os.ttyname(slave)
        if path:
            _replace_link(name, path)
        yield Pty(master, slave, name)
    finally:
        if path and os.path.islink(path) and os.readlink(path) == os.ttyname(slave):
            os.unlink(path)
        os.close(slave)
        os.close(master)


@contextlib.asynccontextmanager
async def on_pty(path: str | None = None) -> AsyncIterator[tuple[str, Write, Callable[[], int | None]]]:
    """A pseudo-terminal: its path (a symbolic link, where `path` is given), how to write, and the reader's speed."""
    with pseudo_terminal(path) as pty:
        yield path or pty.name, pty.write, pty.speed


def _replace_link(target: str, path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    os.symlink(target, path)


@contextlib.asynccontextmanager
async def on_tcp(host: str, port: int) -> AsyncIterator[tuple[str, Write, Callable[[], int | None]]]:
    """A TCP bridge: its address, how to write to every client, and no speed."""
    clients: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clients.add(writer)
        try:
            while await reader.read(1024):
                pass
        except OSError:
            pass
        finally:
            clients.discard(writer)
            writer.close()

    def write(data: bytes) -> None:
        for writer in clients:
            if writer.transport.get_write_buffer_size() < 65_536:
                writer.write(data)

    server = await asyncio.start_server(serve, host, port)
    try:
        address = server.sockets[0].getsockname()
        yield f"tcp://{address[0]}:{address[1]}", write, lambda: None
    finally:
        server.close()
        for writer in list(clients):
            writer.transport.abort()
        await world.current.sleep(0)
