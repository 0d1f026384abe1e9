"""The bound on open connections, fair among client addresses, and the TLS of each connection.

No client is refused for lack of room. While `CONNECTIONS_MAX` connections are open, each new one closes the oldest connection
of the address that has the most. A scraper can therefore always connect, and slow clients displace one another only.

Headers that are too large are answered with status 431. The server then reads and drops the rest of the request for a short
time: a connection that is closed with unread bytes is reset, and the client would lose the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import socket
from collections.abc import Awaitable, Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from re import Pattern
from typing import TYPE_CHECKING, Any, TypeAlias

from tornado import httpserver, netutil
from tornado.iostream import IOStream, SSLIOStream, UnsatisfiableReadError

if TYPE_CHECKING:
    from meterline.web.http.reloading import Rules

log = logging.getLogger("meterline")

Network: TypeAlias = IPv4Network | IPv6Network
THIS_MACHINE = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
CONNECTIONS_MAX = 512
"""Open connections; never more than a quarter of the files that this process may open, since meters and pages need some too."""
ACCEPTED_AT_ONCE_MAX = 128
"""Connections accepted in one turn of the event loop."""
DRAINED_MAX = 64
"""Connections that were answered 431 and are drained, at the same time."""
DRAIN_TIMEOUT_S = 2.0
DRAIN_MAX_BYTES = 1 << 18
"""Limits of draining a request that was answered 431."""
_TOO_LARGE = b"431 Request Header Fields Too Large"
_REFUSAL = b"HTTP/1.1 %b\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b\n" % (
    _TOO_LARGE,
    len(_TOO_LARGE) + 1,
    _TOO_LARGE,
)


def at_most(wanted: int) -> int:
    """Return `wanted`, or a quarter of the files that this process may open if that is less."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if files == resource.RLIM_INFINITY else min(wanted, files // 4)


_draining: set[asyncio.Task[None]] = set()


async def _drain(connection: socket.socket) -> None:
    """Read and drop the rest of a request until the client closes the connection, or a limit is reached."""
    with connection, contextlib.suppress(OSError):  # TimeoutError is one.
        connection.setblocking(False)
        connection.shutdown(socket.SHUT_WR)
        left = DRAIN_MAX_BYTES
        async with asyncio.timeout(DRAIN_TIMEOUT_S):
            while left > 0 and (rest := await asyncio.get_running_loop().sock_recv(connection, 1 << 16)):
                left -= len(rest)


class _HeaderLimitStream(IOStream):
    """Answers headers that are too large with status 431.

    Tornado reads headers, and nothing else, with `read_until_regex`: so the stream knows what it was reading.
    """

    _of_headers = False

    def read_until_regex(self, regex: bytes | Pattern[bytes], max_bytes: int | None = None) -> Awaitable[bytes]:
        self._of_headers = True
        return super().read_until_regex(regex, max_bytes)  # type: ignore[arg-type]

    def read_until(self, delimiter: bytes, max_bytes: int | None = None) -> Awaitable[bytes]:
        self._of_headers = False
        return super().read_until(delimiter, max_bytes)

    def close(self, exc_info: Any = False) -> None:
        if isinstance(exc_info, UnsatisfiableReadError) and self._of_headers and not self.closed() and not self.writing():
            with contextlib.suppress(OSError):
                self.socket.send(_REFUSAL)
                if len(_draining) < DRAINED_MAX:
                    # Under TLS the connection itself is drained: its bytes need not be decrypted.
                    task = asyncio.create_task(_drain(socket.socket(fileno=os.dup(self.socket.fileno()))))
                    _draining.add(task)
                    task.add_done_callback(_draining.discard)
        super().close(exc_info)


class _HeaderLimitTlsStream(_HeaderLimitStream, SSLIOStream):
    """A `_HeaderLimitStream` over TLS."""


