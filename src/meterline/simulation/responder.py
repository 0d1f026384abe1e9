"""The line of a simulated meter or adapter that sends replies: a pseudo-terminal or a TCP port, for both directions."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Protocol

from meterline import world
from meterline.simulation.line import Write, pseudo_terminal

_IN_OPEN = 0x20
_UNREAD_MAX_BYTES = 65_536
"""Bytes that wait for a client which does not read; further bytes are lost."""


class Responder(Protocol):
    """A simulated meter or adapter that sends replies. All times are those of the event loop, in seconds."""

    def feed(self, data: bytes, now: float) -> None:
        """Take bytes that a client wrote."""

    def take(self, now: float) -> bytes:
        """Return the bytes that are due until `now`."""

    def due(self) -> float:
        """Return the time of the next bytes; infinity: none before a client writes."""

    def reopen(self) -> None:
        """React to a client that opened the line."""


class _Connection:
    """A responder on its line."""

    def __init__(self, meter: Responder, write: Write) -> None:
        self._meter, self._write = meter, write
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.step()

    def opened(self) -> None:
        self._meter.reopen()
        self.step()

    def receive(self, data: bytes) -> None:
        self._meter.feed(data, self._loop.time())
        self.step()

    def step(self) -> None:
        """Write the bytes that are due, and set a timer for the next."""
        self.end()
        if data := self._meter.take(self._loop.time()):
            self._write(data)
        if (due := self._meter.due()) < float("inf"):
            self._timer = self._loop.call_at(due, self.step)

    def end(self) -> None:
        if self._timer:
            self._timer.cancel()


@contextlib.asynccontextmanager
async def on_pty(meter: Responder, path: str | None = None) -> AsyncIterator[str]:
    """Open a pseudo-terminal for a responder. Clients may open and close it repeatedly.

    Args:
        meter: The responder.
        path: Symbolic link to make; None: none.

    Yields:
        The path for clients.
    """
    loop = asyncio.get_running_loop()
    with pseudo_terminal(path) as pty, _openings(pty.name) as openings:
        connection = _Connection(meter, pty.write)

        def opened() -> None:
            with contextlib.suppress(BlockingIOError):
                os.read(openings, 4096)
                connection.opened()

        def receive() -> None:
            opened()  # The opening comes before the first bytes.
            with contextlib.suppress(BlockingIOError):
                connection.receive(os.read(pty.master, 4096))

        loop.add_reader(openings, opened)
        loop.add_reader(pty.master, receive)
        try:
            yield path or pty.name
        finally:
            loop.remove_reader(openings)
            loop.remove_reader(pty.master)
            connection.end()


@contextlib.contextmanager
def _openings(path: str) -> Iterator[int]:
    """Yield a descriptor that becomes readable when a program opens the file: inotify, for which Python has no module."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if watch < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
    try:
        libc.inotify_add_watch(watch, os.fsencode(path), _IN_OPEN)
        yield watch
    finally:
        os.close(watch)


@contextlib.asynccontextmanager
async def on_tcp(meter: Callable[[], Responder], host: str, port: int) -> AsyncIterator[str]:
    """Open a TCP port for responders. All clients of a responder receive its bytes; without a client they are lost.

    Args:
        meter: Returns the responder of a new connection: always the same one, or another each time.
        host: Address to listen on.
        port: Port to listen on; 0: any free port.

    Yields:
        The URL.
    """
    lines: dict[Responder, set[asyncio.StreamWriter]] = {}
    connections: dict[Responder, _Connection] = {}

    def connect(responder: Responder, writer: asyncio.StreamWriter) -> _Connection:
        def write(data: bytes) -> None:
            for line in lines[responder]:
                if line.transport.get_write_buffer_size() < _UNREAD_MAX_BYTES:
                    line.write(data)

        clients = lines.setdefault(responder, set())
        connection = connections.get(responder) or _Connection(responder, write)
        connections[responder] = connection
        clients.add(writer)
        connection.opened()
        return connection

    def disconnect(responder: Responder, writer: asyncio.StreamWriter) -> None:
        lines[responder].discard(writer)
        if not lines[responder]:
            connections.pop(responder).end()
            del lines[responder]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        responder = meter()
        connection = connect(responder, writer)
        try:
            while data := await reader.read(4096):
                connection.receive(data)
        except OSError:
            pass
        finally:
            disconnect(responder, writer)
            writer.close()

    server = await asyncio.start_server(serve, host, port)
    try:
        address = server.sockets[0].getsockname()
        yield f"tcp://{address[0]}:{address[1]}"
    finally:
        server.close()
        for writer in [writer for clients in lines.values() for writer in clients]:
            writer.transport.abort()
        await world.current.sleep(0)
