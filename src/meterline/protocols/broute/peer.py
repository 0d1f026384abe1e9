"""A meter of the configuration, among those that a module asks in turn: where it is, and how it goes with it."""

from __future__ import annotations

import math
from typing import Any

from meterline.protocols.broute.asking import Asked
from meterline.protocols.broute.options import Options
from meterline.protocols.broute.session import Network


class Peer:
    """A meter of the configuration."""

    def __init__(self, name: str, options: Options, remembered: object) -> None:
        self.name = name
        self.options = options
        self.network = _network(options, remembered)
        self.asked: Asked | None = None
        self.due = 0.0
        self.silent = 0
        """Polls without an answer in a row."""
        self.misses = 0
        """Failed steps of recovery in a row."""
        self.refusals = 0
        self.joined_at = -math.inf
        """When it was joined last since the link was opened, by the loop's clock."""
        self.spread = False
        """Its polls have found their moment among those of the other links."""


def _network(options: Options, remembered: object) -> Network | None:
    """Where the configuration says that the meter is, or where it was last (which a file may have lost)."""
    known: list[Any] = [options.channel, options.pan_id, options.mac]
    if not all(known) and isinstance(remembered, dict):
        known = [remembered.get(key) for key in ("channel", "pan_id", "mac")]
    channel, pan_id, mac = known
    try:
        return Network(int(channel, 16), int(pan_id, 16), f"{int(mac, 16):016X}")
    except (TypeError, ValueError):
        return None
