"""meterline scan LINK: which meters' networks a Wi-SUN module hears, and the configuration for them."""

from __future__ import annotations

import asyncio
import os
import sys

from meterline import world
from meterline.cli.progress import Progress
from meterline.config.yaml_file import plain
from meterline.diagnostics.serial_device import stable_name
from meterline.errors import UserError
from meterline.link.open import open_link
from meterline.protocols.broute import skstack
from meterline.protocols.broute.adapter import Module
from meterline.protocols.broute.driver import describe
from meterline.protocols.broute.options import secret
from meterline.protocols.broute.session import ALL_CHANNELS, DURATIONS, Session
from meterline.protocols.broute.skstack import Pan


def scan(url: str, id_file: str | None) -> None:
    """Print the configuration for what is found on standard output, everything else on standard error.

    With an ID (from a file, or BROUTE_ID) only its meter answers; without, every one in reach.
    """
    given = "" if id_file else os.environ.get("BROUTE_ID", "")
    try:
        identity = secret("id", given, id_file) if given or id_file else None
    except ValueError as error:
        raise UserError(f"scan: {error}") from None
    asyncio.run(_scan(url, identity))


async def _scan(url: str, identity: str | None) -> None:
    async with open_link(url) as link:
        await link.set_baud(skstack.BAUD, skstack.FORM)
        module = Module(link)
        await module.start()
        _say(f"{link.url}: {describe(module)}")
        if identity:
            await module.ask("SKSETRBID", identity)
        else:
            _say("no BROUTE_ID in the environment and no --id-file: every meter in reach may answer, not only yours")
        pans: list[Pan] = []
        for duration in DURATIONS:
            pans = pans or await _sweep(Session(module), 2 if identity else 3, duration)
    if not pans:
        raise UserError("scan: nothing was found: bring the module nearer to the meter, check the ID, and try again", 1)
    for pan in sorted(pans, key=lambda pan: -pan.lqi):
        where = f"channel {pan.channel:02X}, PAN ID {pan.pan_id:04X}, MAC {pan.mac}"
        _say(f"{where}: signal {skstack.strength(pan.lqi)} ({skstack.dbm(pan.lqi):.0f} dBm)")
    best = max(pans, key=lambda pan: pan.lqi)
    if len(pans) > 1:
        _say("the lines are for the strongest; take channel, pan_id and mac of another where that is not your meter")
    facts = f'channel: "{best.channel:02X}", pan_id: "{best.pan_id:04X}", mac: "{best.mac}"'
    print(f"meters:\n  - name: home\n    link: {plain(stable_name(url))}\n    protocol: broute")
    print(f'    options: {{id: "${{BROUTE_ID}}", password: "${{BROUTE_PASSWORD}}", {facts}}}')


async def _sweep(session: Session, mode: int, duration: int) -> list[Pan]:
    """One scan over all channels, with its progress."""
    seconds, line = skstack.scan_seconds(duration), Progress()
    _say(f"scanning {len(ALL_CHANNELS)} channels for {seconds:.0f} s")
    scanning = asyncio.ensure_future(session.sweep(mode, duration))
    started = world.current.monotonic()
    try:
        while not scanning.done():
            passed = min((world.current.monotonic() - started) / seconds, 0.999)
            channel = ALL_CHANNELS[int(passed * len(ALL_CHANNELS))]
            heard = f", {len(session.module.pans)} found" if session.module.pans else ""
            line.show(f"channel {channel:02X}: {seconds * (1 - passed):.0f} s left{heard}")
            await asyncio.wait({scanning}, timeout=0.2)
        return scanning.result()
    finally:  # at Ctrl-C it has not ended
        line.clear()
        scanning.cancel()
        await asyncio.gather(scanning, return_exceptions=True)


def _say(text: str) -> None:
    """On standard error: standard output is for the configuration alone."""
    print(text, file=sys.stderr, flush=True)
