"""A raw client: bytes to and from a server that may end the connection at any moment, and HTTP over them.

That the peer has ended is no error here but a fact, found by reading: `send` and `finish` go on, `read` gives what came
before. It makes no difference whether the end is a FIN, a reset or a failed handshake, nor where in a request it comes.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from support.live_meters import LIMIT


class Answer(NamedTuple):
    """Status 0: the connection was closed without one."""

    status: int
    headers: dict[str, str]
    certificate: bytes | None = None
    version: str | None = None


CLOSED = Answer(0, {})


class Client:
    """One connection, kept open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        """Bytes to the peer."""
        with contextlib.suppress(OSError):
            self.writer.write(data)

    def finish(self) -> None:
        """Nothing more will come from us."""
        with contextlib.suppress(OSError):
            self.writer.write_eof()

    async def read(self, until: bytes | None = None) -> bytes:
        """All that comes: up to and with a mark, or to the end of the connection, whichever is first."""
        parts = []
        try:
            async with asyncio.timeout(LIMIT):
                if until is not None:
                    return await self.reader.readuntil(until)
                while part := await self.reader.read(1 << 16):
                    parts.append(part)
        except asyncio.IncompleteReadError as end:
            return end.partial
        except TimeoutError:
            raise AssertionError("neither the mark nor the end came") from None
        except OSError:
            pass
        return b"".join(parts)

    async def ask(self, path: str = "/-/healthy", user: str | None = None, method: str = "GET", body: str = "") -> Answer:
        """One request. `user`: name:password."""
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
        if user is not None:
            lines.append(f"Authorization: Basic {base64.b64encode(user.encode()).decode()}")
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "", body]).encode())
        return await self.answer(method)

    async def answer(self, method: str = "GET") -> Answer:
        """The next answer, its body read."""
        head = await self.read(until=b"\r\n\r\n")
        if not head.endswith(b"\r\n\r\n"):
            return CLOSED
        first, *lines = head.decode().rstrip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        if method != "HEAD" and not await self._has(int(headers.get("Content-Length", 0))):
            return CLOSED
        tls = self.writer.get_extra_info("ssl_object")
        return Answer(int(first.split()[1]), headers, tls and tls.getpeercert(True), tls and tls.version())

    async def _has(self, size: int) -> bool:
        """Whether as many bytes come."""
        try:
            async with asyncio.timeout(LIMIT):
                await self.reader.readexactly(size)
        except asyncio.IncompleteReadError:
            return False
        except TimeoutError:
            raise AssertionError("the body does not end") from None
        except OSError:
            return False
        return True

    async def closed(self) -> bool:
        """Wait until the server has closed it."""
        await self.read()
        return True

    async def close(self) -> None:
        """The end, from our side."""
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


@asynccontextmanager
async def connected(
    port: int, tls: ssl.SSLContext | None = None, source: str = "127.0.0.1", limit: int = 1 << 16
) -> AsyncIterator[Client]:
    """A connection from an address of the loopback. OSError where it fails. `limit`: bytes before a mark must come."""
    name = "localhost" if tls else None
    streams = await asyncio.open_connection(
        "127.0.0.1", port, ssl=tls, server_hostname=name, local_addr=(source, 0), limit=limit
    )
    client = Client(*streams)
    try:
        yield client
    finally:
        await client.close()


async def ask(port: int, tls: ssl.SSLContext | None = None, path: str = "/-/healthy", user: str | None = None) -> Answer:
    """One request on a connection of its own; CLOSED also where the handshake fails."""
    try:
        async with connected(port, tls) as client:
            return await client.ask(path, user)
    except OSError:
        return CLOSED
