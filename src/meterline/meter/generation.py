"""Which of the meters that had one name speaks: an exchanged meter is another generation, and is compared with no other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Generation:
    """Which generation of a meter speaks: counted up when a number was read twice that is not the one of before."""

    def __init__(self, kept: Mapping[str, Any]) -> None:
        """`kept`: what `to_json` gave once; empty where the state is new or lost."""
        number, address = kept.get("generation"), kept.get("address")
        self.number = number if isinstance(number, int) and number > 0 else 1
        self.address = address if isinstance(address, str) else None
        self.is_kept = bool(kept)
        """The state holds what is known."""

    def to_json(self) -> dict[str, Any]:
        """What must survive a restart."""
        return {"generation": self.number, "address": self.address}

    def find_announced(self, number: int) -> None:
        """Go on with the highest generation that an output has announced."""
        if number > self.number:
            self.number, self.is_kept = number, False

    def hear(self, address: str | None, is_sure: bool) -> bool:
        """Take the number that the meter says.

        Args:
            address: The number; None where the meter said none since the start.
            is_sure: It was read twice.

        Returns:
            Whether it is known which generation speaks. While not, nothing of the meter may be sent.
        """
        if address is None or address == self.address:
            return True
        if self.address is None and not is_sure:
            return True
        if not is_sure:
            return False
        self.number += self.address is not None
        self.address, self.is_kept = address, False
        return True
