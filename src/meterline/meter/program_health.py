"""How parts of the program are, for /metrics. Whoever reports it needs nothing of the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass
class BrokerCounts:
    """How publishing on an MQTT broker goes."""

    is_connected: bool = False
    connections: int = 0
    """So far."""
    messages: int = 0
    """Sent so far."""


class LedgerHealth(NamedTuple):
    """How the ledger is.

    Attributes:
        aside: Reason → rows, entries and files that were set aside since the start.
        committed_at: Unix time of the last commit; 0: none since the start.
        size: Bytes of the file and its log; 0 where there is none.
        is_writable: The last try to write succeeded.
    """

    aside: dict[str, int]
    committed_at: float
    size: int
    is_writable: bool