class Server(httpserver.HTTPServer):
    """Tornado's server with a bound on connections. Each new connection uses the TLS settings in force.

    Attributes:
        port: The TCP port; for a server that was started on port 0, the port that the system chose.
    """

    def initialize(self, *args: Any, rules: Rules | None = None, allowed: Sequence[Network] = (), **kwargs: Any) -> None:
        """Tornado's constructor.

        Args:
            args: Of Tornado's server.
            rules: The web configuration; None: no TLS.
            allowed: Networks that may connect beside this machine; empty: all.
            kwargs: Of Tornado's server.
        """
        super().initialize(*args, **kwargs)
        self._rules = rules
        self._allowed = (*allowed, *THIS_MACHINE) if allowed else ()
        self._most = at_most(CONNECTIONS_MAX)
        self._listening: list[socket.socket] = []
        self.port = 0
        self._open: dict[str, dict[IOStream, None]] = {}
        self._share: dict[IOStream, str] = {}
        self._full = False

    def add_sockets(self, sockets: Iterable[socket.socket]) -> None:
        """Accept connections on listening sockets."""
        for listener in sockets:
            self._listening.append(listener)
            self.port = listener.getsockname()[1]
            asyncio.get_running_loop().add_reader(listener, self._ready, listener)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of each listening socket."""
        return [listener.getsockname()[:2] for listener in self._listening]

    def stop(self) -> None:
        """Close the listening sockets. Open connections stay open."""
        while self._listening:
            listener = self._listening.pop()
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()

    def _ready(self, listener: socket.socket) -> None:
        """Accept waiting connections. While no more files can be opened, pause for a second: the event loop must not spin."""
        loop = asyncio.get_running_loop()
        for _ in range(ACCEPTED_AT_ONCE_MAX):
            try:
                connection, address = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                log.warning("no connections are accepted for a second: %s", error.strerror)
                loop.remove_reader(listener)
                loop.call_later(1.0, self._again, listener)
                return
            if not self._may_connect(address):
                connection.close()
                continue
            try:
                self._accept(connection, address)
            except OSError:  # The client has closed the connection already.
                connection.close()

    def _may_connect(self, address: Any) -> bool:
        if not self._allowed:
            return True
        peer = ip_address(address[0].partition("%")[0])
        return any(peer in network for network in self._allowed)

    def _again(self, listener: socket.socket) -> None:
        if listener in self._listening:
            asyncio.get_running_loop().add_reader(listener, self._ready, listener)

    def on_close(self, server_conn: object) -> None:
        """Forget a connection that has ended. Called by Tornado."""
        self._forget(server_conn.stream)  # type: ignore[attr-defined]
        super().on_close(server_conn)

    def _accept(self, connection: socket.socket, address: Any) -> None:
        if len(self._share) >= self._most:
            self._make_room()
        try:
            stream = self._stream(connection)
        except OSError:  # The client has closed the connection already, as port scans do.
            connection.close()
            return
        self._share[stream] = share = share_of(stream.socket.family, address)
        self._open.setdefault(share, {})[stream] = None
        self.handle_stream(stream, address)

    def _stream(self, connection: socket.socket) -> IOStream:
        context = None
        if self._rules:
            self._rules.renew()
            context = self._rules.context
        if not context:
            return _HeaderLimitStream(connection, max_buffer_size=self.max_buffer_size)
        wrapped = netutil.ssl_wrap_socket(connection, context, server_side=True, do_handshake_on_connect=False)
        # Without ssl_options the stream would load the system's authorities, which only a TLS client needs.
        return _HeaderLimitTlsStream(wrapped, max_buffer_size=self.max_buffer_size, ssl_options=context)

    def _make_room(self) -> None:
        if not self._full:
            log.warning(
                "%d connections are open; each new connection closes the oldest one of the address that has the most",
                self._most,
            )
        self._full = True
        greediest = max(self._open.values(), key=len)
        oldest = next(iter(greediest))
        self._forget(oldest)
        oldest.close()

    def _forget(self, stream: IOStream) -> None:
        if share := self._share.pop(stream, None):
            del self._open[share][stream]
            if not self._open[share]:
                del self._open[share]
        if len(self._share) < self._most // 2:
            self._full = False


def share_of(family: int, address: Any) -> str:
    """Return the key under which the connections of a client are counted.

    Args:
        family: Address family of the socket.
        address: Socket address of the client, as `accept` returns it.

    Returns:
        The IPv4 address; of an IPv6 address, the /64 network, in which a host may use any number of addresses.
    """
    if family == socket.AF_INET6:
        return socket.inet_pton(socket.AF_INET6, address[0].partition("%")[0])[:8].hex()
    return str(address[0])
