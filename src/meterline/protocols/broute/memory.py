"""What a meter remembers: half-hourly registers of up to 99 days. Which question comes next, and whether a reply is believed.

    E5 = day, then E2 (import) or E4 (export)    48 half-hours of one day; the day counts back from the meter's date
    ED = time and count, then EC                 up to 12 half-hours, both directions, going back from a time

Values are what the registers stood at, no consumption; FFFFFFFE: none is kept. The selectors E5 and ED are state of the meter:
others may set them, and a power cut loses them. So each question sets its selector first, and a reply must repeat the choice.
The wire has no checksum: a reply is believed when a second one says the same, and when it fits the live registers. Sans-IO.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from meterline.protocols.broute import properties as p
from meterline.protocols.broute.echonet import Property

SLOT_S = 1800
DAY_S = 86_400
DAYS = 99
"""The highest day that E5 takes. ⚠ How many days a meter keeps is its own affair: 45 is the figure usually heard."""
SLOTS = DAY_S // SLOT_S
PAIRS_MAX = 12
SETTLED_S = 360
"""Seconds until a half-hour that is over is in the memory: a meter announces it within 300."""
QUIET_FROM_S, QUIET_UNTIL_S = 23 * 3600 + 55 * 60, 10 * 60
"""Seconds of the meter's day between which nothing is asked: at midnight each day gets another number."""
NIGHT_S = 20 * 60
"""Seconds after the meter's midnight at which each night's round begins."""
ROUND_PAUSE_S = 600.0
"""Seconds from the end of a round to the next one, where sessions follow each other soon."""
TRIES = 2
"""Failures of one question after which it waits for the next round."""
MISSES_MAX = 6
"""Questions in a row without an answer after which the round ends."""
IMPORT_FACTOR = 1.5
"""Times the highest power that a household may draw for a while."""

Absent: TypeAlias = Callable[[str, int, int], Sequence[int] | None]
"""Register, and Unix times since and until → edges that the ledger lacks; None while it cannot say."""
Edge: TypeAlias = tuple[int, str, float]
"""Unix time, register of the ledger, watt-hours."""


class Doubt(Exception):
    """A reply is not believed. `str()`: one of `meterline.meter.readings.DOUBTS`."""


class Question(NamedTuple):
    """One question about the memory.

    Attributes:
        choice: The selector and what to set it to.
        history: The property that is then asked for.
        times: Unix time of each half-hour of the reply, in its order.
        registers: Registers of the ledger that the reply has of each half-hour, in its order.
    """

    choice: Property
    history: int
    times: tuple[int, ...]
    registers: tuple[str, ...]

    @property
    def key(self) -> tuple[int, int, int]:
        """The same on the next day, although the number of the day is another one then."""
        return self.history, self.times[0], len(self.times)

    @property
    def is_day(self) -> bool:
        """A whole day is asked for."""
        return self.choice.epc == p.DAY_CHOICE


class Witness(NamedTuple):
    """What the meter says of itself right after a reply from its memory.

    Attributes:
        minute: Unix time of the minute that its clock shows.
        registers: Live registers, in steps.
        half_hours: The last half-hourly registers: Unix time, and steps.
    """

    minute: int
    registers: Mapping[str, int]
    half_hours: Mapping[str, tuple[int, int]]

    @classmethod
    def said(cls, said: Mapping[int, bytes]) -> Witness:
        """From the bytes of 97, 98, E0, E3, EA and EB, where they were answered.

        Raises:
            Doubt: The clock was not said, or a value has a wrong form.
        """
        registers, half_hours = dict[str, int](), dict[str, tuple[int, int]]()
        try:
            minute = int(p.minute(said[p.TIME], said[p.DATE]))
            for register, live, fixed in (
                ("import", p.IMPORT, p.HALF_HOUR_IMPORT),
                ("export", p.EXPORT, p.HALF_HOUR_EXPORT),
            ):
                if said.get(live) and (steps := p.register(said[live])) is not None:
                    registers[register] = steps
                if said.get(fixed) and (steps := p.register(said[fixed][7:])) is not None:
                    half_hours[register] = int(p.moment(said[fixed][:7])), steps
        except KeyError:
            raise Doubt("unanswered") from None
        except ValueError:
            raise Doubt("malformed") from None
        return cls(minute, registers, half_hours)


def date(unix: float) -> str:
    """The date of the meter at a time."""
    return datetime.fromtimestamp(unix, p.JAPAN).date().isoformat()


