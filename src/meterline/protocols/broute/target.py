"""A configured meter of a module: its network, and the state of polling and recovery."""

from __future__ import annotations

import math
from typing import Any

from meterline.meter.readings import Hint
from meterline.protocols.broute.network import Network
from meterline.protocols.broute.options import Options
from meterline.protocols.broute.poller import MeterPoller


class MeterTarget:
    """A meter that a module polls. All times are those of the event loop, in seconds.

    Attributes:
        name: Name in the configuration.
        options: Its options.
        network: The network to join; None: a scan is needed.
        others: Networks with the meter's pairing ID that the last scan found beside `network`, not tried yet.
        failure: Why the last step failed; None after a success.
        poller: Polls the meter; None before the first join.
        due: Time of the next turn.
        silent: Polls in succession without a reply, not even a late one.
        polled_at: Time at which the last poll ended.
        misses: Failed steps of recovery, until polls have been answered for `GOOD_SESSION_S`.
        well_since: Time of the first answered poll after the last failed step; infinity: none.
        refusals: Joins in succession that failed at a good signal.
        joined_at: Time of the last join since the link was opened; minus infinity: none.
        spread: Whether the polls have their time among those of the other links.
    """

    def __init__(self, name: str, options: Options, remembered: object) -> None:
        self.name = name
        self.options = options
        self.network = _network(options, remembered)
        self.others: list[Network] = []
        self.failure: Hint | None = None
        self.poller: MeterPoller | None = None
        self.due = 0.0
        self.silent = 0
        self.polled_at = -math.inf
        self.misses = 0
        self.well_since = math.inf
        self.refusals = 0
        self.joined_at = -math.inf
        self.spread = False

    @property
    def is_lost(self) -> bool:
        """Whether a scan is needed: the network is not known, or joining it failed.

        One failure is enough for a network from the configuration or from before the start; else every second one counts.
        """
        if self.network is None:
            return True
        unproven = self.network.lqi is None and self.joined_at == -math.inf
        return self.misses > 0 and (unproven or self.misses % 2 == 0)

    def remember(self, network: Network) -> dict[str, str]:
        """Return the data to store for the next start: the joined network, and the network of the configuration."""
        found = _facts(network)
        configured = self.options.facts
        return found | ({"configured": " ".join(configured.values())} if configured else {})

    def outdated(self, network: Network) -> str:
        """Return the names of the options that differ from `network`, joined by commas; their values are private."""
        found = _facts(network)
        return ", ".join(key for key, value in self.options.facts.items() if value != found[key])


def _facts(network: Network) -> dict[str, str]:
    return {"channel": f"{network.channel:02X}", "pan_id": f"{network.pan_id:04X}", "mac": network.mac}


def _network(options: Options, remembered: object) -> Network | None:
    """Return the network of the configuration, or the stored one; None if neither is complete.

    A stored network is newer than the configuration if the configuration has not changed since. The stored data may be damaged.
    """
    known: list[Any] = [options.channel, options.pan_id, options.mac]
    if isinstance(remembered, dict) and (not all(known) or remembered.get("configured") == " ".join(options.facts.values())):
        known = [remembered.get(key) for key in ("channel", "pan_id", "mac")]
    channel, pan_id, mac = known
    try:
        return Network(int(channel, 16), int(pan_id, 16), f"{int(mac, 16):016X}")
    except (TypeError, ValueError):
        return None
