"""What energy and subscription have cost, meter by meter, over restarts: a small stand-in until there is a cost engine.

Energy is billed by what its register rose since it was known last, so that a gap is billed when the meter is back. The
subscription moves only when it is kept: after a power cut, with a clock that is late, it never stands lower than it was shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from meterline.state import State

MONTHLY = "monthly"
"""The subscription, among the indexes."""
MONTH = Decimal("365.2425") * 86_400 / 12
"""Seconds."""
KEEP_EVERY = 900.0
CLOCK_IS_SET = 1_735_689_600.0
"""2025: a machine without a battery begins in 1970."""


@dataclass
class Ledger:
    """The account of one meter."""

    since: float
    """Unix time of the first reading."""
    until: float
    """The subscription is billed until then; never goes back."""
    registers: dict[str, int] = field(default_factory=dict)
    costs: dict[str, Decimal] = field(default_factory=lambda: {MONTHLY: Decimal(0)})


class Costs:
    """`rates`: euros per Wh by index; `monthly`: euros."""

    def __init__(
        self,
        state: State,
        rates: Mapping[str, Decimal],
        monthly: Decimal,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state, self._rates, self._monthly = state, rates, monthly
        self.now, self._clock = now, clock
        self._address: str | None = None
        self._kept_at = 0.0
        self.ledger = Ledger(0.0, 0.0)

    def account(self, address: str, registers: Mapping[str, int]) -> None:
        """Bill what the registers of this meter rose. One that falls (wrap, another module) begins anew from there."""
        known_before = self._address == address
        if not known_before:
            self.keep()
            self._address, self.ledger = address, self._recall(address)
        ledger = self.ledger
        for index, value in registers.items():
            rise = max(0, value - ledger.registers.get(index, value))
            ledger.costs[index] = ledger.costs.get(index, Decimal(0)) + rise * self._rates.get(index, 0)
            ledger.registers[index] = value
        if not known_before or self._clock() - self._kept_at >= KEEP_EVERY:
            self.keep()

    def keep(self) -> None:
        """Bill the subscription until now, and keep everything."""
        if self._address is None:
            return
        ledger, now = self.ledger, self.now()
        if now > ledger.until:
            if ledger.until >= CLOCK_IS_SET:
                ledger.costs[MONTHLY] += self._monthly * Decimal(now - ledger.until) / MONTH
            ledger.until = now
        self._kept_at = self._clock()
        costs = {index: str(cost) for index, cost in ledger.costs.items()}
        memory = {"since": ledger.since, "until": ledger.until, "registers": ledger.registers, "costs": costs}
        self._state.keep(_key(self._address), memory)

    def _recall(self, address: str) -> Ledger:
        found: dict[str, Any] = self._state.recall(_key(address))
        try:
            costs = {index: Decimal(cost) for index, cost in found["costs"].items()}
            registers = {index: int(value) for index, value in found["registers"].items()}
            return Ledger(float(found["since"]), float(found["until"]), registers, {MONTHLY: Decimal(0)} | costs)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            now = self.now()
            return Ledger(now, now)


def _key(address: str) -> str:
    return f"linky-json {address}"
