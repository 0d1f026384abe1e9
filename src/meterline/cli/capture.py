"""meterline capture LINK -o FILE: what a link sends, byte by byte; a meter that must be asked is asked as `run` asks it."""

from __future__ import annotations

import asyncio
import contextlib
import sys

from meterline.cli.output import Output, output
from meterline.cli.progress import progress
from meterline.config.schema import Config
from meterline.errors import UserError
from meterline.link.open import DEFAULT_SETTINGS, open_link
from meterline.link.stream import Link, SerialSettings
from meterline.link.url import shown
from meterline.meter.readings import Refused
from meterline.protocols import PROTOCOLS
from meterline.service.detect import detect


def capture(
    config: Config, link: str, path: str, redact: bool, seconds: float | None, baud: int | None, force: bool = False
) -> None:
    """Until `seconds` have passed, the link ends, or Ctrl-C. With `baud` nothing is detected, and nobody asked.

    `config` may hold meters of other links: they are left alone. The file is there from the first byte on: what had its name
    is not touched before.
    """
    if redact and baud and not any(meter.protocol for meter in config.meters if meter.link == link):
        raise UserError("capture: --redact with --baud needs --protocol, to know what to take out")
    with output(path, force) as out:
        try:
            asyncio.run(_capture(config, link, out, redact, seconds, baud))
        except Refused as error:
            raise UserError(f"capture: {error}") from None
        except KeyboardInterrupt:
            pass
    if not out.written:
        raise UserError(f"capture: nothing arrived on {shown(link)}; {path} is not written", 1)
    print(f"{path}: {out.written} bytes", file=sys.stderr)


async def _capture(config: Config, url: str, out: Output, redact: bool, seconds: float | None, baud: int | None) -> None:
    meters = {meter.name: meter.options for meter in config.meters if meter.link == url}
    name = next(meter.protocol for meter in config.meters if meter.link == url)
    async with (
        open_link(url, SerialSettings(baud) if baud else DEFAULT_SETTINGS) as link,
        progress(lambda passed: f"{passed:.0f} s: {link.received} bytes; Ctrl-C ends the capture of {link.url}"),
    ):
        protocol = PROTOCOLS[name] if name else None if baud else (await detect(link))[1]
        redactor = protocol.Redactor(redact) if protocol else None

        def write(data: bytes) -> None:
            if shown := redactor.feed(data) if redactor else data:
                out.written += out.file.write(shown)
                out.publish()

        link.tap = write
        with contextlib.suppress(TimeoutError, EOFError):
            async with asyncio.timeout(seconds):
                while protocol is None or baud:
                    await link.read()
                while True:
                    await _read(link, protocol, meters)


async def _read(link: Link, protocol: object, meters: dict[str, object]) -> None:
    """As the runtime does, until the meter is silent; what it says goes to the link's tap."""
    with contextlib.suppress(TimeoutError):
        await protocol.read(link, meters, {}, lambda _: None)  # type: ignore[attr-defined]
