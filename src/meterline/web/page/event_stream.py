"""Server-sent events: the changes of each open page, once a second. All readers of a view get the same bytes, made once.

The number of streams is bounded, fairly among addresses: while all streams are taken, a new stream of an address with few
streams closes the oldest one of the address that has the most.

Without an open page nothing runs. A reader that is too slow gets nothing more until it has received what was sent to it, then
all values at once; if that takes too long, its stream is closed. So the server never queues messages.
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

INTERVAL_S = 1.0
"""Time between two messages."""
RETRY_MS = 2000
"""Time after which a browser opens a lost stream again."""
STREAMS_MAX = 250
"""Open streams; never more than a quarter of the files that this process may open."""
SKIPPED_MAX = 10
"""Messages in succession that a slow reader may miss before its stream is closed."""
SEND_BUFFER_BYTES = 64 * 1024
"""The kernel's buffer for a reader: at least a minute of messages."""
UNACKNOWLEDGED_MAX_MS = 30_000
"""Time without an acknowledgement after which the kernel closes a connection: phones leave without closing theirs."""


class _Reader:
    """One open stream. `share`: the client's address, as `share_of` groups it."""

    def __init__(self, stream: IOStream, share: str) -> None:
        self.stream = stream
        self.share = share
        self.skipped = 0

    def write(self, data: bytes) -> None:
        with contextlib.suppress(StreamClosedError):
            self.stream.write(data)


class _Channel:
    """A view with open streams, and the values that were sent to them."""

    def __init__(self, slots: dict[str, str], mark: str) -> None:
        self.slots = slots
        self.mark = mark
        self.readers: set[_Reader] = set()
        self._whole = b""

    def whole(self) -> bytes:
        """Return the message with all values, for a reader that is new or missed some."""
        self._whole = self._whole or event(message(self.slots, self.mark))
        return self._whole

    def send(self, slots: dict[str, str]) -> None:
        """Send the values that have changed."""
        changed = {place: text for place, text in slots.items() if self.slots.get(place) != text}
        if changed:
            self.slots, self._whole = slots, b""
        news = event(message(changed))
        for reader in tuple(self.readers):
            if not reader.stream.writing():
                reader.write(self.whole() if reader.skipped else news)
                reader.skipped = 0
            elif reader.skipped < SKIPPED_MAX:
                reader.skipped += 1
            else:
                reader.stream.close()


def message(slots: dict[str, str], mark: str | None = None) -> str:
    """Return a message for the script of the page, as JSON.

    Args:
        slots: Place in the page → HTML.
        mark: The mark of the view, for a message with all values; None for one with changes.
    """
    return json.dumps({"slots": slots} if mark is None else {"mark": mark, "slots": slots}, ensure_ascii=False)


def event(text: str) -> bytes:
    """Return the bytes of one event of the stream."""
    return f"data: {text}\n\n".encode("utf-8", "replace")


class Hub:
    """All open streams."""

    def __init__(self, slots: Callable[[View], dict[str, str]]) -> None:
        """`slots` returns the changing parts of a view now: place in the page → HTML."""
        self._slots = slots
        self._channels: dict[View, _Channel] = {}
        self._readers: dict[_Reader, None] = {}
        self._ticking: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def count(self) -> int:
        """Number of open streams."""
        return len(self._readers)

    def has_room(self, share: str) -> bool:
        """Return whether an address may open one more stream. While all are taken: only if another has more even then."""
        shares = Counter(reader.share for reader in self._readers)
        return self.count < at_most(STREAMS_MAX) or shares[share] + 1 < max(shares.values(), default=0)

    def join(self, view: View, stream: IOStream, share: str, head: bytes) -> None:
        """Serve a stream: all values once, then the changes, until the client or the hub closes the stream.

        Args:
            view: The page that is open.
            stream: The connection, whose request was read.
            share: The client's address, as `share_of` groups it.
            head: Status line and headers of the answer.
        """
        if self._closed:
            stream.close()
        if stream.closed():
            return
        if self.count >= at_most(STREAMS_MAX):
            self._make_room()
        _limit_buffer(stream.socket)
        channel = self._channels.get(view) or self._channels.setdefault(view, _Channel(self._slots(view), view.mark))
        reader = _Reader(stream, share)
        channel.readers.add(reader)
        self._readers[reader] = None
        stream.set_close_callback(lambda: self._leave(view, channel, reader))
        reader.write(head + b"retry: %d\n\n" % RETRY_MS + channel.whole())
        if self._ticking is None or self._ticking.done():
            self._ticking = asyncio.create_task(self._tick())

    def _make_room(self) -> None:
        ((greediest, _),) = Counter(reader.share for reader in self._readers).most_common(1)
        oldest = next(reader for reader in self._readers if reader.share == greediest)
        del self._readers[oldest]
        oldest.stream.close()

    def _leave(self, view: View, channel: _Channel, reader: _Reader) -> None:
        self._readers.pop(reader, None)
        channel.readers.discard(reader)
        if not channel.readers and self._channels.get(view) is channel:
            del self._channels[view]

    async def _tick(self) -> None:
        """Send the changes of all views once a second, until no stream is open."""
        while self._channels:
            await world.current.sleep(INTERVAL_S)
            for view, channel in tuple(self._channels.items()):
                try:
                    channel.send(self._slots(view))
                except Exception:  # A defect of meterline must not end the other pages.
                    log.exception("a defect in meterline's page; please report it")
                    self._close(channel)

    def _close(self, channel: _Channel) -> None:
        for reader in tuple(channel.readers):
            reader.stream.close()

    def close_streams(self) -> None:
        """Close all streams after a change of the meters: browsers connect again and load the page anew."""
        for channel in tuple(self._channels.values()):
            self._close(channel)
        self._channels.clear()

    def close(self) -> None:
        """Close all streams, and every further one at once: the server is stopping."""
        self._closed = True
        if self._ticking:
            self._ticking.cancel()
        self.close_streams()


def _limit_buffer(connection: socket.socket) -> None:
    """Limit what the kernel stores for a reader that does not read, and for how long."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        if hasattr(socket, "TCP_USER_TIMEOUT") and connection.family in (socket.AF_INET, socket.AF_INET6):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MAX_MS)
