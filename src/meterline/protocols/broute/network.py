"""Where a meter is on the air."""

from __future__ import annotations

from dataclasses import dataclass

from meterline.protocols.broute import skstack

GOOD_SIGNAL = -80.0
"""dBm: from here on a refused join is not the radio's fault."""


def is_near(dbm: float | None) -> bool | None:
    """Whether the radio is not to blame; None where the signal is not known."""
    return None if dbm is None else dbm >= GOOD_SIGNAL


@dataclass
class Network:
    """Where the meter is on the air."""

    channel: int
    pan_id: int
    mac: str
    lqi: int | None = None
    """Of the scan's beacon; None where it was not scanned for."""

    @property
    def address(self) -> str:
        """The meter's IPv6 address."""
        return skstack.link_local(self.mac)
