"""Put a simulated meter that answers on a pseudo-terminal or a TCP port: bytes go both ways, each at its time."""

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
_ENOUGH = 65_536
"""Bytes that wait for a client that does not read: more are lost."""


class Asked(Protocol):
    """A meter that answers. Times are those of the event loop."""

    def feed(self, data: bytes, now: float) -> None:
        """What the client writes."""

    def take(self, now: float) -> bytes:
        """What it has said until now."""

    def due(self) -> float:
        """When to take next; inf: not before it is asked."""

    def reopen(self) -> None:
        """A client opened the line."""


class _Conversation:
    """One meter and its line."""

    def __init__(self, meter: Asked, write: Write) -> None:
        self._meter, self._write = meter, write
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.step()

    def opened(self) -> None:
        self._meter.reopen()
        self.step()

    def hear(self, data: bytes) -> None:
        self._meter.feed(data, self._loop.time())
        self.step()

    def step(self) -> None:
        """Write what is due, and come back when something is next."""
        self.end()
        if data := self._meter.take(self._loop.time()):
            self._write(data)
        if (due := self._meter.due()) < float("inf"):
            self._timer = self._loop.call_at(due, self.step)

    def end(self) -> None:
        if self._timer:
            self._timer.cancel()


@contextlib.asynccontextmanager
async def on_pty(meter: Asked, path: str | None = None) -> AsyncIterator[str]:
    """A pseudo-terminal that outlives its clients: its path (a symbolic link, where `path` is given)."""
    loop = asyncio.get_running_loop()
    with pseudo_terminal(path) as pty, _openings(pty.name) as openings:
        conversation = _Conversation(meter, pty.write)

        def opened() -> None:
            with contextlib.suppress(BlockingIOError):
                os.read(openings, 4096)
                conversation.opened()

        def hear() -> None:
            opened()  # before what the client writes
            with contextlib.suppress(BlockingIOError):
                conversation.hear(os.read(pty.master, 4096))

        loop.add_reader(openings, opened)
        loop.add_reader(pty.master, hear)
        try:
            yield path or pty.name
        finally:
            loop.remove_reader(openings)
            loop.remove_reader(pty.master)
            conversation.end()


@contextlib.contextmanager
def _openings(path: str) -> Iterator[int]:
    """A descriptor that can be read once somebody has opened the file: Linux's inotify, which Python lacks."""
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
async def on_tcp(meter: Callable[[], Asked], host: str, port: int) -> AsyncIterator[str]:
    """A TCP port: its address. `meter` gives each connection its meter, the same one again or another.

    Clients of the same meter all hear what it says; what it says while it has none is lost.
    """
    lines: dict[Asked, set[asyncio.StreamWriter]] = {}
    conversations: dict[Asked, _Conversation] = {}

    def connect(asked: Asked, writer: asyncio.StreamWriter) -> _Conversation:
        def write(data: bytes) -> None:
            for line in lines[asked]:
                if line.transport.get_write_buffer_size() < _ENOUGH:
                    line.write(data)

        clients = lines.setdefault(asked, set())
        conversation = conversations.get(asked) or _Conversation(asked, write)
        conversations[asked] = conversation
        clients.add(writer)
        conversation.opened()
        return conversation

    def disconnect(asked: Asked, writer: asyncio.StreamWriter) -> None:
        lines[asked].discard(writer)
        if not lines[asked]:
            conversations.pop(asked).end()
            del lines[asked]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = meter()
        conversation = connect(asked, writer)
        try:
            while data := await reader.read(4096):
                conversation.hear(data)
        except OSError:
            pass
        finally:
            disconnect(asked, writer)
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