def second_of_day(unix: float) -> int:
    """Seconds since the meter's midnight. Japan has no summer time."""
    return int(unix + 9 * 3600) % DAY_S


def is_quiet(unix: float) -> bool:
    """It is about midnight."""
    return not QUIET_UNTIL_S <= second_of_day(unix) < QUIET_FROM_S


def day_of(back: int, epc: int, register: str, now: float) -> Question:
    """The question for a day.

    Args:
        back: Days back from the meter's date.
        epc: E2 or E4.
        register: The register that this property holds.
        now: Unix time by the meter's clock.
    """
    start = int(now) - second_of_day(now) - back * DAY_S
    times = tuple(range(start, start + DAY_S, SLOT_S))
    return Question(Property(p.DAY_CHOICE, bytes([back])), epc, times, (register,))


def pairs_of(newest: int, count: int) -> Question:
    """The question for some half-hours, going back from the newest one."""
    local = datetime.fromtimestamp(newest, p.JAPAN)
    choice = local.year.to_bytes(2) + bytes([local.month, local.day, local.hour, local.minute, count])
    times = tuple(range(newest, newest - count * SLOT_S, -SLOT_S))
    return Question(Property(p.PAIRS_CHOICE, choice), p.PAIRS, times, ("import", "export"))


def decode(question: Question, edt: bytes) -> dict[str, dict[int, int | None]]:
    """A reply → register → half-hour → steps; None where the meter keeps none.

    Raises:
        Doubt: It is no reply to this question.
    """
    choice = question.choice.edt
    head, body = (edt[:2], edt[2:]) if question.is_day else (edt[:7], edt[7:])
    if len(body) != 4 * len(question.times) * len(question.registers):
        raise Doubt("malformed")
    if head != (choice.rjust(2, b"\0") if question.is_day else choice):
        raise Doubt("other_question")
    try:
        found = [p.register(body[place : place + 4]) for place in range(0, len(body), 4)]
    except ValueError:
        raise Doubt("malformed") from None
    width = len(question.registers)
    return {
        register: dict(zip(question.times, found[place::width], strict=True))
        for place, register in enumerate(question.registers)
    }


def believe(question: Question, edt: bytes, unit: p.Unit, before: float, after: Witness) -> tuple[Edge, ...]:
    """The edges of a reply that two replies alike have said.

    Args:
        question: What was asked.
        edt: The reply.
        unit: What a step of the registers is worth.
        before: Unix time of the meter's clock before the selector was set.
        after: What the meter said after the reply.

    Returns:
        Edges at which the meter keeps a register. A register that the meter does not count has none.

    Raises:
        Doubt: The reply cannot be right.
    """
    if date(before) != date(after.minute):
        raise Doubt("date_changed")
    edges = list[Edge]()
    for register, slots in decode(question, edt).items():
        known = sorted((time, steps) for time, steps in slots.items() if steps is not None)
        if known:
            _check(register, known, unit, after)
        edges += [(time, register, unit.energy(steps)) for time, steps in known]
    return tuple(edges)


