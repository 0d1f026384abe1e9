"""Examination of one link, from the device or bridge to the meter. Each step needs the success of the step before."""

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

LISTEN_S = 10.0
"""Time for which the examination listens to a line whose speed is known."""
SILENT_BYTES = 400
"""A line that sent fewer bytes counts as silent: there may be an adapter that sends only replies."""
SAMPLE_MAX_BYTES = 1 << 16
"""Received bytes of a line that a report may hold."""


class Surroundings(NamedTuple):
    """Facts about this machine that the examination of every link uses."""

    user: serial_device.User
    instance: Instance | None = None
    """The meterline that runs on this machine, if any."""
    synchronised: bool | None = None
    """Whether this machine's clock is synchronised over the network; None where the machine does not tell."""
    listen_s: float = LISTEN_S
    """Time for which to listen to a line whose speed is known."""


@dataclass
class Case:
    """The examination of one link.

    Attributes:
        url: The link.
        meters: The configured meters of the link; one made up, without protocol, for a link that is not configured.
        tell: Called with each finding as soon as it is found.
        findings: All findings so far, in order.
        protocol: Name of the protocol on the link; None until it is known.
        counts: For a line that no protocol recognised: how much of what was received, without content.
        sent: The first `SAMPLE_MAX_BYTES` bytes that the meter sent; empty while the protocol is not known.
    """

    url: str
    meters: tuple[MeterConfig, ...]
    tell: Callable[[Finding], object] = lambda _: None
    findings: list[Finding] = field(default_factory=list)
    protocol: str | None = None
    counts: list[str] = field(default_factory=list)
    sent: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.protocol = self.meters[0].protocol

    @property
    def endpoint(self) -> Endpoint:
        """The device, bridge or file of the link."""
        return parse_url(self.url)

    @property
    def names(self) -> list[str]:
        """Names of the configured meters of the link."""
        return [meter.name for meter in self.meters]

    @property
    def failed(self) -> bool:
        """Whether a finding is a fault."""
        return any(finding.level == "fault" for finding in self.findings)

    def find(self, *findings: Finding) -> None:
        """Record findings, and pass each to `tell`."""
        for finding in findings:
            self.findings.append(finding)
            self.tell(finding)

    def keep(self, data: bytes) -> None:
        """Add received bytes to the sample. Serves as the tap of the link."""
        self.sent += data[: SAMPLE_MAX_BYTES - len(self.sent)]


async def examine(case: Case, here: Surroundings) -> None:
    """Examine one link and record the findings in `case`.

    Args:
        case: The link, with its configured meters.
        here: Facts about this machine.
    """
    case.find(*await _outside(case, here))
    if not case.failed:
        if here.instance and _is_read_by(here.instance, case):
            case.find(*_by_itself(here.instance, case))
        elif _is_ours(_holder(case)):
            case.find(ok("in use by a running meterline, as expected; its page cannot be read from here (TLS or a password)"))
        else:
            await _inside(case, here)
    if isinstance(case.endpoint, Device):
        case.find(*serial_device.service(case.url))


async def _outside(case: Case, here: Surroundings) -> Iterable[Finding]:
    """Return the findings that do not need an open link."""
    if isinstance(case.endpoint, Bridge):
        return filter(None, [await tcp_bridge.name(case.endpoint)])
    if not isinstance(case.endpoint, Device):
        return []
    findings = list(serial_device.examine(case.url, here.user))
    holder = _holder(case)
    if holder and not _is_ours(holder) and not (here.instance and here.instance.holder == holder):
        findings.append(serial_device.in_use(holder))
    return findings


def _is_ours(holder: Process | None) -> bool:
    return holder is not None and holder.is_meterline


def _holder(case: Case) -> Process | None:
    """Return the process that has the device open; None for a pseudo-terminal, whose maker always has both ends open."""
    if not isinstance(case.endpoint, Device) or serial_device.resolved(case.url).startswith("/dev/pts/"):
        return None
    return processes.of_device(case.url)


