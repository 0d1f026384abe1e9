"""The Japanese B-route: a low-voltage smart meter that is asked by ECHONET Lite, over a Wi-SUN module with SKSTACK.

The module's edition and the form of its data are found out; where the meter is on the air is remembered, so that coming back
needs no scan.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from meterline.link.stream import Link
from meterline.meter.readings import Emit, Refused, Silent
from meterline.protocols.broute.adapter import Module
from meterline.protocols.broute.driver import Driver, describe
from meterline.protocols.broute.dump import Decoder, facts, proves
from meterline.protocols.broute.options import Options
from meterline.protocols.broute.redact import Redactor
from meterline.protocols.broute.skstack import BAUD, FORM

__all__ = [
    "IS_ASKED",
    "TARIFF_REGISTERS",
    "TIME_ZONE",
    "TOLD_APART_BY",
    "Decoder",
    "Options",
    "Redactor",
    "facts",
    "proves",
    "read",
    "recognise",
    "suggested",
]

IS_ASKED = True
"""It is recognised by an answer: something must be written to it."""
TOLD_APART_BY = "id"
"""A module asks several meters in turn."""
TIME_ZONE = "Asia/Tokyo"
TARIFF_REGISTERS = ()
"""It has one register of what is drawn."""


async def read(link: Link, meters: Mapping[str, Options | None], memory: dict[str, Any], emit: Emit) -> NoReturn:
    """Read the meters behind a module for ever.

    Args:
        link: Open, at any speed.
        meters: Name of each meter in the configuration → its options; None where the link was recognised, not configured.
        memory: Kept beyond a restart: name → where the meter was joined last.
        emit: Takes each item at once, with the name of its meter.

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
    driver = Driver(link, known, memory, emit)
    try:
        await driver.work()
    except (OSError, EOFError, Refused):
        driver.close()
        raise


async def recognise(link: Link) -> None:
    """Is this a Wi-SUN module? Asks for its version. Silent where it is not."""
    await link.set_baud(BAUD, FORM)
    module = Module(link)
    try:
        if await module.recognise():
            return
    except EOFError:
        pass
    raise Silent("no Wi-SUN module answers SKVER at 115200 baud (J11 firmware is not supported)")


def suggested(link: Link) -> str:
    """The options for the configuration of a recognised module."""
    return '{id: "${BROUTE_ID}", password: "${BROUTE_PASSWORD}"}'
