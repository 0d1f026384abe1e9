"""Whether the tariffs price the registers of the contract that the meter names. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from meterline.meter.readings import Contract

SURE_AFTER = 3
"""Frames that name the same contract in a row: it is free text, and a damaged one may pass the checksum."""


class ContractCheck:
    """Compares the contract that the meter names, frame by frame, with the prices of the configuration."""

    def __init__(self) -> None:
        self.contract: Contract | None = None
        """The one that is believed."""
        self._last: Contract | None = None
        self._times = 0

    def hear(self, said: Contract | None) -> None:
        """What a frame says; None where it says nothing."""
        if said is None or said == self.contract:
            self._times = 0
            return
        self._times = self._times + 1 if said == self._last else 1
        self._last = said
        if self._times >= SURE_AFTER:
            self.contract, self._times = said, 0

    def agrees(self, prices: Mapping[str, Decimal]) -> bool | None:
        """Whether the registers that have a price are those of the contract; None where it is not one that we know.

        Of another contract a price of 0 is none.
        """
        if self.contract is None or not self.contract.registers:
            return None
        missing = any(register not in prices for register in self.contract.registers)
        return not missing and not any(prices.get(register) for register in self.contract.others)

    def words(self, registers: Mapping[str, Decimal]) -> str:
        """What does not agree, in words."""
        contract = self.contract
        said = f"{contract.name}, which counts on {', '.join(contract.registers)}" if contract else "none"
        prices = ", ".join(sorted(register for register, price in registers.items() if price)) or "none"
        return f"tariffs: the meter's contract is {said}; here the priced registers are {prices}: has the contract changed?"
