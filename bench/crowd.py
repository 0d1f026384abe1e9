"""`python -m bench.crowd WHAT PORT COUNT`: clients that mean harm, in a process of their own. Prints `there` when they are.

`slow`, over TLS `slow-tls`: COUNT connections that send a byte of a header each second, and come back when they are dropped.
`hung`: COUNT that send nothing. `guessing-tls`: COUNT that try one wrong password after the other. `malformed`: COUNT requests
of the corpus, twenty at once, then 500 oversized headers; prints `done` and ends.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import random
import ssl
import sys
from collections.abc import Iterable

from bench.malformed import OVERSIZED, corpus
from bench.process import allow_many_files

AT_ONCE = 20


async def _slow(what: str, port: int, there: asyncio.Semaphore) -> None:
    tls = ssl._create_unverified_context() if what == "slow-tls" else None
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
            writer.write(b"" if what == "hung" else b"GET /metrics HTTP/1.1\r\nX-Slow: ")
            there.release()
            while not reader.at_eof():
                await asyncio.sleep(random.uniform(0.5, 1.5))
                if what != "hung" and not writer.transport.is_closing():
                    writer.write(b"x")
            writer.transport.abort()


async def _guess(port: int, there: asyncio.Semaphore) -> None:
    tls = ssl._create_unverified_context()
    there.release()
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
            password = base64.b64encode(b"prometheus:%f" % random.random())
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Basic " + password + b"\r\n\r\n")
            await reader.read()
            writer.transport.abort()


async def _send(port: int, requests: Iterable[bytes]) -> None:
    for request in requests:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(OSError):
            writer.write(request)
            writer.write_eof()
            await reader.read()
        writer.transport.abort()


async def _crowd(what: str, port: int, count: int) -> None:
    if what == "malformed":
        print("there", flush=True)
        requests = corpus(1, count)
        await asyncio.gather(*(_send(port, requests) for _ in range(AT_ONCE)))
        await asyncio.gather(*(_send(port, [OVERSIZED] * 25) for _ in range(AT_ONCE)))
        print("done", flush=True)
        return
    there = asyncio.Semaphore(0)
    guessing = what == "guessing-tls"
    clients = [asyncio.create_task(_guess(port, there) if guessing else _slow(what, port, there)) for _ in range(count)]
    for _ in clients:
        await there.acquire()
    print("there", flush=True)
    await asyncio.gather(*clients)


if __name__ == "__main__":
    allow_many_files()
    asyncio.run(_crowd(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
