"""meterline scan LINK: which meters an adapter's radio hears, and the configuration for them."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from meterline.cli.progress import Progress
from meterline.config.yaml_file import plain
from meterline.diagnostics.serial_device import stable_name
from meterline.errors import UserError
from meterline.link.open import open_link
from meterline.protocols import PROTOCOLS
from meterline.protocols.api import MeterProtocol, Scanner


def scan(url: str, id_file: str | None) -> None:
    """Print the configuration for what is found on standard output, everything else on standard error."""
    for protocol in PROTOCOLS.values():
        try:
            scanner = protocol.scanner(id_file, os.environ)
        except ValueError as error:
            raise UserError(f"scan: {error}") from None
        if scanner:
            asyncio.run(_scan(url, protocol, scanner))
            return
    raise UserError("scan: no kind of meter needs it")


async def _scan(url: str, protocol: MeterProtocol[Any], scanner: Scanner) -> None:
    line = Progress()
    async with open_link(url, protocol.serial) as link:
        try:
            options = await scanner.scan(link, _say, lambda text: line.show(text) if text else line.clear())
        except LookupError as error:
            raise UserError(f"scan: {error}", 1) from None
    print(f"meters:\n  - name: home\n    link: {plain(stable_name(url))}\n    protocol: {protocol.name}")
    print(f"    options: {options}")


def _say(text: str) -> None:
    """On standard error: standard output is for the configuration alone."""
    print(text, file=sys.stderr, flush=True)
