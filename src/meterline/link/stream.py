"""The interface of an open link, and what all links over a transport of asyncio have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from meterline import world
from meterline.link import errors
from meterline.link.errors import LinkError
from meterline.link.ticks import TICK_S, call_at
from meterline.link.url import shown

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


class SerialSettings(NamedTuple):
    """How a serial device is opened.

    Attributes:
        baud: Speed, in bits a second.
        form: Data bits, parity and stop bits of a character.
    """

    baud: int = 9600
    form: Form = "7E1"


class Link(Protocol):
    """An open link: bytes from a meter, and to it.

    Attributes:
        url: The link's URL for every text: without user and password.
        baud: Speed in use, in bits a second; None where the link has none (TCP, capture).
        timed: False where bytes do not come when the meter sent them (a capture replayed at full speed).
        crowd: How many links this process reads: drivers that can wait rest longer in a crowd.
        received: Bytes that came so far.
        tap: Gets a copy of everything that is read; None: nobody listens in.
    """

    url: str
    baud: int | None
    timed: bool
    crowd: int
    received: int
    tap: Tap | None

    async def read(self) -> bytes:
        """Wait for bytes.

        Returns:
            At least one byte, at most what one turn of the event loop decodes. A cancelled read loses nothing.

        Raises:
            LinkError: The link was lost, and all that came before was read.
            EOFError: The capture has ended.
        """

    def unread(self, data: bytes) -> None:
        """Put bytes back in front of all that is still to be read."""

    def rest_until(self, moment: float) -> None:
        """Leave the line alone: what comes until then waits in the kernel, since waking up costs more than decoding.

        A line that is left alone for longer than its kernel's buffer lasts (4 KiB of a serial device) loses bytes. A capture
        does not rest.

        Args:
            moment: Seconds of the clock of the event loop. A moment that is near or has passed is no rest.
        """

    async def write(self, data: bytes) -> None:
        """Send bytes to the meter. A capture drops them.

        Raises:
            LinkError: The link was lost.
        """

    async def set_baud(self, baud: int, form: Form = "7E1") -> None:
        """Change speed and form; what was received before is dropped. Nothing happens where there is no speed.

        Args:
            baud: Bits a second.
            form: Data bits, parity and stop bits of a character.

        Raises:
            LinkError: The link was lost.
        """


class Wire(asyncio.Protocol):
    """A link over a transport of asyncio: all of a TCP bridge, and what a serial device has in common with it.

    A reader that rests, or that does not keep up, pauses the transport: what is sent meanwhile waits in the kernel.
    """

    timed = True

    def __init__(self, url: str, baud: int | None = None) -> None:
        self.url = shown(url)
        self.baud = baud
        self.crowd = 1
        self.received = 0
        self.tap: Tap | None = None
        self._transport: Any = None
        self._buffer = bytearray()
        self._left = False
        self._has_rested = False
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
        now = asyncio.get_running_loop().time()
        ahead = max(self._due - now, 0.0) + len(data) / PACE
        self._due = now + ahead
        if self._resume is None and (ahead >= AHEAD or len(self._buffer) > MAX_BUFFER):
            self._pause_until(now + ahead)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the link is gone."""
        self._lost = errors.lost(self.url, exc)
        if self._resume:
            self._resume.cancel()
        self._wake()

    def rest_until(self, moment: float) -> None:
        """See `Link`."""
        if moment - asyncio.get_running_loop().time() >= TICK_S and not self._lost:
            self._has_rested = True
            self._pause_until(moment)

    def _pause_until(self, moment: float) -> None:
        """Pause, at least until then."""
        if self._resume is None:
            self._transport.pause_reading()
        elif self._resume.when() >= moment:
            return
        else:
            self._resume.cancel()
        self._resume = call_at(moment, self._go_on, self.crowd)

    def _go_on(self) -> None:
        self._resume = None
        if len(self._buffer) > MAX_BUFFER:
            self._resume = call_at(asyncio.get_running_loop().time() + AHEAD, self._go_on, self.crowd)
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
        most, self._has_rested = MAX_RESTED if self._has_rested else MAX_READ, False
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
        """See `Link`. A bridge sets the speed of its line itself."""
        if self._lost:
            raise self._lost

    async def close(self) -> None:
        """Close, and forget what was not read."""
        if self._resume:
            self._resume.cancel()
        self._transport.abort()
