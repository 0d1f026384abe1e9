"""Look for the meters' networks that a Wi-SUN module hears."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from meterline.protocols.broute import skstack
from meterline.protocols.broute.adapter import Module
from meterline.protocols.broute.driver import describe
from meterline.protocols.broute.options import secret
from meterline.protocols.broute.session import ALL_CHANNELS, DURATIONS, Session
from meterline.protocols.broute.skstack import Pan

if TYPE_CHECKING:
    from meterline.link.stream import Link

TICK_S = 0.2


class BrouteScanner:
    """See `Scanner`. With an ID (from a file, or BROUTE_ID) only its meter answers; without, every one in reach."""

    def __init__(self, id_file: str | None, environment: Mapping[str, str]) -> None:
        given = "" if id_file else environment.get("BROUTE_ID", "")
        self._identity = secret("id", given, id_file) if given or id_file else None

    async def scan(self, link: Link, say: Callable[[str], object], show: Callable[[str], object]) -> str:
        """See `Scanner.scan`."""
        await link.set_baud(skstack.BAUD, skstack.FORM)
        module = Module(link)
        await module.start()
        say(f"{link.url}: {describe(module)}")
        if self._identity:
            await module.ask("SKSETRBID", self._identity)
        else:
            say("no BROUTE_ID in the environment and no --id-file: every meter in reach may answer, not only yours")
        pans: list[Pan] = []
        for duration in DURATIONS:
            if not pans:
                say(f"scanning {len(ALL_CHANNELS)} channels for {skstack.scan_seconds(duration):.0f} s")
                pans = await _sweep(Session(module), 2 if self._identity else 3, duration, show)
        if not pans:
            raise LookupError("nothing was found: bring the module nearer to the meter, check the ID, and try again")
        for pan in sorted(pans, key=lambda pan: -pan.lqi):
            where = f"channel {pan.channel:02X}, PAN ID {pan.pan_id:04X}, MAC {pan.mac}"
            say(f"{where}: signal {skstack.strength(pan.lqi)} ({skstack.dbm(pan.lqi):.0f} dBm)")
        best = max(pans, key=lambda pan: pan.lqi)
        if len(pans) > 1:
            say("the lines are for the strongest; take channel, pan_id and mac of another where that is not your meter")
        known = f'channel: "{best.channel:02X}", pan_id: "{best.pan_id:04X}", mac: "{best.mac}"'
        return f'{{id: "${{BROUTE_ID}}", password: "${{BROUTE_PASSWORD}}", {known}}}'


async def _sweep(session: Session, mode: int, duration: int, show: Callable[[str], object]) -> list[Pan]:
    """One scan over all channels, with its progress."""
    seconds, clock = skstack.scan_seconds(duration), asyncio.get_running_loop().time
    scanning = asyncio.ensure_future(session.sweep(mode, duration))
    started = clock()
    try:
        while not scanning.done():
            passed = min((clock() - started) / seconds, 0.999)
            channel = ALL_CHANNELS[int(passed * len(ALL_CHANNELS))]
            heard = f", {len(session.module.pans)} found" if session.module.pans else ""
            show(f"channel {channel:02X}: {seconds * (1 - passed):.0f} s left{heard}")
            await asyncio.wait({scanning}, timeout=TICK_S)
        return scanning.result()
    finally:  # at Ctrl-C it has not ended
        show("")
        scanning.cancel()
        await asyncio.gather(scanning, return_exceptions=True)