def _is_read_by(instance: Instance, case: Case) -> bool:
    """Return whether the running meterline reads this link.

    A device is recognised by the process that holds it. A bridge is recognised by the names of its meters, since a second
    connection would disturb a bridge that accepts one client only.
    """
    if isinstance(case.endpoint, Device):
        return instance.holder is not None and instance.holder == _holder(case)
    return isinstance(case.endpoint, Bridge) and instance.reads(case.names)


def _by_itself(instance: Instance, case: Case) -> Iterable[Finding]:
    yield ok("in use by the running meterline, as expected; its page reports:")
    yield from instance.findings(case.names)


async def _inside(case: Case, here: Surroundings) -> None:
    """Open the link and listen."""
    try:
        async with open_link(case.url, serial_of(case.protocol)) as link:
            case.find(ok("the link opens"))
            await _listen(case, link, here)
            if changed := serial_device.cooked(case.url):
                what = f"another program set the line to cooked mode during reading ({', '.join(changed)})"
                case.find(warning(what, f"sudo fuser -v {case.url} names it"))
    except OSError as error:
        case.find(*_ended(case, here, error))


def _ended(case: Case, here: Surroundings, error: OSError) -> Iterable[Finding]:
    """Return the findings about a link that did not open, or was lost during reading."""
    kind, holder = (error.kind, error.holder) if isinstance(error, LinkError) else (None, None)
    problem, remedy = (error.problem, error.remedy) if isinstance(error, LinkError | Silent) else (str(error), "")
    if kind is LinkErrorKind.IN_USE and here.instance and set(case.names) <= set(here.instance.meters):
        yield from _by_itself(here.instance, case)
    elif isinstance(case.endpoint, Bridge):
        yield tcp_bridge.unreachable(case.endpoint, problem, kind)
    elif holder:
        yield serial_device.in_use(holder)
    else:
        yield fault(problem, remedy)


async def _listen(case: Case, link: Link, here: Surroundings) -> None:
    """Recognise the configured protocol, or else any protocol, as `detect` does; then let the protocol diagnose the line."""
    options = case.meters[0].options
    silent: list[tuple[MeterProtocol[Any], Recognition]] = []
    listening = [case.protocol] if case.protocol else PROTOCOLS.recognised_by("listen")
    for name in listening:
        protocol = PROTOCOLS[name]
        recognition = await try_protocol(link, protocol, options, is_last=name == listening[-1])
        if recognition.is_sure:
            await _explain(case, link, here, protocol, recognition)
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
            await _explain(case, link, here, protocol, recognition)
            return
        unanswered.append(recognition)
    for protocol, recognition in own or silent:
        await _explain(case, link, here, protocol, recognition)
    if received < SILENT_BYTES:
        case.find(*(warning(each.why_not.text, "check the adapter if one is meant to be connected") for each in unanswered))


async def _explain(case: Case, link: Link, here: Surroundings, protocol: MeterProtocol[Any], recognition: Recognition) -> None:
    """Record the findings of the protocol. If the protocol read a meter, compare the clocks of meter and machine."""
    if recognition.is_sure:
        case.protocol, link.tap = protocol.name, case.keep
    case.find(*recognition.findings)
    meters = {meter.name: meter.options for meter in case.meters}
    async for found in protocol.diagnose(link, meters, here.listen_s, recognition):
        if isinstance(found, Trial):
            case.find(*_clock(found, here) if link.timed else ())
        else:
            case.find(found)


def _clock(trial: Trial, here: Surroundings) -> Iterable[Finding]:
    """Compare the clocks, if the meter sends its time and does not call its clock degraded."""
    meter = trial.meter
    said, ahead = meter.value("smartmeter_clock_timestamp_seconds"), meter.value("smartmeter_clock_offset_seconds")
    if said is not None:
        ahead = float(said) - meter.last_frame_at
    if ahead is not None and not meter.value("smartmeter_clock_degraded"):
        yield host.meters_clock(float(ahead), here.synchronised)
