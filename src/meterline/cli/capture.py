"""meterline capture LINK -o FILE: the bytes that a link sends. A meter that sends replies only is polled as `run` polls it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Mapping
from typing import Any

from meterline.cli.output import Output, output
from meterline.cli.progress import progress
from meterline.config.schema import Config
from meterline.errors import UserError
from meterline.link.open import open_link
from meterline.link.stream import Link
from meterline.link.url import shown
from meterline.meter.readings import Refused
from meterline.protocols import PROTOCOLS
from meterline.protocols.api import MeterProtocol
from meterline.service.detect import detect, serial_of


def capture(
    config: Config, link: str, path: str, redact: bool, seconds: float | None, baud: int | None, force: bool = False
) -> None:
    """Capture until `seconds` have passed, the link ends, or Ctrl-C.

    Args:
        config: The configuration; meters of other links are ignored.
        link: The link to capture.
        path: The file to write. The file is created at the first byte; an existing file is not touched before.
        redact: Whether to mask the numbers that identify the household.
        seconds: Length of the capture; None: until Ctrl-C.
        baud: Speed of the line; then nothing is detected and nothing is sent. None: detect the protocol.
        force: Whether to replace an existing file.

    Raises:
        UserError: The file exists, nothing arrived, the meter refused, or the protocol to redact is not known.
        OSError: The link cannot be opened, or was lost; or the file is not writable.
    """
    if redact and baud and not any(meter.protocol for meter in config.meters if meter.link == link):
        raise UserError("capture: --redact with --baud needs --protocol, whose identifiers are masked")
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
    serial = serial_of(name)
    async with (
        open_link(url, serial._replace(baud=baud) if baud else serial) as link,
        progress(lambda passed: f"{passed:.0f} s: {link.received} bytes; Ctrl-C ends the capture of {link.url}"),
    ):
        protocol = PROTOCOLS[name] if name else None if baud else await detect(link)
        redactor = protocol.redactor(redact) if protocol else None

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


async def _read(link: Link, protocol: MeterProtocol[Any], meters: Mapping[str, Any]) -> None:
    """Read the meter as `run` does, until it is silent. The received bytes go to the tap of the link."""
    with contextlib.suppress(TimeoutError):
        await protocol.read(link, meters, {}, lambda _: None)
