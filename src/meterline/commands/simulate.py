"""meterline simulate: a meter without hardware, on a pseudo-terminal or a TCP port, at the speed of its line."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import fields
from typing import Any, get_type_hints

from meterline.simulator import Faults, Talker, on_pty, on_tcp, talk
from meterline.web.server import parse_address


class FaultError(Exception):
    """A --fault that cannot be understood; the text is one line for people."""


def simulate(meter: Talker, baud: dict[str, int], faults: Faults, pty: str | None, tcp: str | None) -> None:
    """Until Ctrl-C or SIGTERM."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_simulate(meter, baud, faults, pty, tcp))


async def _simulate(meter: Talker, baud: dict[str, int], faults: Faults, pty: str | None, tcp: str | None) -> None:
    place = on_tcp(*parse_address(tcp)) if tcp else on_pty(pty)
    async with place as (url, write, heard_at):
        print(f"simulated meter at {url}; read it with: meterline run {url}", flush=True)
        await talk(meter, baud, write, faults, heard_at)


def parse_faults(words: list[str]) -> Faults:
    """``bit-errors=0.001``, ``silence=300/60`` … FaultError names what is wrong and what is known."""
    kinds = get_type_hints(Faults)
    values: dict[str, Any] = {}
    for word in words:
        name, _, text = word.partition("=")
        key = name.replace("-", "_")
        if key not in {item.name for item in fields(Faults)}:
            known = ", ".join(item.name.replace("_", "-") for item in fields(Faults))
            raise FaultError(f"--fault {word}: {name!r} is not known; known: {known}")
        try:
            if kinds[key] in (int, float):
                values[key] = kinds[key](text)
            else:
                values[key] = parse_period(text)
        except ValueError:
            example = "PERIOD/LENGTH in seconds, such as 300/60" if kinds[key] not in (int, float) else "a number"
            raise FaultError(f"--fault {word}: expected {example}") from None
    return Faults(**values)


def parse_period(text: str) -> tuple[int, int]:
    """``300/60``: the last 60 seconds of every 300. ValueError otherwise."""
    period, length = (int(part) for part in text.split("/"))
    if not 0 < length <= period:
        raise ValueError(text)
    return period, length
