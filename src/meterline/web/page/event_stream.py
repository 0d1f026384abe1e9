"""Server-sent events: once a second what has changed, computed once for all who watch the same view: the same bytes to all.

An address that has few streams gets one more, also when all are taken: then the oldest of the address that has the most ends.

Nothing runs while nobody watches. A reader that does not keep up gets nothing more until it has taken what it was sent, then
everything at once, and is dropped when that takes too long: nothing piles up.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections import Counter
from collections.abc import Callable

from tornado.iostream import IOStream, StreamClosedError

from meterline import world
from meterline.web.http.connections import at_most
from meterline.web.page.document import View

log = logging.getLogger("meterline")

TICK = 1.0
"""Seconds between two messages."""
RETRY = 2000
"""Milliseconds until a browser opens a stream again that was lost."""
MOST = 250
"""Streams at once; never more than a quarter of the files that this process may open."""
PATIENCE = 10
"""Ticks that a reader may take for what it was sent."""
SEND_BUFFER = 64 * 1024
"""Bytes that the kernel keeps for a reader: a minute or more of messages."""
GONE_AFTER = 30_000
"""Milliseconds without a sign of the other side until the kernel gives a connection up: phones leave without a word."""


class _Reader:
    """One open stream. `place`: whose it is."""

    def __init__(self, stream: IOStream, place: str) -> None:
        self.stream = stream
        self.place = place
        self.behind = 0

    def write(self, data: bytes) -> None:
        with contextlib.suppress(StreamClosedError):
            self.stream.write(data)


class _Channel:
    """A view that somebody watches: what its readers have been told."""

    def __init__(self, slots: dict[str, str], mark: str) -> None:
        self.slots = slots
        self.mark = mark
        self.readers: set[_Reader] = set()
        self._whole = b""

    def whole(self) -> bytes:
        """Everything, for who is new or was behind."""
        self._whole = self._whole or event(message(self.slots, self.mark))
        return self._whole

    def send(self, slots: dict[str, str]) -> None:
        """What is not as it was."""
        changed = {place: text for place, text in slots.items() if self.slots.get(place) != text}
        if changed:
            self.slots, self._whole = slots, b""
        news = event(message(changed))
        for reader in tuple(self.readers):
            if not reader.stream.writing():
                reader.write(self.whole() if reader.behind else news)
                reader.behind = 0
            elif reader.behind < PATIENCE:
                reader.behind += 1
            else:
                reader.stream.close()


def message(slots: dict[str, str], mark: str | None = None) -> str:
    """What the script of the page reads. `mark`: all of the page, and which page it is of."""
    return json.dumps({"slots": slots} if mark is None else {"mark": mark, "slots": slots}, ensure_ascii=False)


def event(text: str) -> bytes:
    """One event of the stream."""
    return f"data: {text}\n\n".encode("utf-8", "replace")


class Hub:
    """All open streams. `slots`: a view → what stands where on it now."""

    def __init__(self, slots: Callable[[View], dict[str, str]]) -> None:
        self._slots = slots
        self._channels: dict[View, _Channel] = {}
        self._readers: dict[_Reader, None] = {}
        self._beat: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def count(self) -> int:
        """Open streams."""
        return len(self._readers)

    def has_room(self, place: str) -> bool:
        """Whether that address may have one more. Where all are taken, only if another has more, also afterwards."""
        shares = Counter(reader.place for reader in self._readers)
        return self.count < at_most(MOST) or shares[place] + 1 < max(shares.values(), default=0)

    def join(self, view: View, stream: IOStream, place: str, head: bytes) -> None:
        """Serve a stream whose request was read: `head` of the answer, everything once, and from then on what changes."""
        if self._closed:
            stream.close()
        if stream.closed():
            return
        if self.count >= at_most(MOST):
            self._make_room()
        _bound(stream.socket)
        channel = self._channels.get(view) or self._channels.setdefault(view, _Channel(self._slots(view), view.mark))
        reader = _Reader(stream, place)
        channel.readers.add(reader)
        self._readers[reader] = None
        stream.set_close_callback(lambda: self._leave(view, channel, reader))
        reader.write(head + b"retry: %d\n\n" % RETRY + channel.whole())
        if self._beat is None or self._beat.done():
            self._beat = asyncio.create_task(self._tick())

    def _make_room(self) -> None:
        ((greediest, _),) = Counter(reader.place for reader in self._readers).most_common(1)
        oldest = next(reader for reader in self._readers if reader.place == greediest)
        del self._readers[oldest]
        oldest.stream.close()

    def _leave(self, view: View, channel: _Channel, reader: _Reader) -> None:
        self._readers.pop(reader, None)
        channel.readers.discard(reader)
        if not channel.readers and self._channels.get(view) is channel:
            del self._channels[view]

    async def _tick(self) -> None:
        """Until nobody watches."""
        while self._channels:
            await world.current.sleep(TICK)
            for view, channel in tuple(self._channels.items()):
                try:
                    channel.send(self._slots(view))
                except Exception:  # our own defect: never the end of the other pages
                    log.exception("a defect in meterline's page; please report it")
                    self._close(channel)

    def _close(self, channel: _Channel) -> None:
        for reader in tuple(channel.readers):
            reader.stream.close()

    def begin_anew(self) -> None:
        """The meters are others now: browsers ask again, and see it."""
        for channel in tuple(self._channels.values()):
            self._close(channel)
        self._channels.clear()

    def close(self) -> None:
        """The server stops: every stream ends, also one that is only just asked for."""
        self._closed = True
        if self._beat:
            self._beat.cancel()
        self.begin_anew()


def _bound(connection: socket.socket) -> None:
    """Little room for a reader that does not read, and not for ever."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        if hasattr(socket, "TCP_USER_TIMEOUT") and connection.family in (socket.AF_INET, socket.AF_INET6):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_AFTER)
