"""What the libraries cost alone: the programs that meterline is compared with.

    python -m bench.bare serve [FILE]       Tornado, with prometheus_client and serialx imported: FILE, or nothing, to everybody
    python -m bench.bare read REST LINK …   asyncio: reads the links and throws the bytes away, rests REST s after each read
    python -m bench.bare ask INTERVAL JOIN QUESTION LINK …
                                            asyncio: joins, asks every INTERVAL s, throws the bytes away; both texts are hex
    python -m bench.bare tell BYTES         asyncio: writes so many bytes to everybody who is connected, every second

Prints its port (0 where it has none) when it is ready, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from bench.ending import end_of_input


async def _serve(body: bytes) -> None:
    import prometheus_client  # noqa: F401 for its weight
    import serialx  # noqa: F401 for its weight
    from tornado import httpserver, netutil, web

    class Answer(web.RequestHandler):
        """The same to everybody."""

        def get(self) -> None:
            """GET"""
            self.set_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.finish(body)

    sockets = netutil.bind_sockets(0, "127.0.0.1")
    routes = web.Application([("/metrics", Answer)], log_function=lambda handler: None)
    httpserver.HTTPServer(routes).add_sockets(sockets)
    print(sockets[0].getsockname()[1], flush=True)
    await end_of_input()


class _Discard(asyncio.Protocol):
    """Reads, and rests."""

    def __init__(self, rest: float) -> None:
        self._rest = rest
        self._transport: asyncio.ReadTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: open."""
        assert isinstance(transport, asyncio.ReadTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes, that nobody wants."""
        if self._rest and self._transport:
            self._transport.pause_reading()
            asyncio.get_running_loop().call_later(self._rest, self._transport.resume_reading)


async def _read(rest: float, links: list[str]) -> None:
    loop = asyncio.get_running_loop()
    for link in links:
        if link.startswith("tcp:"):
            parts = urlsplit(link)
            await loop.create_connection(lambda: _Discard(rest), parts.hostname or "", parts.port or 0)
        else:
            await loop.connect_read_pipe(lambda: _Discard(rest), os.fdopen(os.open(link, os.O_RDONLY | os.O_NOCTTY), "rb", 0))
    print(0, flush=True)
    await end_of_input()


class _Ask(asyncio.Protocol):
    """Joins; from then on asks, time after time, and lets the answers go."""

    def __init__(self, interval: float, join: bytes, question: bytes) -> None:
        self._interval, self._join, self._question = interval, join, question
        self._transport: asyncio.Transport | None = None
        self.joined = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: open."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._join)

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes, that nobody wants."""
        if not self.joined.is_set() and b"EVENT 25" in data:
            self.joined.set()
            self._go_on(asyncio.get_running_loop().time())

    def _go_on(self, due: float) -> None:
        assert self._transport
        self._transport.write(self._question)
        asyncio.get_running_loop().call_at(due + self._interval, self._go_on, due + self._interval)


def _itself(one: _Ask) -> _Ask:
    return one


async def _ask(interval: float, join: bytes, question: bytes, links: list[str]) -> None:
    loop = asyncio.get_running_loop()
    asking = [_Ask(interval, join, question) for _ in links]
    for link, one in zip(links, asking, strict=True):
        parts = urlsplit(link)
        await loop.create_connection(partial(_itself, one), parts.hostname or "", parts.port or 0)
    for one in asking:
        await one.joined.wait()
    print(0, flush=True)
    await end_of_input()


async def _tell(size: int) -> None:
    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    ending = asyncio.create_task(end_of_input())
    while not ending.done():
        await asyncio.sleep(1)
        for writer in writers:
            writer.write(bytes(size))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        if sys.argv[1] == "serve":
            asyncio.run(_serve(Path(sys.argv[2]).read_bytes() if sys.argv[2:] else b""))
        elif sys.argv[1] == "ask":
            asyncio.run(_ask(float(sys.argv[2]), bytes.fromhex(sys.argv[3]), bytes.fromhex(sys.argv[4]), sys.argv[5:]))
        elif sys.argv[1] == "tell":
            asyncio.run(_tell(int(sys.argv[2])))
        else:
            asyncio.run(_read(float(sys.argv[2]), sys.argv[3:]))
