"""Which properties to ask a meter for, and how many at once: it is in its map, and in how it answers.

Some meters refuse what they have where too many properties are asked for, leave some out, or do not answer at all. So what is
refused is asked for alone before it is given up, and a question that gets no answer is asked in halves.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from typing import NamedTuple

from meterline.protocols.broute import properties as p
from meterline.protocols.broute.echonet import Frame, Property
from meterline.protocols.broute.session import Session

MOST = 6
"""Properties of one question: meters were seen to answer six at most."""
REFUSALS = 2
"""Times in a row that a property is refused alone until it is given up."""
FIRST_REST = 60.0
"""Seconds until a property that was given up is asked for again; four times as many after each refusal, up to a day."""
HOUR, DAY = 3600.0, 86_400.0
FIRST_TRIAL = 300.0
"""Seconds until a larger question is tried again; eight times as many after each that fails."""


class Limit(NamedTuple):
    """How many properties of one group are asked for at once."""

    size: int
    until: float
    pause: float = FIRST_TRIAL
    """Seconds until the next trial, where this one fails."""
    silent_since: float = math.inf
    """When a larger question got no answer. One that comes late tells that the meter is slow, and nothing else."""


class Questions:
    """What one meter can be asked."""

    def __init__(self) -> None:
        self.offered: frozenset[int] = frozenset()
        """What it has, as its map says."""
        self._limits: dict[tuple[int, ...], Limit] = {}
        self._refused: dict[int, int] = {}
        """Property → how often it was refused alone, in a row."""
        self._aside: dict[int, float] = {}
        """Property → until when it is not asked for."""

    def lacks(self, epc: int) -> bool:
        """The meter does not have it, or refuses it."""
        return epc not in self.offered or self._refused.get(epc, 0) >= REFUSALS

    def why_not(self, epc: int) -> str:
        """Why the meter does not say a property, in words."""
        if epc not in self.offered:
            return "is not in the meter's property map (9F)"
        if epc in self._refused:
            return "is refused by the meter"
        return "was not answered by the meter"

    async def ask(self, session: Session, group: tuple[int, ...]) -> AsyncGenerator[Frame, None]:
        """The replies to questions for those of a group that it has. What is refused is in a reply where it was asked alone."""
        clock = session.module.clock
        begun = clock()
        wanted = [epc for epc in group if epc == p.GET_MAP or (epc in self.offered and not self._is_aside(epc, begun))]
        size = self._size(group, begun, session.late_at)
        waiting = [wanted[at : at + size] for at in range(0, len(wanted), size)]
        crowded: dict[int, int] = {}
        """Refused beside others → how many of those were answered."""
        silent: list[int] = []
        """Asked alone, and not answered."""
        some_answered = False
        while waiting:
            asked = waiting.pop(0)
            frame = await session.get(asked, slow=group == (p.GET_MAP,))
            if frame is None:
                if len(asked) > 1:
                    self._halve(group, asked, clock())
                    return
                silent += asked
                if not some_answered and len(silent) > 1:
                    return
                continue
            some_answered = True
            said = {epc: edt for epc, edt in frame.properties if epc in asked}
            answered = [epc for epc, edt in said.items() if edt]
            refused = [epc for epc, edt in said.items() if not edt]
            for epc in refused:
                session.observe("smartmeter_properties_refused_total", f"{epc:02X}")
            for epc in answered:
                self._refused.pop(epc, None)
            if len(asked) == 1:
                yield frame._replace(properties=tuple(Property(epc, edt) for epc, edt in said.items()))
                self._learn(group, asked[0], bool(answered), crowded, clock())
                continue
            yield frame._replace(properties=tuple(Property(epc, said[epc]) for epc in answered))
            if len(answered) == len(wanted):
                self._limits.pop(group, None)
            elif group in self._limits and len(answered) == len(asked) > self._limits[group].size:
                self._limits[group] = self._limits[group]._replace(size=len(asked))
            crowded |= dict.fromkeys(refused, max(len(answered), 1))
            left = [epc for epc in asked if epc not in said]
            waiting = ([left] if left and said else []) + waiting + [[epc] for epc in refused]
        if some_answered:
            self._aside |= dict.fromkeys(silent, clock() + HOUR)

    def begin(self) -> None:
        """A new session: that nothing was answered in the last one says nothing of how much may be asked at once."""
        self._limits = {group: limit for group, limit in self._limits.items() if limit.silent_since == math.inf}

    def _is_aside(self, epc: int, now: float) -> bool:
        return now < self._aside.get(epc, -math.inf)

    def _size(self, group: tuple[int, ...], now: float, late_at: float) -> int:
        limit = self._limits.get(group, Limit(MOST, math.inf))
        if late_at > limit.silent_since:
            limit = self._limits.pop(group)._replace(size=MOST)
        return limit.size if now < limit.until else min(2 * limit.size, MOST)

    def _learn(self, group: tuple[int, ...], epc: int, answered: bool, crowded: dict[int, int], now: float) -> None:
        """From the reply to a question for one property."""
        if answered and epc in crowded:
            self._limits[group] = Limit(crowded[epc], now + DAY)
        elif not answered:
            self._refused[epc] = self._refused.get(epc, 0) + 1
            if (more := self._refused[epc] - REFUSALS) >= 0:
                self._aside[epc] = now + min(FIRST_REST * 4 ** min(more, 10), DAY)

    def _halve(self, group: tuple[int, ...], asked: list[int], now: float) -> None:
        """No reply to this question: the next one of the group is half as long."""
        pause = self._limits[group].pause if group in self._limits else FIRST_TRIAL
        self._limits[group] = Limit(len(asked) // 2, now + pause, min(8 * pause, DAY), now)
