"""meterline scan LINK: which meters' networks a Wi-SUN module hears, and the configuration for them."""

from __future__ import annotations

import asyncio
import os
import sys
import time

from meterline.doctor.device import stable_name
from meterline.errors import UserError
from meterline.link import open_link
from meterline.protocols.broute import skstack
from meterline.protocols.broute.driver import describe
from meterline.protocols.broute.module import Module
from meterline.protocols.broute.options import secret
from meterline.protocols.broute.session import ALL_CHANNELS, DURATIONS, Session
from meterline.protocols.broute.skstack import Pan


def scan(url: str, id_file: str | None) -> None:
    """Print what is found. With an ID (from a file, or BROUTE_ID) only its meter answers; without, every one in reach."""
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
        print(f"{url}: {describe(module)}")
        if identity:
            await module.ask("SKSETRBID", identity)
        else:
            print("no BROUTE_ID in the environment and no --id-file: every meter in reach may answer, not only yours")
        pans: list[Pan] = []
        for duration in DURATIONS:
            pans = pans or await _sweep(Session(module), 2 if identity else 3, duration)
    if not pans:
        print("nothing was found: bring the module nearer to the meter, and check the ID; scans are lossy, try again")
    for pan in sorted(pans, key=lambda pan: -pan.lqi):
        _describe(url, pan)


async def _sweep(session: Session, mode: int, duration: int) -> list[Pan]:
    """One scan over all channels, with its progress."""
    seconds = skstack.scan_seconds(duration)
    print(f"scanning {len(ALL_CHANNELS)} channels for {seconds:.0f} s", flush=True)
    scanning = asyncio.ensure_future(session.sweep(mode, duration))
    started, shown = time.monotonic(), -1
    try:
        while not (await asyncio.wait({scanning}, timeout=0.2))[0]:
            passed = min((time.monotonic() - started) / seconds, 0.999)
            if shown < (channel := int(passed * len(ALL_CHANNELS))):
                shown = channel
                heard = f", {len(session.module.pans)} found" if session.module.pans else ""
                _progress(f"channel {ALL_CHANNELS[channel]:02X}: {seconds * (1 - passed):.0f} s left{heard}")
        _progress("")
        return scanning.result()
    finally:  # at Ctrl-C it has not ended
        scanning.cancel()
        await asyncio.gather(scanning, return_exceptions=True)


def _progress(text: str) -> None:
    """Written over itself in a terminal; a line each elsewhere."""
    if sys.stdout.isatty():
        print(f"\r{text:<60}", end="" if text else "\r", flush=True)
    elif text:
        print(text, flush=True)


def _describe(url: str, pan: Pan) -> None:
    facts = f'channel: "{pan.channel:02X}", pan_id: "{pan.pan_id:04X}", mac: "{pan.mac}"'
    print(f"\nchannel {pan.channel:02X}, PAN ID {pan.pan_id:04X}, MAC {pan.mac}")
    print(f"signal: {skstack.strength(pan.lqi)} ({skstack.dbm(pan.lqi):.0f} dBm)\n")
    print(f"meters:\n  - name: home\n    link: {stable_name(url)}\n    protocol: broute")
    print(f'    options: {{id: "${{BROUTE_ID}}", password: "${{BROUTE_PASSWORD}}", {facts}}}')
