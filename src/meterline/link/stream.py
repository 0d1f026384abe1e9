"""Open a link by URL: bytes in and out until it is lost.

    /dev/serial/by-id/…      a serial device: raw, 7E1 until a driver says otherwise, exclusive lock
    tcp://host:port          a raw TCP bridge (ser2net, ESPHome stream server …)
    file:PATH[?baud=1200]    a capture: as fast as possible, or at the pace of a line

A link that is lost, silent or cannot be opened is an OSError whose text is for people; a capture that ends is an EOFError.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import IO, Any, Literal, Protocol, TypeAlias
from urllib.parse import parse_qs, urlsplit

import serialx

from meterline import world
from meterline.link import errors

CONNECT_TIMEOUT = 10.0
CHUNK = 4096
MAX_READ, MAX_RESTED = 512, 2048
"""Bytes that one `read` of a wire gives, and one after a rest: what a turn of the loop decodes. More waits for its turn."""
PACE = 40_000
"""Bytes a second that are read in the long run: three times what the fastest line (115200 baud) carries."""
AHEAD = 0.1
"""Seconds by which a link may be ahead of that pace: a bridge that sends more has to wait."""
MAX_BUFFER = 1 << 16
"""Bytes that may wait for the driver before the link is paused: many times what any meter sends at once."""


Form: TypeAlias = Literal["7E1", "8N1"]
"""Data bits, parity and stop bits of a character."""


Tap: TypeAlias = Callable[[bytes], object]


class LinkError(OSError):
    """The link cannot be opened or was lost; the text says what to do."""


class Link(Protocol):
    """An open link."""

    url: str
    baud: int | None
    """Speed in use; None where the link has none (TCP, capture)."""
    timed: bool
    """False where bytes do not come when the meter sent them (a capture replayed at full speed)."""
    crowd: int
    """How many links this process reads: drivers that can wait rest longer in a crowd."""
    rest: float
    """Seconds to leave the line alone after each read: wake-ups cost more than decoding."""

    received: int
    """Bytes that came so far."""
    tap: Tap | None
    """Gets a copy of everything that is read."""

    async def read(self) -> bytes:
        """At least one byte. OSError when the link is lost, EOFError at the end of a capture."""

    def unread(self, data: bytes) -> None:
        """Put bytes back in front of all that is still to be read."""

    async def write(self, data: bytes) -> None:
        """Send bytes to the meter."""

    async def set_baud(self, baud: int, form: Form = "7E1") -> None:
        """Change speed and form; what was received before is dropped. Nothing happens where there is no speed."""


_SHAPES: dict[Form, dict[str, Any]] = {
    "7E1": {"byte_size": 7, "parity": serialx.Parity.EVEN},
    "8N1": {"byte_size": 8, "parity": serialx.Parity.NONE},
}


class Wire(asyncio.Protocol):
    """A serial device or a TCP connection."""

    timed = True

    def __init__(self, url: str, baud: int | None) -> None:
        self.url = url
        self.baud = baud
        self.crowd = 1
        self.rest = 0.0
        self.received = 0
        self.tap: Tap | None = None
        self._form: Form = "7E1"
        self._transport: Any = None
        self._buffer = bytearray()
        self._left = False
        self._due = 0.0
        self._lost: LinkError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._resume: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the link is open."""
        self._transport = transport
        self._transport.max_size = CHUNK  # asyncio and serialx would ask for 256 KiB at each read

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes have come."""
        self._buffer += data
        self.received += len(data)
        self._wake()
        loop = asyncio.get_running_loop()
        ahead = max(self._due - (now := loop.time()), 0.0) + len(data) / PACE
        self._due = now + ahead
        if self._resume is None and (self.rest or ahead >= AHEAD or len(self._buffer) > MAX_BUFFER):
            self._transport.pause_reading()
            self._resume = loop.call_later(max(self.rest, ahead), self._go_on)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the link is gone."""
        self._lost = LinkError(f"{self.url}: {errors.lost(exc)}")
        if self._resume:
            self._resume.cancel()
        self._wake()

    def _go_on(self) -> None:
        self._resume = None
        if len(self._buffer) > MAX_BUFFER:
            self._resume = asyncio.get_running_loop().call_later(AHEAD, self._go_on)
        else:
            self._transport.resume_reading()

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    async def read(self) -> bytes:
        """See `Link`."""
        if self._left:
            await world.current.sleep(0)  # others have their turn; nothing is taken yet that a time-out here could lose
        while not self._buffer:
            if self._lost:
                raise self._lost
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        most = MAX_RESTED if self.rest else MAX_READ
        data = bytes(self._buffer[:most])
        del self._buffer[:most]
        self._left = bool(self._buffer)
        if self.tap:
            self.tap(data)
        return data

    def unread(self, data: bytes) -> None:
        """See `Link`."""
        self._buffer[:0] = data

    async def write(self, data: bytes) -> None:
        """See `Link`."""
        if self._lost:
            raise self._lost
        self._transport.write(data)

    async def set_baud(self, baud: int, form: Form = "7E1") -> None:
        """See `Link`."""
        if self._lost:
            raise self._lost
        if self.baud is None or (self.baud, self._form) == (baud, form):
            return
        shape = {} if form == self._form else _SHAPES[form]
        try:
            await self._transport.reconfigure_port(baudrate=baud, **shape)
        except OSError as error:
            raise LinkError(f"{self.url}: {errors.lost(error)}") from error
        self._buffer.clear()
        self.baud, self._form = baud, form

    async def close(self) -> None:
        """Close, and give the device free for whoever opens it next."""
        if self._resume:
            self._resume.cancel()
        self._transport.abort()
        if self.baud is not None:
            await self._transport.wait_closed()


