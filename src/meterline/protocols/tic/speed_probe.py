"""The trial of a line at one speed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from meterline.protocols.tic.frames import Event
from meterline.protocols.tic.line_faults import COUNTED, Symptoms

ENOUGH_GROUPS = 3
"""Valid groups that make us sure of the speed: noise gives none."""


_NONE: Counter[int] = Counter()


@dataclass
class SpeedProbe:
    """Everything that was heard at one speed."""

    baud: int | None
    """None where the link has none: a bridge sets it."""
    seconds: float = 0.0
    size: int = 0
    """Bytes."""
    symptoms: Symptoms = field(default_factory=Symptoms)
    common: Counter[int] = field(default_factory=Counter)
    """How often each came, at first, as long as there was no group."""

    def take(self, data: bytes, events: Sequence[Event]) -> None:
        """What was read, and what the decoder made of it."""
        if self.symptoms.groups:
            self.common = _NONE
        elif self.size < COUNTED:
            self.common.update(data)
        self.size += len(data)
        self.symptoms.feed(data, events)

    @property
    def sure(self) -> bool:
        """It is a TIC line at this speed."""
        return self.symptoms.groups >= ENOUGH_GROUPS

    @property
    def counts(self) -> str:
        """How much of what came, without its order."""
        common = ", ".join(f"{byte:02X}: {times}" for byte, times in self.common.most_common(16))
        counts = f"valid groups: {self.symptoms.groups}; damaged: {self.symptoms.known}"
        return f"{self}; {counts}; commonest bytes: {common or 'none'}"

    def __str__(self) -> str:
        return f"{self.size} bytes in {self.seconds:.0f} s" + (f" at {self.baud} baud" if self.baud else "")
