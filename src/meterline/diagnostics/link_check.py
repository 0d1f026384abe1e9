"""One link, from the outside to the meter: each step only where the one before allows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from meterline.config.schema import MeterConfig
from meterline.diagnostics import host, serial_device, tcp_bridge
from meterline.diagnostics.running_instance import Instance
from meterline.link import processes
from meterline.link.errors import LinkError, LinkErrorKind
from meterline.link.open import open_link
from meterline.link.processes import Process
from meterline.link.stream import Link
from meterline.link.url import Bridge, Device, Endpoint, parse_url
from meterline.meter.readings import Silent
from meterline.protocols import PROTOCOLS
from meterline.protocols.api import Finding, MeterProtocol, Recognition, fault, ok, warning
from meterline.protocols.trial import Trial
from meterline.service.detect import serial_of, try_protocol

SECONDS = 10.0
"""How long a line is listened to, once its speed is known."""
SILENT_BYTES = 400
"""Bytes of a line below which it counts as silent: an adapter that must be asked may be there."""
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
    counts: list[str] = field(default_factory=list)
    """How much came of a line that nobody recognised, without its content."""
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
        async with open_link(case.url, serial_of(case.protocol)) as link:
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
    """Find out what speaks there: the protocol that is configured, or else any, as `detect` does."""
    options = case.meters[0].options
    silent: list[tuple[MeterProtocol[Any], Recognition]] = []
    listening = [case.protocol] if case.protocol else PROTOCOLS.recognised_by("listen")
    for name in listening:
        protocol = PROTOCOLS[name]
        recognition = await try_protocol(link, protocol, options, is_last=name == listening[-1])
        if recognition.is_sure:
            await _explain(case, link, place, protocol, recognition)
            return
        silent.append((protocol, recognition))
        case.counts += recognition.counts
    received = link.received
    own = [(protocol, recognition) for protocol, recognition in silent if recognition.is_own]
    unanswered: list[Recognition] = []
    for name in [] if case.protocol or own else PROTOCOLS.recognised_by("write"):
        protocol = PROTOCOLS[name]
        recognition = await try_protocol(link, protocol)
        if recognition.is_sure:
            await _explain(case, link, place, protocol, recognition)
            return
        unanswered.append(recognition)
    for protocol, recognition in own or silent:
        await _explain(case, link, place, protocol, recognition)
    if received < SILENT_BYTES:
        case.find(*(warning(each.why_not.text, "only where it is meant to be one") for each in unanswered))


async def _explain(case: Case, link: Link, place: Place, protocol: MeterProtocol[Any], recognition: Recognition) -> None:
    """Let the protocol say what it finds; where it reads a meter, compare the clocks."""
    if recognition.is_sure:
        case.protocol, link.tap = protocol.name, case.keep
    case.find(*recognition.findings)
    meters = {meter.name: meter.options for meter in case.meters}
    async for found in protocol.diagnose(link, meters, place.seconds, recognition):
        if isinstance(found, Trial):
            case.find(*_clock(found, place) if link.timed else ())
        else:
            case.find(found)


def _clock(trial: Trial, place: Place) -> Iterable[Finding]:
    """The meter's clock against ours, where it says what it has."""
    meter = trial.meter
    said, ahead = meter.value("smartmeter_clock_timestamp_seconds"), meter.value("smartmeter_clock_offset_seconds")
    if said is not None:
        ahead = float(said) - meter.last_frame_at
    if ahead is not None and not meter.value("smartmeter_clock_degraded"):
        yield host.meters_clock(float(ahead), place.synchronised)
