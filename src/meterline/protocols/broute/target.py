"""A meter of the configuration, among those that a module asks in turn: where it is, and how it goes with it."""

from __future__ import annotations

import math
from typing import Any

from meterline.meter.readings import Hint
from meterline.protocols.broute.network import Network
from meterline.protocols.broute.options import Options
from meterline.protocols.broute.poller import MeterPoller


class Peer:
    """A meter of the configuration."""

    def __init__(self, name: str, options: Options, remembered: object) -> None:
        self.name = name
        self.options = options
        self.network = _network(options, remembered)
        self.others: list[Network] = []
        """Networks with its pairing ID that the last scan heard beside that one, and that were not tried yet."""
        self.trouble: Hint | None = None
        """Why the last step failed."""
        self.poller: MeterPoller | None = None
        self.due = 0.0
        self.silent = 0
        """Polls without an answer in a row, nor a late one."""
        self.polled_at = -math.inf
        """When its last poll ended."""
        self.misses = 0
        """Failed steps of recovery, up to the first poll that shows that it has been well for `GOOD_SESSION_S`."""
        self.well_since = math.inf
        """When the first poll was answered after the last failed step; inf: none was."""
        self.refusals = 0
        self.joined_at = -math.inf
        """When it was joined last since the link was opened, by the loop's clock."""
        self.spread = False
        """Its polls have found their moment among those of the other links."""

    @property
    def is_lost(self) -> bool:
        """It has to be scanned for: its place is not known, or joining it there failed. Of a place from the configuration, or
        from before the start, one failure is enough.
        """
        if self.network is None:
            return True
        unproven = self.network.lqi is None and self.joined_at == -math.inf
        return self.misses > 0 and (unproven or self.misses % 2 == 0)

    def remember(self, network: Network) -> dict[str, str]:
        """What is kept of it beyond a restart: where it was joined, and what the configuration said of that."""
        found = _facts(network)
        configured = self.options.facts
        return found | ({"configured": " ".join(configured.values())} if configured else {})

    def outdated(self, network: Network) -> str:
        """The options that are wrong about its place; empty where all are right. Their values are private."""
        found = _facts(network)
        return ", ".join(key for key, said in self.options.facts.items() if said != found[key])


def _facts(network: Network) -> dict[str, str]:
    return {"channel": f"{network.channel:02X}", "pan_id": f"{network.pan_id:04X}", "mac": network.mac}


def _network(options: Options, remembered: object) -> Network | None:
    """Where the configuration says that the meter is, or where it was last (which a file may have lost).

    What was found while the configuration said what it says now is newer than the configuration.
    """
    known: list[Any] = [options.channel, options.pan_id, options.mac]
    if isinstance(remembered, dict) and (not all(known) or remembered.get("configured") == " ".join(options.facts.values())):
        known = [remembered.get(key) for key in ("channel", "pan_id", "mac")]
    channel, pan_id, mac = known
    try:
        return Network(int(channel, 16), int(pan_id, 16), f"{int(mac, 16):016X}")
    except (TypeError, ValueError):
        return None
