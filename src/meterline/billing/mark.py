"""Where a register stood, and whether it can have risen from there."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from meterline.meter.plausibility import MARGIN, SLACK

NOT_WORTH_WAITING = 1000
"""Watt-hours, of which a clock that is late may change the price."""


@dataclass(slots=True)
class Mark:
    """Where a register stood, and when it was read last."""

    value: Decimal
    at: int
    read: float | None = None
    """The same by a clock that does not jump; None: not since this start."""
    fell: bool = False
    """Since this start: it may come back to where it was, which is no energy."""

    def rise(self, value: Decimal, wraps_at: Decimal | None) -> Decimal:
        """By how much it rose since, also past its end."""
        return value - self.value + (wraps_at if wraps_at is not None and value < self.value else 0)

    def sudden(self, rise: Decimal, at: int, now: float, step: Decimal, max_power_va: float) -> bool:
        """Whether that is more than it can have risen until `at`, or `now` by a clock that does not jump."""
        passed = at - self.at if self.read is None else max(at - self.at, int(now - self.read))
        most = SLACK * step + Decimal(MARGIN * max_power_va) * (passed + 1) / 3600
        return rise > most + (0 if self.fell else NOT_WORTH_WAITING)
