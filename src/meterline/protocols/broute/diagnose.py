"""A Wi-SUN module: does it answer, how well does it hear the meter, and does the meter let us in?"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from meterline.meter.meter import Meter
from meterline.protocols.api import Finding, MeterProtocol, Recognition, fault, ok, warning
from meterline.protocols.broute import skstack
from meterline.protocols.broute.adapter import Module
from meterline.protocols.broute.driver import describe
from meterline.protocols.broute.network import GOOD_SIGNAL, Network
from meterline.protocols.broute.options import Options
from meterline.protocols.broute.session import Session
from meterline.protocols.trial import Trial, try_reading

if TYPE_CHECKING:
    from meterline.link.stream import Link

LONG_ENOUGH = 150.0
"""Seconds to join a meter that was heard, and to poll it twice: its clock comes with the second poll."""
_NEARER = "bring the module nearer to the meter, with a USB cable of some metres, away from metal"
_SILENT = "unplug it and plug it in again; is it the Wi-SUN module's link, and has no other program it?"


async def examine(
    protocol: MeterProtocol[Options], link: Link, meters: Mapping[str, Options | None], recognition: Recognition
) -> AsyncIterator[Finding | Trial]:
    """See `MeterProtocol.diagnose`."""
    if not recognition.is_sure:
        yield fault(recognition.why_not.text, _SILENT)
        return
    module, introduction = await introduce(link)
    yield introduction
    known = {name: options for name, options in meters.items() if options}
    if not known:
        yield stranger(link.url)
    for name, options in known.items():
        network, finding = await look_for(module, name, options)
        yield finding
        if network:
            trial = await join(protocol, link, name, options, network)
            yield _let_in(trial)
            yield trial


async def introduce(link: Link) -> tuple[Module, Finding]:
    """Wake it; what it says of itself. OSError: it fell silent."""
    module = Module(link)
    await module.start()
    firmware = " ".join(await module.look_up("EAPPVER", "SKAPPVER"))
    return module, ok(describe(module) + (f", firmware {firmware}" if firmware else ""))


def stranger(url: str) -> Finding:
    """Nobody said which meter is to be looked for."""
    remedy = f"meterline doctor {url} --config.file FILE, where the meter's id and password are; or meterline scan {url}"
    return warning("without id and password no meter is looked for", remedy)


async def look_for(module: Module, name: str, options: Options) -> tuple[Network | None, Finding]:
    """Where the meter is on the air, and how well it is heard."""
    session = Session(module)
    session.begin(name)
    network = next(iter(await session.scan(options)), None)
    if network is None or network.lqi is None:
        remedy = f"{_NEARER}; check its id; is the B-route contract in force? Scans are lossy: try again"
        return None, fault(f"meter {name!r} is not heard on any channel", remedy)
    dbm = skstack.dbm(network.lqi)
    what = f"meter {name!r} is heard on channel {network.channel:02X}: {skstack.strength(network.lqi)} ({dbm:.0f} dBm)"
    return network, ok(what) if dbm >= GOOD_SIGNAL else warning(what, _NEARER)


async def join(protocol: MeterProtocol[Options], link: Link, name: str, options: Options, network: Network) -> Trial:
    """Read a meter that was heard for a while."""
    known = {"channel": f"{network.channel:X}", "pan_id": f"{network.pan_id:X}", "mac": network.mac}
    return await try_reading(protocol, link, {name: options}, LONG_ENOUGH, _has_a_clock, {name: known})


def _has_a_clock(meter: Meter) -> bool:
    return meter.value("smartmeter_clock_offset_seconds") is not None


def _let_in(trial: Trial) -> Finding:
    meter = trial.meter
    if meter.counters.frames:
        said = ", ".join(filter(None, trial.description.values()))
        return ok(
            f"meter {meter.name!r} lets us in and answers: {meter.counters.frames} replies" + (f", {said}" if said else "")
        )
    if cause := next((hint for hint in reversed(trial.hints) if not hint.good), None):
        return fault(f"meter {meter.name!r} is heard, but not read: {cause.text}", cause.remedy)
    return fault(f"meter {meter.name!r} is heard, but does not answer", trial.trouble or _NEARER)
