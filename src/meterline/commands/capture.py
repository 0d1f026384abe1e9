"""meterline capture LINK -o FILE: what comes down the line, byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
from typing import BinaryIO

from meterline.detect import detect
from meterline.link import Link, open_link
from meterline.protocols import PROTOCOLS


def capture(url: str, path: str, redact: bool, seconds: float | None, baud: int | None) -> None:
    """Until `seconds` have passed, the link ends, or Ctrl-C. With `baud` nothing is detected."""
    with open(path, "wb") as file:
        try:
            asyncio.run(_capture(url, file, redact, seconds, baud))
        except KeyboardInterrupt:
            pass
        finally:
            print(f"{path}: {file.tell()} bytes")


async def _capture(url: str, file: BinaryIO, redact: bool, seconds: float | None, baud: int | None) -> None:
    async with open_link(url, baud or 9600) as link:
        protocol = PROTOCOLS["tic"] if baud else (await detect(link))[1]
        redactor = protocol.Redactor() if redact else None
        with contextlib.suppress(TimeoutError, EOFError):
            async with asyncio.timeout(seconds):
                await _copy(link, file, redactor)


async def _copy(link: Link, file: BinaryIO, redactor: object | None) -> None:
    feed = getattr(redactor, "feed", bytes)
    while True:
        file.write(feed(await link.read()))
        file.flush()
