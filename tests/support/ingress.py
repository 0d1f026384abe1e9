"""A reverse proxy as that of Home Assistant: takes a prefix off each path, and says it in a header."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

PREFIX = "/api/hassio_ingress/4Gq5vh7XnZ"


@asynccontextmanager
async def ingress(port: int, prefix: str = PREFIX) -> AsyncIterator[tuple[str, list[str]]]:
    """In front of a server on this machine: where a browser finds the page, and the paths that were asked for outside."""
    strays: list[str] = []
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError), contextlib.closing(writer):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.rstrip().split("\r\n")
            method, path, version = first.split()
            if not path.startswith(f"{prefix}/"):
                strays.append(path)
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            kept = [line for line in lines if not line.lower().startswith("connection:")]
            asked = [f"{method} {path.removeprefix(prefix)} {version}", *kept, f"X-Ingress-Path: {prefix}", "Connection: close"]
            answers, questions = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(questions):
                questions.write("\r\n".join([*asked, "", ""]).encode())
                while part := await answers.read(1 << 16):
                    writer.write(part)
                    await writer.drain()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{prefix}/", strays
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