def _check(register: str, known: list[tuple[int, int]], unit: p.Unit, after: Witness) -> None:
    """Whether the half-hours of a register fit each other, the last half-hourly register, and the live one."""
    if max(steps for _, steps in known) >= unit.steps:
        raise Doubt("malformed")
    newest, last = known[-1]
    if newest >= after.minute + 60:
        raise Doubt("future")
    power = p.MAX_POWER_VA * (IMPORT_FACTOR if register == "import" else 1.0)

    def can_rise(earlier: tuple[int, int], later: tuple[int, int]) -> bool:
        """A register that begins again at 0 rises by what is left, and what follows."""
        most = int(power * (later[0] - earlier[0]) / 3600 / float(unit.watthours)) + 2
        return (later[1] - earlier[1]) % unit.steps <= min(most, unit.steps // 2)

    if not all(can_rise(*pair) for pair in pairwise(known)):
        raise Doubt("step")
    fixed_at, fixed = after.half_hours.get(register, (0, 0))
    if dict(known).get(fixed_at, fixed) != fixed:
        raise Doubt("half_hour")
    if register not in after.registers or not can_rise((newest, last), (after.minute + 60, after.registers[register])):
        raise Doubt("register")


class Memory:
    """Which question about the memory of one meter comes next: a round after each join, and each night.

    Times called `tick` are seconds of a clock that does not jump; all others are Unix times by the meter's clock.

    Attributes:
        settable: What the meter lets be set; None: not known yet.
        ends: Register → the date from which on back the meter keeps nothing. Kept beyond a restart.
    """

    def __init__(self, ends: Mapping[str, str]) -> None:
        self.settable: frozenset[int] | None = None
        self.ends = dict(ends)
        self._held: tuple[tuple[int, int, int], bytes] | None = None
        """The first of two replies: key of its question, and bytes."""
        self._settled: set[tuple[int, int, int]] = set()
        """Questions whose replies say all that the meter will ever say."""
        self._tries: dict[tuple[int, int, int], int] = {}
        """Question → how often it failed in this round."""
        self._misses = 0
        self._is_asking = True
        self._due = self._ended = 0.0
        self._offset: float | None = None
        """Unix time of the meter's clock, less the tick."""

    def begin(self, tick: float) -> None:
        """A session begins: what was missed meanwhile is asked for."""
        if not self._is_asking:
            self._due = min(self._due, max(tick, self._ended + ROUND_PAUSE_S))

    def is_due(self, tick: float) -> bool:
        """Something may be asked now, as far as the meter's clock was read before."""
        if not self._is_asking and tick >= self._due:
            self._is_asking, self._misses = True, 0
            self._tries.clear()
        return self._is_asking and (self._offset is None or not is_quiet(tick + self._offset))

    def take_clock(self, tick: float, minute: float) -> None:
        """The meter's clock shows this minute."""
        self._offset = minute - tick

    def end_round(self, tick: float) -> None:
        """Ask nothing more until the next night, or the next session."""
        self._is_asking, self._ended = False, tick
        now = tick + (self._offset or 0.0)
        self._due = tick + ((NIGHT_S - second_of_day(now)) % DAY_S or DAY_S)

    def next(self, absent: Absent, offered: Collection[int], now: float, tick: float) -> Question | None:
        """The next question, for the newest edges that are absent. None: the round has ended, or the ledger cannot say.

        Args:
            absent: What the ledger lacks.
            offered: Properties of the meter.
            now: Its time.
            tick: The same moment.
        """
        registers = {"import": p.DAY_IMPORT} | ({"export": p.DAY_EXPORT} if p.EXPORT in offered else {})
        until = int(now) - SETTLED_S
        for back in range(DAYS + 1) if self._misses < MISSES_MAX else ():
            for register, epc in registers.items():
                question = day_of(back, epc, register, now)
                if date(question.times[0]) <= self.ends.get(register, ""):
                    continue
                lacking = absent(register, question.times[0], min(question.times[0] + DAY_S, until))
                if lacking is None:
                    return None
                if lacking and (best := self._choose(question, lacking, offered)):
                    return best
        self.end_round(tick)
        return None

    def _choose(self, day: Question, lacking: Sequence[int], offered: Collection[int]) -> Question | None:
        """How to ask for edges of a day: by pairs where these hold all of them, as long as that was not tried."""
        assert self.settable is not None
        count = (lacking[-1] - lacking[0]) // SLOT_S + 1
        questions = [day]
        if count <= PAIRS_MAX:
            questions.insert(0, pairs_of(lacking[-1], count))
        for question in questions:
            can = question.choice.epc in self.settable and question.history in offered
            if can and question.key not in self._settled and self._tries.get(question.key, 0) < TRIES:
                return question
        return None

    def confirms(self, question: Question, edt: bytes) -> bool | None:
        """Whether a reply says the same as the one before; None where this is the first one, which is held."""
        held, self._held = self._held, None
        if held is None or held[0] != question.key:
            self._held = question.key, edt
            return None
        return edt == held[1]

    def miss(self, question: Question, is_answered: bool) -> None:
        """A question was not answered, or its reply is not believed."""
        self._held = None
        self._tries[question.key] = self._tries.get(question.key, 0) + 1
        self._misses = 0 if is_answered else self._misses + 1

    def stumble(self, tick: float) -> None:
        """The meter did not say what has to be known before a question."""
        self._misses += 1
        if self._misses >= MISSES_MAX:
            self.end_round(tick)

    def settle(self, question: Question, edges: Collection[Edge], now: float) -> None:
        """It was answered, and is believed."""
        self._misses = 0
        self._tries[question.key] = TRIES
        is_over = date(question.times[-1]) < date(now)
        if is_over or not question.is_day:
            self._settled = {key for key in self._settled if key[1] > now - (DAYS + 2) * DAY_S} | {question.key}
        if is_over and question.is_day and not edges:
            (register,) = question.registers
            self.ends[register] = max(self.ends.get(register, ""), date(question.times[0]))
