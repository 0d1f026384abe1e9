"""meterline scan LINK: the meters that an adapter receives by radio, and their configuration."""

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
    """Scan, and print the configuration on standard output, everything else on standard error.

    Args:
        url: The link of the adapter.
        id_file: File with the ID of the user's own meter; None: the ID is in the environment.

    Raises:
        UserError: The ID is not valid, or no meter was found.
        OSError: The link cannot be opened, or was lost.
    """
    for protocol in PROTOCOLS.values():
        try:
            scanner = protocol.scanner(id_file, os.environ)
        except ValueError as error:
            raise UserError(f"scan: {error}") from None
        if scanner:
            asyncio.run(_scan(url, protocol, scanner))
            return
    raise UserError("scan: no protocol needs a scan")


async def _scan(url: str, protocol: MeterProtocol[Any], scanner: Scanner) -> None:
    line = Progress()
    async with open_link(url, protocol.serial) as link:
        try:
            options = await scanner.scan(link, _print_note, lambda text: line.show(text) if text else line.clear())
        except LookupError as error:
            raise UserError(f"scan: {error}", 1) from None
    print(f"meters:\n  - name: home\n    link: {plain(stable_name(url))}\n    protocol: {protocol.name}")
    print(f"    options: {options}")


def _print_note(text: str) -> None:
    """Print to standard error: standard output holds the configuration only."""
    print(text, file=sys.stderr, flush=True)
