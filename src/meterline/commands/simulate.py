"""meterline simulate: a meter without hardware, on a pseudo-terminal or a TCP port, at the speed of its line."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import Any, get_type_hints

from meterline.errors import UserError
from meterline.simulator import Faults, Talker, on_pty, on_tcp, talk
from meterline.web.server import parse_address


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
    """``bit-errors=0.001``, ``silence=300/60`` … UserError names what is known."""
    kinds = get_type_hints(Faults)
    values: dict[str, Any] = {}
    for word in words:
        name, _, text = word.partition("=")
        key = name.replace("-", "_")
        if key not in kinds:
            raise UserError(f"--fault {word}: {name!r} is not known; known: {', '.join(kinds).replace('_', '-')}")
        if kinds[key] in (int, float):
            try:
                values[key] = kinds[key](text)
            except ValueError:
                raise UserError(f"--fault {word}: expected a number") from None
        else:
            values[key] = parse_period(f"--fault {name}", text)
    return Faults(**values)


def parse_period(flag: str, text: str) -> tuple[int, int]:
    """``300/60``: the last 60 seconds of every 300."""
    match = re.fullmatch(r"([0-9]+)/([0-9]+)", text)
    if not match or not 0 < int(match[2]) <= int(match[1]):
        raise UserError(f"{flag} {text}: expected PERIOD/LENGTH in seconds, such as 300/60")
    return int(match[1]), int(match[2])
