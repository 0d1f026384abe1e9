"""meterline detect LINK: what speaks there, how fast, and the configuration for it."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from pathlib import Path

from meterline.detect import detect as detect_protocol
from meterline.link import open_link
from meterline.meter import Meter
from meterline.model import Hint, Refused, Snapshot

LONG_ENOUGH = 8.0
"""Seconds in which the slowest meter sends two whole frames."""


def detect(url: str) -> None:
    """Print it. OSError where nothing speaks."""
    asyncio.run(_detect(url))


async def _detect(url: str) -> None:
    print(f"listening on {url} …", flush=True)
    async with open_link(url) as link:
        name, protocol = await detect_protocol(link)
        meter = Meter("home")
        frames = 0
        try:
            async with asyncio.timeout(LONG_ENOUGH), aclosing(protocol.read(link, {"home": None}, {})) as items:
                async for item in items:
                    if isinstance(item, Hint):
                        print(f"note: {item.text}")
                    if isinstance(item, Snapshot):
                        meter.take(item, link.timed)
                        frames += 1
                    if frames == 3:  # the first may be torn, and text is believed when two agree
                        break
        except Refused as error:
            print(f"note: {error}")
        except (TimeoutError, EOFError):
            pass
        baud, options = link.baud, protocol.suggested(link)
    facts = {
        "protocol": name,
        "mode": meter.value("smartmeter_info", "mode"),
        "baud": baud or "set by the bridge",
        "meter": _words(meter, "type", "manufacturer") or (frames and "not said"),
        "contract": meter.value("smartmeter_info", "contract")
        or meter.value("smartmeter_tariff_info", "calendar")
        or (frames and "not said"),
    }
    print("\n".join(f"{key}: {value}" for key, value in facts.items() if value))
    print(f"\nmeters:\n  - name: home\n    link: {stable_name(url)}\n    protocol: {name}")
    if options:
        print(f"    options: {options}")


def _words(meter: Meter, *labels: str) -> str:
    return ", ".join(str(text) for label in labels if (text := meter.value("smartmeter_info", label)))


def stable_name(device: str) -> str:
    """The name in /dev/serial/by-id of a device, which stays the same in another socket; else the name given."""
    for link in sorted(Path("/dev/serial/by-id").glob("*")):
        if os.path.realpath(link) == os.path.realpath(device):
            return str(link)
    return device
