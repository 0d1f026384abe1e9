"""Whether a reply can be believed. The wire has no checksum: a digit damaged between module and host cannot be seen.

Power and current of one reply bear each other out; where they do not, both are held back until two replies in a row agree.
Registers are judged as those of every meter (`registers`). Everything else that is shown is said again and again, and is
believed when two replies in a row say the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from meterline.protocols.broute import properties as p
from meterline.protocols.broute.echonet import Property

FREE_WATTS, VOLTS = 500.0, 350.0
"""Watts that any current may carry (E8 is coarse), and volts that turn amperes into the most watts that they can be."""
HIGHEST_WATTS = 60_000.0
"""Taken where the reply does not say the current."""
FREE_AMPERES, LEAST_VOLTS = 30.0, 33.0
"""Amperes that any power may need, and volts at a power factor of a third: what a current carries at least."""
HIGHEST_AMPERES = 600.0
"""Taken where the reply does not say the power."""
ALIKE = 2.0
"""Two values are alike where the larger is no more than so many times the smaller."""
LASTING = frozenset(
    {p.OPERATION, p.FAULT, p.MAKER, p.SERIAL, p.RELEASE, p.IDENTIFICATION} | {p.HALF_HOUR_IMPORT, p.HALF_HOUR_EXPORT, p.MINUTE}
)
"""What is said again and again, and so is believed when it was said twice. Fixed registers among them: a register that
stands still and then jumps cannot be judged by how fast it rises."""


class Load(NamedTuple):
    """Power and current of one reply; None where it does not say."""

    watts: float | None
    amperes: float | None
    """The sum of both phases, magnitudes."""
    net: float
    """The sum of both phases, with their signs: what is fed in on one may be drawn on the other."""

    @property
    def agrees(self) -> bool:
        """Power and current bear each other out."""
        if self.watts is None:
            return abs(self.net) <= HIGHEST_AMPERES
        if self.amperes is None:
            return abs(self.watts) <= HIGHEST_WATTS
        most = FREE_WATTS + VOLTS * self.amperes
        return abs(self.watts) <= most and abs(self.net) <= FREE_AMPERES + abs(self.watts) / LEAST_VOLTS

    def resembles(self, other: Load) -> bool:
        """Both exceed the bounds in the same way."""
        return _alike(self.watts or 0.0, other.watts or 0.0, FREE_WATTS) and _alike(self.net, other.net, FREE_AMPERES)


def _alike(one: float, other: float, free: float) -> bool:
    if max(abs(one), abs(other)) <= free:
        return True
    return one * other > 0 and max(abs(one), abs(other)) <= ALIKE * min(abs(one), abs(other))


class Belief:
    """`sift` the properties of a reply: what is not believed yet is left out."""

    def __init__(self) -> None:
        self.doubts = False
        """The last reply left something open that the same question would settle."""
        self.implausible = 0
        """Values that were not believed, since this was read last."""
        self._odd: Load | None = None
        """Power and current of the last reply, where they did not agree."""
        self._said: dict[int, bytes] = {}
        self._believed: dict[int, bytes] = {}

    def sift(self, said: Iterable[Property]) -> list[Property]:
        """Those that are believed. Their form is right."""
        said = list(said)
        load = self._judge({epc: edt for epc, edt in said if edt})
        self.doubts = load
        kept = []
        for epc, edt in said:
            if epc in (p.POWER, p.CURRENT) and load:
                continue
            if epc in LASTING and edt and not self._settled(epc, edt):
                self.doubts = True
                continue
            kept.append(Property(epc, edt))
        return kept

    def _judge(self, said: dict[int, bytes]) -> bool:
        """Whether power and current are held back."""
        if not {p.POWER, p.CURRENT} & set(said):
            return False
        load, before = _load(said), self._odd
        self._odd = None if load.agrees else load
        if load.agrees or (before and load.resembles(before)):
            return False
        self.implausible += 1
        return True

    def _settled(self, epc: int, edt: bytes) -> bool:
        """Whether it is what was believed, or was said twice in a row."""
        before = self._said.get(epc)
        self._said[epc] = edt
        believed = self._believed.get(epc)
        if edt == believed:
            self.implausible += before not in (None, believed)  # what was said in between was not true
            return True
        if edt != before:
            return False
        self._believed[epc] = edt
        return True


def _load(said: dict[int, bytes]) -> Load:
    watts = p.power(said[p.POWER]) if p.POWER in said else None
    amperes = [value for value in p.currents(said[p.CURRENT]) if value is not None] if p.CURRENT in said else []
    return Load(watts, sum(map(abs, amperes)) if amperes else None, sum(amperes))
