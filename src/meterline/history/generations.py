"""The generation of each meter, kept in the ledger."""

from __future__ import annotations

import json
from typing import Any

from meterline.history.ledger import Ledger
from meterline.meter.generation import Generation
from meterline.meter.meter import Meter


class Generations:
    """Which generation of each meter speaks."""

    def __init__(self, ledger: Ledger) -> None:
        """`ledger`: the generations are entries of it."""
        self._ledger = ledger
        self._known: dict[str, Generation] = {}

    def number(self, meter: str) -> int:
        """The generation of a meter, from 1 on."""
        return self._of(meter).number

    def is_present(self, meter: str, number: int, address: str | None) -> bool:
        """Whether this generation speaks now, and an address is its own."""
        generation = self._of(meter)
        return generation.number == number and generation.address == address is not None

    def take(self, meter: Meter) -> bool:
        """Take the number that a meter says of itself.

        Returns:
            Whether it is known which generation speaks. While not, nothing of the meter may be recorded.
        """
        return self._of(meter.name).hear(meter.address, meter.is_address_sure)

    def entries(self, meter: str) -> list[tuple[str, bytes]]:
        """The entry of a meter for the ledger, where the ledger does not hold it yet."""
        generation = self._of(meter)
        return [] if generation.is_kept else [(_key(meter), _content(generation))]

    def settle(self, meter: str, entries: list[tuple[str, bytes]]) -> None:
        """These entries are in the ledger now. The meter may have been exchanged while they were written."""
        generation = self._of(meter)
        generation.is_kept |= (_key(meter), _content(generation)) in entries

    def _of(self, meter: str) -> Generation:
        if meter not in self._known:
            self._known[meter] = Generation(_parsed(self._ledger.entry(_key(meter))))
        return self._known[meter]


def _content(generation: Generation) -> bytes:
    return json.dumps(generation.to_json()).encode()


def _key(meter: str) -> str:
    return f"generation/{meter}"


def _parsed(content: bytes | None) -> dict[str, Any]:
    found = json.loads(content) if content else {}
    return found if isinstance(found, dict) else {}
