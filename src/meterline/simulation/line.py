"""The line of a simulated meter that sends frames unasked: a pseudo-terminal or a TCP port, at real speed, with faults."""

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

WRITE_INTERVAL_S = 0.05
"""Time between two writes: a line delivers single characters, a USB adapter small packets."""
FRAME_GAP_S = 0.025
"""Silence between two frames: 16.7 to 33.4 ms (54E)."""
_SPEEDS = {termios.B1200: 1200, termios.B9600: 9600}


class Talker(Protocol):
    """A meter that sends frames unasked.

    Attributes:
        mode: Its mode, such as ``historic``; decides about the speed of its line.
    """

    mode: str

    def advance(self, now: float) -> None:
        """Advance the meter to the Unix time `now`."""

    def frame(self) -> bytes:
        """Return the next frame."""


@dataclass
class Faults:
    """Faults of the line.

    Attributes:
        bit_errors: Rate of inverted bits.
        lost_bytes: Rate of lost bytes.
        silence: (period, length) in seconds: nothing is sent in the last `length` of every `period`; None: never.
        eot: Every how many frames one is cut by EOT; 0: none.
        mode: Seconds after which the meter changes its mode, repeatedly; 0: never.
        seed: Seed of the random faults.
    """

    bit_errors: float = 0.0
    lost_bytes: float = 0.0
    silence: tuple[int, int] | None = None
    eot: int = 0
    mode: int = 0
    seed: int = 1

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._frames = 0

    def silent(self, now: float) -> bool:
        """Return whether the line is silent at the Unix time `now`."""
        return bool(self.silence) and now % self.silence[0] >= self.silence[0] - self.silence[1]  # type: ignore[index]

    def damage(self, frame: bytes) -> bytes:
        """Return a frame with the faults of the line."""
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


async def talk(
    meter: Talker, baud: dict[str, int], write: Write, faults: Faults, reader_baud: Callable[[], int | None]
) -> None:
    """Send frames until cancelled.

    Args:
        meter: The meter.
        baud: Mode of the meter → speed of its line in bauds.
        write: Writes to the line.
        faults: Faults of the line.
        reader_baud: Returns the speed that the reader has set; None where the line does not tell.
    """
    change = world.current.monotonic() + faults.mode if faults.mode else float("inf")
    while True:
        if world.current.monotonic() >= change:
            meter.mode = "standard" if meter.mode == "historic" else "historic"
            change += faults.mode
        now = world.current.now()
        if faults.silent(now):
            await world.current.sleep(WRITE_INTERVAL_S)
            continue
        meter.advance(now)
        speed = baud[meter.mode]
        for piece in _pieces(faults.damage(meter.frame()), speed):
            reader = reader_baud()
            write(piece if reader in (None, speed) else noise(piece, speed, reader or speed))
            await world.current.sleep(len(piece) * 10 / speed)
        await world.current.sleep(FRAME_GAP_S)


def _pieces(frame: bytes, baud: int) -> Iterator[bytes]:
    size = max(1, int(baud / 10 * WRITE_INTERVAL_S))
    for start in range(0, len(frame), size):
        yield frame[start : start + size]


def noise(data: bytes, sent: int, heard: int) -> bytes:
    """Return what a reader at the wrong speed receives: a bit at a low speed lasts several bits at a high one.

    Args:
        data: The bytes sent.
        sent: Speed of the sender in bauds.
        heard: Speed of the reader in bauds.
    """
    kinds = b"\x00\x80\xf8\xff" if heard > sent else b"\x9e\xf3\x00\xe7"
    count = max(1, len(data) * heard // sent) if heard < sent else len(data) * 4
    return bytes(kinds[(byte * 7 + position) % 4] for position, byte in zip(range(count), data * 4, strict=False))


class Pty(NamedTuple):
    """A pseudo-terminal. Without a reader, new bytes are lost.

    Attributes:
        master: Descriptor of the simulator's end.
        slave: Descriptor of the reader's end.
        name: Path of the reader's end.
    """

    master: int
    slave: int
    name: str

    def write(self, data: bytes) -> None:
        """Write to the reader. Without a reader, new bytes are lost: a flush of the old ones looks like an unplugged device.

        A reader that was notified of bytes which are gone then reads nothing, and a terminal reports a hang-up in this way.
        """
        with contextlib.suppress(BlockingIOError):
            os.write(self.master, data)

    def speed(self) -> int | None:
        """Return the speed that the reader has set, in bauds; None if no meter has this speed."""
        return _SPEEDS.get(termios.tcgetattr(self.slave)[4])


@contextlib.contextmanager
def pseudo_terminal(path: str | None) -> Iterator[Pty]:
    """Open a raw pseudo-terminal, with a symbolic link to it at `path`.

    Raises:
        FileExistsError: `path` exists and is no symbolic link.
    """
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
    """Open a pseudo-terminal for a meter that sends unasked.

    Args:
        path: Symbolic link to make; None: none.

    Yields:
        The path for readers, a function that writes, and one that returns the reader's speed.
    """
    with pseudo_terminal(path) as pty:
        yield path or pty.name, pty.write, pty.speed


def _replace_link(target: str, path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    os.symlink(target, path)


@contextlib.asynccontextmanager
async def on_tcp(host: str, port: int) -> AsyncIterator[tuple[str, Write, Callable[[], int | None]]]:
    """Open a TCP port for a meter that sends unasked.

    Yields:
        The URL, a function that writes to all clients, and one that returns None: a bridge does not tell its speed.
    """
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
