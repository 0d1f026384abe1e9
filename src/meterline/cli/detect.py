"""meterline detect LINK: identify the meter of a link, and print its configuration."""

from __future__ import annotations

import asyncio
import sys

from meterline.cli.progress import progress
from meterline.config.yaml_file import plain
from meterline.diagnostics.serial_device import stable_name
from meterline.link.open import open_link
from meterline.protocols.trial import try_reading
from meterline.service.detect import detect as detect_protocol

READ_MAX_S = 8.0
"""Time in which the slowest meter sends two whole frames."""
FRAMES_NEEDED = 3
"""The first frame may be cut, and a text is accepted when two frames agree."""


def detect(url: str) -> None:
    """Print the configuration on standard output, everything else on standard error.

    Args:
        url: The link.

    Raises:
        LinkError: The link cannot be opened, or was lost.
        Silent: No protocol recognised the line.
    """
    asyncio.run(_detect(url))


async def _detect(url: str) -> None:
    async with (
        open_link(url) as link,
        progress(lambda passed: f"{passed:.0f} s: listening{f' at {link.baud} baud' if link.baud else ''} on {link.url}"),
    ):
        protocol = await detect_protocol(link)
        trial = await try_reading(
            protocol, link, {"home": None}, READ_MAX_S, lambda meter: meter.counters.frames == FRAMES_NEEDED
        )
        baud, options = link.baud, protocol.suggested_options(link)
    for text in trial.notes:
        print(f"note: {text}", file=sys.stderr)
    description, missing = trial.description, trial.meter.counters.frames and "not sent"
    facts = {
        "protocol": protocol.name,
        "mode": description["mode"],
        "baud": baud or "set by the bridge",
        "meter": description["meter"] or missing,
        "contract": description["contract"] or missing,
    }
    print("\n".join(f"{key}: {value}" for key, value in facts.items() if value), file=sys.stderr)
    print(f"meters:\n  - name: home\n    link: {plain(stable_name(url))}\n    protocol: {protocol.name}")
    if options:
        print(f"    options: {options}")
