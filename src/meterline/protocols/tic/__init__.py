"""The French TIC (télé-information client): Linky and the electronic meters before it, historic and standard mode.

The meter sends unasked. Its mode is recognised by its groups; its speed is tried, since Enedis changes both without notice.

frames       the decoder: bytes → groups and frames, with checksum and form; and the encoder
fields       the table of labels: form of each group, and the readings that the group gives
derived      readings of several groups together, and of groups that are absent; a group becomes a reading here and in `fields`
snapshots    frames → snapshots with the readings that changed
stge         the status register of standard mode
timestamps   timestamps and switching profiles
contracts    contracts of the French market and their registers
sources      labels of each family, for docs/metrics.md
listener     reads a link, and tries its speeds
speed_probe  the trial of one speed
line_faults  counts of a line: bytes, groups, rejects by kind
diagnose     problems of a line and their remedies
redact       masks the household in a capture
simulator    a simulated Linky
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from meterline.link.stream import Link, SerialSettings
from meterline.meter.readings import Emit, Observation, Rejected
from meterline.protocols.api import Finding, Gaps, MeterProtocol, Recognition, Simulator, fault
from meterline.protocols.tic import diagnose as diagnosis
from meterline.protocols.tic.contracts import CONTRACT_OF, SUPPLIER_REGISTERS
from meterline.protocols.tic.frames import Assembler, Decoder, Event, Group
from meterline.protocols.tic.listener import Listener, probe_speeds
from meterline.protocols.tic.redact import Redactor
from meterline.protocols.tic.snapshots import SnapshotBuilder
from meterline.protocols.tic.speed_probe import ENOUGH_GROUPS

if TYPE_CHECKING:
    from meterline.protocols.trial import Trial

SPEEDS = {"standard": 9600, "historic": 1200}
PROBE = 5.0
"""Seconds to listen at each speed: a historic frame lasts three at most."""
SILENCE = 10.0
"""Seconds without a valid group after which the line counts as lost (02E: 10 s ± 1 s)."""
SETTLED = 400
"""Groups of which a line is judged at each quarter; before, when there are a quarter more."""
STALE_AFTER = 10.0
"""Seconds until a value that is not confirmed disappears: three long frames in historic mode."""


@dataclass(frozen=True, slots=True)
class Options:
    """`baud` and `mode` say what to try first; both are detected when left out, and again after each silence."""

    baud: int | None = field(default=None, metadata={"public": True})
    mode: Literal["historic", "standard"] | None = field(default=None, metadata={"public": True})
    prm: bool = False
    """Export the number of the delivery point, which names a household."""

    def stale_after(self, meters: int) -> float:
        """Return the seconds until a value that is not confirmed disappears."""
        return STALE_AFTER

    def speeds(self, current: int | None) -> list[int]:
        """What to try, in this order."""
        if current is None:
            return []
        first = self.baud or (SPEEDS[self.mode] if self.mode else current)
        return list(dict.fromkeys((first, *SPEEDS.values())))


class Tic(MeterProtocol[Options]):
    """See `MeterProtocol`."""

    name = "tic"
    serial = SerialSettings(SPEEDS["standard"], "7E1")
    options = Options
    time_zone = "Europe/Paris"
    import_registers = (*CONTRACT_OF, *SUPPLIER_REGISTERS)
    max_power_va = 36_000.0
    """The largest connection that has such a meter."""
    identifiers = (re.compile(r"(?<!\w)(?<!\d\.)\d{12}(?:\d\d)?(?!\w|\.\d)"),)
    """ADCO and ADSC (12 digits), PRM (14)."""

    async def read(
        self,
        link: Link,
        meters: Mapping[str, Options | None],
        memory: dict[str, Any],
        emit: Emit,
        gaps: Gaps | None = None,
    ) -> NoReturn:
        """The line says what is now, and remembers no gap. See `MeterProtocol.read`."""
        (options,) = [given or Options() for given in meters.values()]
        listener = Listener(link, options.speeds(link.baud), PROBE, SILENCE, rests=True)
        assembler, snapshots, judged = Assembler(), SnapshotBuilder(options.prm), 0

        def take(_: bytes, events: list[Event]) -> bool:
            nonlocal judged
            groups = listener.symptoms.groups
            if link.baud and groups >= ENOUGH_GROUPS and not judged:  # before the first frame, which tells the mode
                emit(Observation(("smartmeter_link_speed_bauds",), link.baud))
            for event in events:
                if type(event) is Rejected:
                    emit(event)
            for frame in assembler.feed(events):
                emit(snapshots.build(frame))
            if groups >= ENOUGH_GROUPS and groups - judged >= min(groups, SETTLED) // 4:
                judged = groups
                if hint := diagnosis.pattern(listener.symptoms):
                    emit(hint)
            return False

        try:
            await listener.listen(take)
            raise AssertionError("a listener that nobody stops ends by an exception")
        except EOFError:
            if frame := assembler.close():
                emit(snapshots.build(frame))
            raise

    async def recognise(self, link: Link, options: Options | None = None) -> Recognition:
        """Listen at both speeds. See `MeterProtocol.recognise`."""
        tried = await probe_speeds(link, (options or Options()).speeds(link.baud), PROBE, SILENCE)
        if tried[-1].sure:
            return Recognition(True, findings=tuple(diagnosis.speeds(tried)))
        counts = tuple(heard.counts for heard in tried)
        return Recognition(False, diagnosis.nothing_valid(tried), diagnosis.is_tic(tried), counts=counts)

    async def diagnose(
        self, link: Link, meters: Mapping[str, Options | None], seconds: float, recognition: Recognition
    ) -> AsyncIterator[Finding | Trial]:
        """Read the line for a while. See `MeterProtocol.diagnose`."""
        if not recognition.is_sure:
            yield fault(recognition.why_not.text, recognition.why_not.remedy)
            return
        from meterline.protocols.trial import try_reading

        trial = await try_reading(self, link, meters, seconds)
        for finding in (*diagnosis.damage(trial.sent), diagnosis.spoken(trial)):
            yield finding
        yield trial

    def suggested_options(self, link: Link) -> str:
        """See `MeterProtocol.suggested_options`."""
        return f"{{baud: {link.baud}}}" if link.baud else ""

    def decoder(self) -> Decoder:
        """See `MeterProtocol.decoder`."""
        return Decoder()

    def describe(self, event: Event) -> dict[str, Any] | None:
        """See `MeterProtocol.describe`."""
        return event._asdict() if isinstance(event, Group) else None

    def proves(self, event: Event) -> bool:
        """A group does, by its checksum and the table of labels."""
        return isinstance(event, Group)

    def redactor(self, household: bool) -> Redactor:
        """See `MeterProtocol.redactor`."""
        return Redactor(household)

    def simulator(self) -> Simulator:
        """See `MeterProtocol.simulator`."""
        from meterline.protocols.tic.simulator.simulate import TicSimulator

        return TicSimulator()


PROTOCOL = Tic()
