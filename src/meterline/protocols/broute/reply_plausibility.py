"""Plausibility of replies. The line between module and host has no checksum, so that a damaged digit is not detected.

Power and current of one reply must agree; if they do not, both are held back until two replies in succession agree. Registers
are checked like those of every meter (`meter.plausibility`). All other shown properties are repeated by the meter, and accepted
when two replies in succession are equal.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from meterline.protocols.broute import properties as p
from meterline.protocols.broute.echonet import Property

FREE_WATTS, VOLTS_MAX = 500.0, 350.0
"""Power that is plausible at any current (E8 is coarse), and the voltage that gives the highest power of a current."""
WATTS_MAX = 60_000.0
"""Limit of the power in a reply without current."""
FREE_AMPERES, VOLTS_MIN = 30.0, 33.0
"""Current that is plausible at any power, and volts at a power factor of 1/3, which give the lowest power of a current."""
AMPERES_MAX = 600.0
"""Limit of the current in a reply without power."""
SIMILAR_RATIO = 2.0
"""Two values are similar if the larger is at most this multiple of the smaller."""
REPEATED = frozenset(
    {p.OPERATION, p.FAULT, p.MAKER, p.SERIAL, p.RELEASE, p.IDENTIFICATION} | {p.HALF_HOUR_IMPORT, p.HALF_HOUR_EXPORT, p.MINUTE}
)
"""Properties that are accepted when two replies in succession are equal. Half-hourly registers are among them: a register that
stands still and then rises cannot be checked by its rate."""


class Load(NamedTuple):
    """Power and current of one reply; None: not in the reply.

    Attributes:
        watts: Active power.
        amperes: Sum of the magnitudes of both phases' currents.
        net: Sum of both phases' currents with their signs: one phase may export what the other draws.
    """

    watts: float | None
    amperes: float | None
    net: float

    @property
    def agrees(self) -> bool:
        """Whether power and current are plausible together."""
        if self.watts is None:
            return abs(self.net) <= AMPERES_MAX
        if self.amperes is None:
            return abs(self.watts) <= WATTS_MAX
        most = FREE_WATTS + VOLTS_MAX * self.amperes
        return abs(self.watts) <= most and abs(self.net) <= FREE_AMPERES + abs(self.watts) / VOLTS_MIN

    def resembles(self, other: Load) -> bool:
        """Return whether two loads are similar, so that both are unlikely to be damaged."""
        return _similar(self.watts or 0.0, other.watts or 0.0, FREE_WATTS) and _similar(self.net, other.net, FREE_AMPERES)


def _similar(one: float, other: float, free: float) -> bool:
    if max(abs(one), abs(other)) <= free:
        return True
    return one * other > 0 and max(abs(one), abs(other)) <= SIMILAR_RATIO * min(abs(one), abs(other))


class ReplyPlausibility:
    """Checks the properties of successive replies of one meter.

    Attributes:
        needs_repeat: Whether the last reply left a value open that a repeated request would settle.
        implausible: Number of rejected values; the reader of the attribute sets it to 0.
    """

    def __init__(self) -> None:
        self.needs_repeat = False
        self.implausible = 0
        self._odd: Load | None = None
        """Power and current of the last reply if they did not agree."""
        self._last: dict[int, bytes] = {}
        self._accepted: dict[int, bytes] = {}

    def accept(self, properties: Iterable[Property]) -> list[Property]:
        """Check the properties of a reply.

        Args:
            properties: Properties of valid form.

        Returns:
            The accepted properties.
        """
        properties = list(properties)
        load = self._is_held_back({epc: edt for epc, edt in properties if edt})
        self.needs_repeat = load
        kept = []
        for epc, edt in properties:
            if epc in (p.POWER, p.CURRENT) and load:
                continue
            if epc in REPEATED and edt and not self._settled(epc, edt):
                self.needs_repeat = True
                continue
            kept.append(Property(epc, edt))
        return kept

    def _is_held_back(self, values: dict[int, bytes]) -> bool:
        """Return whether power and current are held back."""
        if not {p.POWER, p.CURRENT} & set(values):
            return False
        load, before = _load(values), self._odd
        self._odd = None if load.agrees else load
        if load.agrees or (before and load.resembles(before)):
            return False
        self.implausible += 1
        return True

    def _settled(self, epc: int, edt: bytes) -> bool:
        """Return whether a value is the accepted one, or came twice in succession."""
        before = self._last.get(epc)
        self._last[epc] = edt
        accepted = self._accepted.get(epc)
        if edt == accepted:
            self.implausible += before not in (None, accepted)  # The value between was damaged.
            return True
        if edt != before:
            return False
        self._accepted[epc] = edt
        return True


def _load(values: dict[int, bytes]) -> Load:
    watts = p.power(values[p.POWER]) if p.POWER in values else None
    amperes = [value for value in p.currents(values[p.CURRENT]) if value is not None] if p.CURRENT in values else []
    return Load(watts, sum(map(abs, amperes)) if amperes else None, sum(amperes))
