"""The Japanese B-route: a low-voltage smart meter that is asked by ECHONET Lite, over a Wi-SUN module with SKSTACK.

The module's edition and the form of its data are detected. The network of the meter is stored, so that a restart needs no scan.

skstack             the commands and events of a module: bytes → replies, events, datagrams; and commands → bytes
splitter            the bytes of a module, cut into lines and datagrams
echonet             ECHONET Lite frames, both ways
properties          the properties of a meter: bytes → values
readings            properties → readings
reply_plausibility  checks of replies before they are shown
adapter             a module on a link: one command at a time
session_state       the state of the session, as one table of transitions
session             scan, join, request and reply; a session is renewed by the module, and followed here
driver              polls the meters of a module in turn, and recovers
target              one meter: its network and the state of its recovery
poller              what to request from one meter next
questions           which properties to request, and how many at once
pace                how long a meter takes to reply
network             channel, PAN ID and MAC address of a meter
options             options of the configuration
causes              problems of a meter and their remedies
driver_metrics      the metrics of the driver
sources             properties of each family, for docs/metrics.md
diagnose            findings about a module and its meters, for `doctor`
scan                `meterline scan`
dump                the content of a capture, for people
redact              masks secrets and the household in a capture
simulator           a simulated module with meters
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from meterline.link.stream import Link, SerialSettings
from meterline.meter.readings import Emit, Hint, Refused
from meterline.protocols.api import Finding, Gaps, MeterProtocol, Recognition, Scanner, Simulator
from meterline.protocols.broute.adapter import Module
from meterline.protocols.broute.driver import Driver, describe
from meterline.protocols.broute.dump import Decoder, facts, proves
from meterline.protocols.broute.memory import SLOT_S
from meterline.protocols.broute.options import Options
from meterline.protocols.broute.properties import MAX_POWER_VA
from meterline.protocols.broute.redact import Redactor
from meterline.protocols.broute.skstack import BAUD, FORM

if TYPE_CHECKING:
    from meterline.protocols.trial import Trial

__all__ = ["PROTOCOL", "Options", "read"]


async def read(
    link: Link, meters: Mapping[str, Options | None], memory: dict[str, Any], emit: Emit, gaps: Gaps | None = None
) -> NoReturn:
    """Read the meters behind a module for ever.

    Args:
        link: Open, at any speed.
        meters: Name of each meter in the configuration → its options; None where the link was recognised, not configured.
        memory: Kept beyond a restart: name → where the meter was joined last; and where the memory of each meter ends.
        emit: Takes each item at once, with the name of its meter.
        gaps: What the ledger lacks, to be asked from the meters; None: no ledger is kept.

    Raises:
        Refused: The meter does not let us in, or the configuration says no ID and password.
        Silent: The module does not answer.
        OSError: The link is lost.
    """
    await link.set_baud(BAUD, FORM)
    known = {name: options for name, options in meters.items() if options}
    if len(known) < len(meters):
        module = Module(link)
        await module.start()
        raise Refused(f"a {describe(module)}", "its meter needs 'protocol: broute' and options id and password", link.url)
    driver = Driver(link, known, memory, emit, gaps)
    try:
        await driver.work()
    except (OSError, EOFError, Refused):
        driver.close()
        raise


class Broute(MeterProtocol[Options]):
    """See `MeterProtocol`."""

    name = "broute"
    serial = SerialSettings(BAUD, FORM)
    options = Options
    told_apart_by = "id"
    """A module asks several meters in turn."""
    time_zone = "Asia/Tokyo"
    max_power_va = MAX_POWER_VA
    slot_s = SLOT_S
    identifiers = (re.compile(r"(?<!\w)(?<!\d\.)[0-9A-Fa-f]{12}(?:[0-9A-Fa-f]{2,20})?(?!\w|\.\d)"),)
    """Password (12 characters), MAC (16), authentication ID (32), and what damage leaves of them."""

    async def read(
        self,
        link: Link,
        meters: Mapping[str, Options | None],
        memory: dict[str, Any],
        emit: Emit,
        gaps: Gaps | None = None,
    ) -> NoReturn:
        """See `MeterProtocol.read`."""
        await read(link, meters, memory, emit, gaps)

    async def recognise(self, link: Link, options: Options | None = None) -> Recognition:
        """Ask for the version of the module. See `MeterProtocol.recognise`."""
        await link.set_baud(BAUD, FORM)
        with suppress(EOFError, TimeoutError):
            if await Module(link).recognise():
                return Recognition(True)
        return Recognition(False, Hint(f"no Wi-SUN module answers SKVER at {BAUD} baud (J11 firmware is not supported)"))

    async def diagnose(
        self, link: Link, meters: Mapping[str, Options | None], seconds: float, recognition: Recognition
    ) -> AsyncIterator[Finding | Trial]:
        """Examine the module, then its meters in turn. See `MeterProtocol.diagnose`."""
        from meterline.protocols.broute.diagnose import examine

        async for finding in examine(self, link, meters, recognition):
            yield finding

    def suggested_options(self, link: Link) -> str:
        """See `MeterProtocol.suggested_options`."""
        return '{id: "${BROUTE_ID}", password: "${BROUTE_PASSWORD}"}'

    def decoder(self) -> Decoder:
        """See `MeterProtocol.decoder`."""
        return Decoder()

    def describe(self, event: Any) -> dict[str, Any] | None:
        """See `MeterProtocol.describe`."""
        return facts(event)

    def proves(self, event: Any) -> bool:
        """See `MeterProtocol.proves`."""
        return proves(event)

    def redactor(self, household: bool) -> Redactor:
        """See `MeterProtocol.redactor`."""
        return Redactor(household)

    def simulator(self) -> Simulator:
        """See `MeterProtocol.simulator`."""
        from meterline.protocols.broute.simulator.simulate import BrouteSimulator

        return BrouteSimulator()

    def scanner(self, id_file: str | None, environment: Mapping[str, str]) -> Scanner:
        """See `MeterProtocol.scanner`."""
        from meterline.protocols.broute.scan import BrouteScanner

        return BrouteScanner(id_file, environment)


PROTOCOL = Broute()
