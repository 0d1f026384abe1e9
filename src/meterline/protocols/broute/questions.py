"""Which properties to ask a meter for, and how many at once: it is in its map, and in how it answers.

Some meters refuse what they have where too many properties are asked for, leave some out, or do not answer at all. So what is
refused is asked for alone before it is given up, and a question that gets no answer is asked in halves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from meterline.protocols.broute import properties as p
from meterline.protocols.broute.echonet import Frame, Property
from meterline.protocols.broute.session import Session

PROPERTIES_MAX = 6
"""Properties of one question: meters were seen to answer six at most."""
REFUSALS = 2
"""Times in a row that a property is refused alone until the meter is taken not to have it."""
REFUSED_PAUSE_S = 60.0
"""Seconds until a property is asked for again that was refused (or not answered, while others were) once more than that; four
times as many after each further time, up to a day; an hour for what people read a meter for.
"""
CROWDED = 3
"""Times in a row that the same properties are refused beside others, and answered alone, until fewer are asked for at once."""
TRIAL_PAUSE_S = 300.0
"""Seconds until more are asked for at once again; eight times as many after each trial that fails, up to a day."""
HOUR_S, DAY_S = 3600.0, 86_400.0
ALIVE_S = 60.0
"""Seconds after its last word in which a meter that does not answer a question may be unable to answer that question."""


class Limit(NamedTuple):
    """How many properties of one group are asked for at once."""

    size: int
    until: float
    pause: float
    """Seconds until the next trial, where this one fails."""
    silent_since: float
    """When a larger question got no answer. One that comes late tells that the meter is slow, and nothing else."""


class Questions:
    """What one meter can be asked."""

    def __init__(self) -> None:
        self.offered: frozenset[int] = frozenset()
        """What it has, as its map says."""
        self._limits: dict[tuple[int, ...], Limit] = {}
        self._crowded: dict[tuple[int, ...], tuple[set[int], int]] = {}
        """Group → which of it were refused beside others, and answered alone; and how often these, in a row."""
        self._refused: dict[int, int] = {}
        """Property → how often it was refused alone, in a row."""
        self._silent: dict[int, int] = {}
        """Property → how often it was not answered alone, while others were, in a row."""
        self._aside: dict[int, float] = {}
        """Property → until when it is not asked for."""

    def lacks(self, epc: int) -> bool:
        """The meter does not have it, or refuses it."""
        return epc not in self.offered or self._refused.get(epc, 0) >= REFUSALS

    def why_not(self, epc: int) -> str:
        """Why the meter does not say a property, in words."""
        if epc not in self.offered:
            return "is not in the meter's property map (9F)"
        return "is refused by the meter" if epc in self._refused else "was not answered by the meter"

    async def ask(self, session: Session, group: tuple[int, ...], take: Callable[[Frame], object]) -> None:
        """Ask for those properties of a group that the meter has.

        Args:
            session: Up, with this meter.
            group: Properties that are asked for together where the meter bears it.
            take: Takes each reply as it comes. What is refused is in a reply where it was asked alone.

        Raises:
            Lost: The session has ended.
            Held: Nothing may be sent now.
            CommandFailed, OSError: The module refuses a command; the link is lost.
        """
        clock = session.module.clock
        begun = clock()
        wanted = self._wanted(group, begun)
        waiting = _cut(wanted, self._size(group, begun, session.late_at))
        most, doubted, silent, crowded, answers = PROPERTIES_MAX, set[int](), list[int](), set[int](), 0
        while waiting:
            asked = waiting.pop(0)
            frame = await session.get(asked, slow=group == (p.GET_MAP,))
            alive = session.heard_at >= begun - ALIVE_S
            if frame is None and len(asked) > 1 and alive and (frame := await session.get(asked[:1], tries=1)):
                # It is this question that the meter cannot answer.
                half = len(asked) // 2
                self._limit(group, half, clock(), begun)
                asked, waiting = asked[:1], [*_cut(asked[1:], half), *waiting]
            if frame is None:
                silent += asked
                if len(asked) > 1 or (len(silent) > 1 and not answers):
                    return
                continue
            answers += 1
            said = {epc: edt for epc, edt in frame.properties if epc in asked}
            refused = [epc for epc, edt in said.items() if not edt]
            for epc in refused:
                session.observe("smartmeter_properties_refused_total", f"{epc:02X}")
            take(frame._replace(properties=tuple(Property(*one) for one in said.items() if one[1] or len(asked) == 1)))
            self._note(asked, said, clock())
            if len(asked) == 1:
                crowded |= doubted & said.keys() - set(refused)
                continue
            if refused:
                doubted |= set(refused)
                most = min(most, max(len(said) - len(refused), 1))
            elif len(said) == len(asked):
                self._bears(group, len(asked), len(asked) == len(wanted))
            left = [epc for epc in asked if epc not in said]
            waiting = ([left] if left and said else []) + waiting + [[epc] for epc in refused]
        for epc in silent if answers else ():
            self._set_aside(self._silent, epc, clock())
        if answers and self._is_crowded(group, crowded):
            self._limit(group, most, clock(), math.inf)

    def begin(self) -> None:
        """A new session: what was refused in the last one may be answered in this."""
        self._aside.clear()

    def _wanted(self, group: tuple[int, ...], now: float) -> list[int]:
        """Those of a group that are asked for now: at least one, since a refusal too says that the meter is there."""
        offered = [epc for epc in group if epc == p.GET_MAP or epc in self.offered]
        wanted = [epc for epc in offered if now >= self._aside.get(epc, now)]
        return wanted or sorted(offered, key=lambda epc: self._aside.get(epc, now))[:1]

    def _size(self, group: tuple[int, ...], now: float, late_at: float) -> int:
        """How many to ask for at once: after a while twice as many as the meter bore."""
        limit = self._limits.get(group)
        if limit and late_at > limit.silent_since:
            limit = self._limits.pop(group) and None
        if limit is None:
            return PROPERTIES_MAX
        return limit.size if now < limit.until else min(2 * limit.size, PROPERTIES_MAX)

    def _limit(self, group: tuple[int, ...], size: int, now: float, silent_since: float) -> None:
        pause = self._limits[group].pause if group in self._limits else TRIAL_PAUSE_S
        self._limits[group] = Limit(size, now + pause, min(8 * pause, DAY_S), silent_since)

    def _bears(self, group: tuple[int, ...], size: int, all_at_once: bool) -> None:
        """So many were answered at once."""
        if all_at_once:
            self._limits.pop(group, None)
        elif group in self._limits and self._limits[group].size < size:
            self._limits[group] = self._limits[group]._replace(size=size)

    def _is_crowded(self, group: tuple[int, ...], now: set[int]) -> bool:
        """Whether the same properties were refused only because of others often enough."""
        before, times = self._crowded.get(group, (now, 0))
        times = times + 1 if now and now == before else bool(now)
        self._crowded[group] = (now, times)
        return times >= CROWDED

    def _note(self, asked: list[int], said: dict[int, bytes], now: float) -> None:
        """What the reply tells of each property."""
        for epc, edt in said.items():
            self._silent.pop(epc, None)
            if edt:
                self._refused.pop(epc, None)
            elif len(asked) == 1:
                self._set_aside(self._refused, epc, now)

    def _set_aside(self, times: dict[int, int], epc: int, now: float) -> None:
        """It failed once more, in one of the two ways."""
        times[epc] = times.get(epc, 0) + 1
        if (more := times[epc] - REFUSALS - 1) >= 0:
            longest = HOUR_S if epc in (p.POWER, p.CURRENT, p.IMPORT) else DAY_S
            self._aside[epc] = now + min(REFUSED_PAUSE_S * 4 ** min(more, 10), longest)


def _cut(epcs: list[int], size: int) -> list[list[int]]:
    return [epcs[at : at + size] for at in range(0, len(epcs), size)]
