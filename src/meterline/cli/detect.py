"""meterline detect LINK: what speaks there, how fast, and the configuration for it."""

from __future__ import annotations

import asyncio
import sys

from meterline.cli.progress import progress
from meterline.config.yaml_file import plain
from meterline.diagnostics.serial_device import stable_name
from meterline.link.open import open_link
from meterline.protocols.trial import try_reading
from meterline.service.detect import detect as detect_protocol

LONG_ENOUGH = 8.0
"""Seconds in which the slowest meter sends two whole frames."""
ENOUGH_FRAMES = 3
"""The first may be torn, and text is believed when two agree."""


def detect(url: str) -> None:
    """Print the configuration on standard output, and everything else on standard error.

    LinkError or Silent: nothing speaks there.
    """
    asyncio.run(_detect(url))


async def _detect(url: str) -> None:
    async with (
        open_link(url) as link,
        progress(lambda passed: f"{passed:.0f} s: listening{f' at {link.baud} baud' if link.baud else ''} on {link.url}"),
    ):
        protocol = await detect_protocol(link)
        trial = await try_reading(
            protocol, link, {"home": None}, LONG_ENOUGH, lambda meter: meter.counters.frames == ENOUGH_FRAMES
        )
        baud, options = link.baud, protocol.suggested_options(link)
    for text in trial.notes:
        print(f"note: {text}", file=sys.stderr)
    said, unsaid = trial.description, trial.meter.counters.frames and "not said"
    facts = {
        "protocol": protocol.name,
        "mode": said["mode"],
        "baud": baud or "set by the bridge",
        "meter": said["meter"] or unsaid,
        "contract": said["contract"] or unsaid,
    }
    print("\n".join(f"{key}: {value}" for key, value in facts.items() if value), file=sys.stderr)
    print(f"meters:\n  - name: home\n    link: {plain(stable_name(url))}\n    protocol: {protocol.name}")
    if options:
        print(f"    options: {options}")