class Replay:
    """A capture."""

    baud: int | None = None

    def __init__(self, url: str, file: IO[bytes], pace: int | None) -> None:
        self.url = url
        self.crowd = 1
        self.rest = 0.0
        self.received = 0
        self.timed = pace is not None
        self.tap: Tap | None = None
        self._file = file
        self._pace = pace
        self._ahead = b""

    async def read(self) -> bytes:
        """See `Link`."""
        data, self._ahead = self._ahead, b""
        if not data:
            await world.current.sleep(0.1 if self._pace else 0)
            # Ten bits a character on the line, ten reads a second.
            data = self._file.read(max(1, self._pace // 100) if self._pace else CHUNK)
            self.received += len(data)
        if not data:
            raise EOFError
        if self.tap:
            self.tap(data)
        return data

    def unread(self, data: bytes) -> None:
        """See `Link`."""
        self._ahead = data + self._ahead

    async def write(self, data: bytes) -> None:
        """A capture does not listen."""

    async def set_baud(self, baud: int, form: Form = "7E1") -> None:
        """A capture has no speed."""

    async def close(self) -> None:
        """Close the file."""
        self._file.close()


@asynccontextmanager
async def open_link(url: str, baud: int = 9600) -> AsyncIterator[Link]:
    """The open link; closed at the end, whatever happens. LinkError where it cannot be opened."""
    link = await _open(url, baud)
    try:
        yield link
    finally:
        await link.close()


async def _open(url: str, baud: int) -> Wire | Replay:
    parts = urlsplit(url)
    if parts.scheme == "file":
        pace = parse_qs(parts.query).get("baud")
        try:
            return Replay(url, open(parts.path, "rb"), int(pace[0]) if pace else None)
        except OSError as error:
            raise LinkError(f"{parts.path}: {error.strerror}") from error
    if parts.scheme == "tcp":
        return await _connect(url, parts.hostname or "", parts.port or 0)
    return await _open_device(url, baud)


async def _connect(url: str, host: str, port: int) -> Wire:
    wire = Wire(url, None)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            addresses = await world.current.look_up(host)
            await _connect_first(wire, addresses, port)
    except TimeoutError:
        raise LinkError(f"{url}: no answer in {CONNECT_TIMEOUT:.0f} s; is the bridge on, and reachable?") from None
    except UnicodeError:
        raise LinkError(f"{url}: {host!r} cannot be the name of a host") from None
    except OSError as error:
        reason = "connection refused; is the bridge running?" if error.errno == errno.ECONNREFUSED else error.strerror
        raise LinkError(f"{url}: {reason or error}") from error
    return wire


async def _connect_first(wire: Wire, addresses: list[str], port: int) -> None:
    """Connect to the first address that answers."""
    for last, address in enumerate(addresses, 1 - len(addresses)):
        try:
            await asyncio.get_running_loop().create_connection(lambda: wire, address, port)
        except OSError:
            if last == 0:
                raise
        else:
            return


async def _open_device(path: str, baud: int) -> Wire:
    wire = Wire(path, baud)
    loop = asyncio.get_running_loop()
    try:
        try:
            await serialx.create_serial_connection(loop, lambda: wire, path, baudrate=baud, exclusive=True, **_SHAPES["7E1"])
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            # A pseudo-terminal keeps 8N1 and glibc refuses the change: open it as it is, bit 7 is masked anyway.
            wire = Wire(path, baud)
            await serialx.create_serial_connection(loop, lambda: wire, path, baudrate=baud, exclusive=True)
    except (OSError, serialx.SerialException) as error:
        raise LinkError(f"{path}: {errors.not_opened(path, error)}") from error
    return wire
