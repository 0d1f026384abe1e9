"""A server with a web configuration on a stage, and clients that say what they met."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from stage import free_port

from meterline.config import Config, MeterConfig
from meterline.runtime import Runtime
from meterline.web.rules import Rules
from meterline.web.server import application, listen


class Answer(NamedTuple):
    """Status 0: the connection was closed without one."""

    status: int
    headers: dict[str, str]
    certificate: bytes | None = None
    version: str | None = None


CLOSED = Answer(0, {})


@asynccontextmanager
async def serving(file: Path | None = None) -> AsyncIterator[int]:
    """Serve one meter that nobody reads: the port."""
    rules = Rules(str(file)) if file else None
    port = free_port()
    server = listen(application(Runtime(Config((MeterConfig("home", "/dev/home"),)))), f"127.0.0.1:{port}", rules)
    try:
        yield port
    finally:
        server.stop()
        await server.close_all_connections()


class Client:
    """One connection, kept open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, path: str = "/-/healthy", user: str | None = None, method: str = "GET", body: str = "") -> Answer:
        """One request. `user`: name:password."""
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
        if user is not None:
            lines.append(f"Authorization: Basic {base64.b64encode(user.encode()).decode()}")
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.writer.write("\r\n".join([*lines, "", body]).encode())
        return await self.answer(method)

    async def answer(self, method: str = "GET") -> Answer:
        """The next answer, its body read."""
        try:
            async with asyncio.timeout(10):
                head = await self.reader.readuntil(b"\r\n\r\n")
                first, *lines = head.decode().rstrip().split("\r\n")
                headers = dict(line.split(": ", 1) for line in lines)
                if method != "HEAD":
                    await self.reader.readexactly(int(headers.get("Content-Length", 0)))
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            return CLOSED
        tls = self.writer.get_extra_info("ssl_object")
        return Answer(int(first.split()[1]), headers, tls and tls.getpeercert(True), tls and tls.version())

    async def closed(self) -> bool:
        """Wait until the server has closed it."""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            async with asyncio.timeout(10):
                await self.reader.read()
        return True

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()


@asynccontextmanager
async def connected(port: int, tls: ssl.SSLContext | None = None, source: str = "127.0.0.1") -> AsyncIterator[Client]:
    """A connection from an address of the loopback."""
    name = "localhost" if tls else None
    streams = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name, local_addr=(source, 0))
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
    except (ssl.SSLError, ConnectionError):
        return CLOSED
