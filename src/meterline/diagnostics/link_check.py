"""One link, from the outside to the meter: each step only where the one before allows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from meterline.config.schema import MeterConfig
from meterline.diagnostics import Finding, fault, host, listening, module, ok, serial_device, tcp_bridge, warning
from meterline.diagnostics.listening import Met
from meterline.diagnostics.running_instance import Instance
from meterline.link import processes
from meterline.link.errors import LinkError, LinkErrorKind
from meterline.link.open import open_link
from meterline.link.processes import Process
from meterline.link.stream import Link
from meterline.link.url import Bridge, Device, Endpoint, parse_url
from meterline.meter.readings import Silent
from meterline.protocols import tic
from meterline.protocols.tic.line_faults import ENOUGH
from meterline.protocols.tic.speed_probe import Heard

SECONDS = 10.0
"""How long a line is listened to, once its speed is known."""
KEPT = 1 << 16
"""Bytes of a line that a report may hold."""


class Place(NamedTuple):
    """Where the doctor looks from."""

    user: serial_device.User
    instance: Instance | None = None
    """A meterline that runs on this machine."""
    synchronised: bool | None = None
    seconds: float = SECONDS


@dataclass
class Case:
    """A link, who is configured to be there, and what came of it."""

    url: str
    meters: tuple[MeterConfig, ...]
    tell: Callable[[Finding], object] = lambda _: None
    """Gets each finding at once."""
    findings: list[Finding] = field(default_factory=list)
    protocol: str | None = None
    """What speaks there, once it is known."""
    heard: list[Heard] = field(default_factory=list)
    sent: bytearray = field(default_factory=bytearray)
    """The beginning of what the meter sent, where its protocol is known."""

    def __post_init__(self) -> None:
        self.protocol = self.meters[0].protocol

    @property
    def endpoint(self) -> Endpoint:
        """Where the link leads to."""
        return parse_url(self.url)

    @property
    def names(self) -> list[str]:
        """Of its meters."""
        return [meter.name for meter in self.meters]

    @property
    def failed(self) -> bool:
        """Something is wrong."""
        return any(finding.level == "fault" for finding in self.findings)

    def find(self, *findings: Finding) -> None:
        """Note them, and tell them."""
        for finding in findings:
            self.findings.append(finding)
            self.tell(finding)

    def keep(self, data: bytes) -> None:
        """A tap of the link."""
        self.sent += data[: KEPT - len(self.sent)]


async def examine(case: Case, place: Place) -> None:
    """Everything about one link, in its order."""
    case.find(*await _outside(case, place))
    if not case.failed:
        if place.instance and _is_read_by(place.instance, case):
            case.find(*_by_itself(place.instance, case))
        elif _is_ours(_holder(case)):
            case.find(ok("in use by a running meterline, as it should be; its page cannot be read here (TLS or a password)"))
        else:
            await _inside(case, place)
    if isinstance(case.endpoint, Device):
        case.find(*serial_device.service(case.url))


async def _outside(case: Case, place: Place) -> Iterable[Finding]:
    """What can be known before it is opened."""
    if isinstance(case.endpoint, Bridge):
        return filter(None, [await tcp_bridge.name(case.endpoint)])
    if not isinstance(case.endpoint, Device):
        return []
    findings = list(serial_device.examine(case.url, place.user))
    holder = _holder(case)
    if holder and not _is_ours(holder) and not (place.instance and place.instance.holder == holder):
        findings.append(serial_device.in_use(holder))
    return findings


def _is_ours(holder: Process | None) -> bool:
    return holder is not None and holder.is_meterline


def _holder(case: Case) -> Process | None:
    """Who has a device open. Of a pseudo-terminal whoever made it has both ends open at any rate."""
    if not isinstance(case.endpoint, Device) or serial_device.resolved(case.url).startswith("/dev/pts/"):
        return None
    return processes.of_device(case.url)


def _is_read_by(instance: Instance, case: Case) -> bool:
    """A device by the process that holds it; a bridge, which may bear one client only, by the names of its meters."""
    if isinstance(case.endpoint, Device):
        return instance.holder is not None and instance.holder == _holder(case)
    return isinstance(case.endpoint, Bridge) and instance.reads(case.names)


def _by_itself(instance: Instance, case: Case) -> Iterable[Finding]:
    yield ok("in use by our own running meterline, as it should be; its page says:")
    yield from instance.findings(case.names)


async def _inside(case: Case, place: Place) -> None:
    """Open it, and listen."""
    try:
        async with open_link(case.url) as link:
            case.find(ok("it opens"))
            await _listen(case, link, place)
            if changed := serial_device.cooked(case.url):
                what = f"another program has set the line to cooked mode while it was read ({', '.join(changed)})"
                case.find(warning(what, f"sudo fuser -v {case.url} names it"))
    except OSError as error:
        case.find(*_ended(case, place, error))


def _ended(case: Case, place: Place, error: OSError) -> Iterable[Finding]:
    """Why the link does not open, or was lost while it was read."""
    kind, holder = (error.kind, error.holder) if isinstance(error, LinkError) else (None, None)
    problem, remedy = (error.problem, error.remedy) if isinstance(error, LinkError | Silent) else (str(error), "")
    if kind is LinkErrorKind.IN_USE and place.instance and set(case.names) <= set(place.instance.meters):
        yield from _by_itself(place.instance, case)
    elif isinstance(case.endpoint, Bridge):
        yield tcp_bridge.unreachable(case.endpoint, problem, kind)
    elif holder:
        yield serial_device.in_use(holder)
    else:
        yield fault(problem, remedy)


async def _listen(case: Case, link: Link, place: Place) -> None:
    """To a meter that talks by itself, then for a module that answers: whichever it is configured to be, else both."""
    if case.protocol != "broute":
        case.heard = await tic.hear(link, case.meters[0].options)
        if case.heard[-1].sure:
            case.protocol = "tic"
            await _line(case, link, place)
            return
    silent = None if case.protocol == "tic" else await module.answers(link)
    if case.protocol != "tic" and silent is None:
        case.protocol = "broute"
        await _module(case, link, place)
        return
    if case.heard:
        case.find(listening.nothing_valid(case.heard))
    if silent and case.protocol:
        case.find(silent)
    elif silent and sum(heard.size for heard in case.heard) < ENOUGH:  # a module is silent until it is asked
        case.find(warning(silent.what, "only where it is meant to be one"))


async def _line(case: Case, link: Link, place: Place) -> None:
    """A TIC line whose speed is known."""
    case.find(*listening.speeds(case.heard))
    link.tap = case.keep
    met = await listening.meet(link, tic, {case.names[0]: case.meters[0].options}, place.seconds)
    case.find(*listening.damage(bytes(case.sent)), *listening.spoken(met))
    if link.timed:
        case.find(*_clock(met, place))


async def _module(case: Case, link: Link, place: Place) -> None:
    """A module that answers, and its meters in turn."""
    link.tap = case.keep
    awake, introduction = await module.introduce(link)
    case.find(introduction)
    known = {meter.name: meter.options for meter in case.meters if meter.options}
    if not known:
        case.find(module.stranger(link.url))
    for name, options in known.items():
        network, finding = await module.look_for(awake, name, options)
        case.find(finding)
        if network:
            met, finding = await module.join(link, name, options, network)
            case.find(finding, *_clock(met, place))


def _clock(met: Met, place: Place) -> Iterable[Finding]:
    """The meter's clock against ours, where it says what it has."""
    meter = met.meter
    said, ahead = meter.value("smartmeter_clock_timestamp_seconds"), meter.value("smartmeter_clock_offset_seconds")
    if said is not None:
        ahead = float(said) - meter.last_frame_at
    if ahead is not None and not meter.value("smartmeter_clock_degraded"):
        yield host.meters_clock(float(ahead), place.synchronised)
