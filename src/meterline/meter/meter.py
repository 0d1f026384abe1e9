"""One meter: per reading its last believed value, and when it was confirmed.

What the decoder cannot judge is judged here, with a clock and a memory:
  plausible   a register that falls, or rises faster than power allows, is held back until the next value bears it out
  agreed      free text is believed when two in a row agree
  fresh       a reading not confirmed for `stale_after` seconds disappears, although the meter is up
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from operator import attrgetter

from meterline import world
from meterline.meter.families import REGISTERS
from meterline.meter.link_counters import LinkCounters
from meterline.meter.plausibility import DEFAULT_MAX_POWER_VA, Mark, Registers
from meterline.meter.raw_fields import RawFields
from meterline.meter.readings import Reading, Series, Snapshot, Text, Total
from meterline.meter.text_cache import TextCache

SHORT_FRAMES_STALE_AFTER = 30.0
"""Seconds while short frames run: in a three-phase overload the indexes come every 15 to 20 s."""

_SUBSCRIBED = ("smartmeter_subscribed_power_voltamperes",)


class Moment:
    """When something was said (monotonic). Readings of one frame share one, so that the next frame confirms them together."""

    __slots__ = ("at",)

    def __init__(self, at: float) -> None:
        self.at = at


class Entry:
    """A reading that is shown: its value, and when it was confirmed last."""

    __slots__ = ("seen", "value")

    def __init__(self, value: float | str, seen: Moment) -> None:
        self.value = value
        self.seen = seen


_SEEN_AT = attrgetter("seen.at")


class Meter:
    """The accepted readings of one meter.

    Attributes:
        counters: Counters of its link, and what its driver observes.
        text: What /metrics shows of both.
    """

    def __init__(self, name: str, stale_after: float = 10.0, clock: Callable[[], float] | None = None) -> None:
        self.name = name
        self.text = TextCache(name)
        self._labels: Mapping[str, str] = {}
        self.stale_after = stale_after
        self.follows_pace = True
        """A slow meter has longer than `stale_after`; False where a person chose that."""
        self.max_power_va = DEFAULT_MAX_POWER_VA
        """The highest power that the rise of a register may imply: a fact of the meter's protocol."""
        self.clock = clock or world.current.monotonic
        self.keeps_words = False
        self.counters = LinkCounters(self.text, self.clock)
        self.registers: dict[Series, float] = {}
        """What the last snapshot said of its counters, as far as it is believed."""
        self.address: str | None = None
        self.is_address_sure = False
        """Two snapshots said the address."""
        self.gone = 0
        """Readings that have disappeared so far."""
        self.last_frame = -math.inf
        self.last_frame_at = 0.0
        """Unix time of the last valid frame, for people; 0 before the first."""
        self.start_anew()

    @property
    def labels(self) -> Mapping[str, str]:
        """What the configuration says of the meter beside its name: name of a label → text. Every series has these labels."""
        return self._labels

    @labels.setter
    def labels(self, labels: Mapping[str, str]) -> None:
        if labels != self._labels:
            self._labels = labels
            self.text.label({"meter": self.name, **labels})

    def start_anew(self) -> None:
        """Forget what is shown: it is another meter, or read over another link."""
        self.gone += 1
        self._entries: dict[Series, Entry] = {}
        self._registers = Registers()
        self._said_once: dict[Series, str] = {}
        self._stranger: str | None = None
        self._stranger_at = -math.inf
        self._last_short = -math.inf
        self._oldest, self._holds = math.inf, 0.0
        self._moment = Moment(-math.inf)
        """That of the last snapshot."""
        self._number: int | None = None
        """Of the last snapshot, where what the next one changes can be judged alone."""
        self._apart: list[Entry] = []
        """Entries that the last snapshot did not confirm."""
        self.said = RawFields()
        self.text.clear()

    def move(self) -> None:
        """Forget what the former line said: the meter is read over another one from now on. Counters keep their values."""
        self.start_anew()
        self.counters.move()
        self.last_frame = -math.inf

    @property
    def up(self) -> bool:
        """A valid frame came within `patience`."""
        return self.clock() - self.last_frame <= self.patience

    @property
    def patience(self) -> float:
        """Seconds without a valid frame after which the meter is silent."""
        return max(self.stale_after, self._holds * self.follows_pace) if self._holds else self.stale_after

    def value(self, *series: str) -> float | str | None:
        """What is shown of a series now, if anything."""
        self.expire()
        entry = self._entries.get(series)
        return entry.value if entry else None

    @property
    def readings(self) -> dict[Series, float | str]:
        """All that is shown now."""
        self.expire()
        return {series: entry.value for series, entry in self._entries.items()}

    @property
    def words(self) -> dict[str, str]:
        """What the meter says in the wire's own labels, where it `keeps_words`; as fresh as its readings."""
        return self.said.since(self.clock() - self.freshness())

    def confirmed(self, *series: str) -> float:
        """When what is shown of a series was said last (monotonic); -inf where nothing is shown."""
        return entry.seen.at if (entry := self._entries.get(series)) else -math.inf

    def take(self, snapshot: Snapshot, timed: bool = True) -> None:
        """Accept the plausible readings of a snapshot, and write the text of those that changed.

        Args:
            snapshot: The readings of a frame or of a round of questions. Where its `change` follows the snapshot taken last,
                only the readings that changed are judged, and all others are confirmed.
            timed: False for a capture that is replayed faster than real time; rates of rise are then not checked.
        """
        now, self._holds = self.clock(), snapshot.holds
        self.counters.count_frame(len(snapshot.words) or 1)
        self.last_frame, self.last_frame_at = now, round(world.current.now(), 3)
        if snapshot.short:
            self._last_short = now
        if self._is_stranger(snapshot.address, now):
            self.counters.rejected["implausible"] += 1
            self.registers.clear()
            self._number = None  # a driver that begins anew counts anew: the next number may follow by chance
            return
        self.said.take(snapshot if self.keeps_words else None, now)
        subscribed = self._entries.get(_SUBSCRIBED)
        self._registers.judge_by(snapshot, self.max_power_va, float(subscribed.value) if subscribed else None)
        changed = set[str]()
        change, self._number = snapshot.change, self._number if timed else None
        if change and change.readings is not None and change.number - 1 == self._number:
            self._confirm_but([reading.series for reading in change.readings], snapshot.totals, now)
            settled = self._take_each(change.readings, now, timed, changed)
        else:
            self._moment, self._apart = Moment(now), list(self._entries.values())
            self.registers.clear()
            settled = self._take_each(snapshot.readings, now, timed, changed)
        for total in snapshot.totals:
            settled &= self._add_up(total, now, timed, changed)
        # A register that is held back and a text that was said once wait for the next word, be it the same one again.
        self._number = change.number if change and timed and settled else None
        moment = self._moment
        self._apart = [entry for entry in self._apart if entry.seen is not moment]
        self._render(changed)
        self.counters.write(self.last_frame_at)

    def _confirm_but(self, series: Iterable[Series], totals: Iterable[Total], now: float) -> None:
        """Confirm what the last snapshot confirmed, but for these: they are judged by when they were said last."""
        before = Moment(self._moment.at)
        for each in chain(series, (total.series for total in totals)):
            if entry := self._entries.get(each):
                if entry.seen is self._moment:
                    entry.seen = before
                    self._apart.append(entry)
                self.registers.pop(each, None)
        self._moment.at = now

    def _take_each(self, readings: Iterable[Reading], now: float, timed: bool, changed: set[str]) -> bool:
        """Judge each reading. False where one waits for the next snapshot: a register held back, a text said once."""
        entries, moment, settled = self._entries, self._moment, True
        for reading in readings:
            series, value = reading
            # Most of a frame is as it was: what is shown like that is confirmed, and nothing is taken from nothing.
            if (entry := entries.get(series)) is None:
                if value is None:
                    continue
            elif entry.value == value and type(value) is not Text and series[0] not in REGISTERS:
                entry.seen = moment
                continue
            settled &= self._believe(reading, now, timed, changed) or value is None
        return settled

    def refresh(self) -> None:
        """Bring the text up to date: readings that nobody confirms any more, and counters that moved without a frame."""
        now = self.clock()
        if now - self._oldest > self.stale_after:
            self.expire()
        self.counters.refresh(now - self.last_frame <= self.patience, self.last_frame_at)

    def expire(self) -> None:
        """Drop what nobody has confirmed for too long."""
        now, limit = self.clock(), self.freshness()
        if now - self._oldest <= limit:
            return
        changed: set[str] = set()
        for series in [series for series, entry in self._entries.items() if now - entry.seen.at > limit]:
            self._drop(series, changed)
        self._number, self._apart = None, list(self._entries.values())
        self._render(changed)

    def freshness(self) -> float:
        """Seconds without confirmation after which a reading disappears."""
        short = self.clock() - self._last_short <= self.stale_after
        return max(self.patience, SHORT_FRAMES_STALE_AFTER) if short else self.patience

    def _is_stranger(self, address: str | None, now: float) -> bool:
        """Another meter's address: believed when two frames in a row say it, and then everything starts anew."""
        if now - self._stranger_at > self.patience:
            self._stranger = None
        if address is None:
            return self._stranger is not None
        if self.address in (None, address):
            self.is_address_sure = self.address == address
            self.address, self._stranger = address, None
            return False
        if address != self._stranger:
            self._stranger, self._stranger_at = address, now
            return True
        self.start_anew()
        self.address, self.is_address_sure = address, True
        self.counters.swaps += 1
        return False

    def _believe(self, reading: Reading, now: float, timed: bool, changed: set[str]) -> bool:
        """Accept a reading or not. True where it is shown and confirmed."""
        series, value = reading
        if value is None:
            self._drop(series, changed)
            return False
        entry = self._entries.get(series)
        if series[0] in REGISTERS:
            shown = Mark(float(entry.value), entry.seen.at) if entry else None
            plausible = self._registers.plausible(series, shown, Mark(float(value), now), timed, self.patience)
            if not plausible:
                self.counters.rejected["implausible"] += plausible is False
                return False
            self.registers[series] = float(value)
        elif type(value) is Text and not self._agreed(series, entry, value):
            return False
        if entry is None:
            self._entries[series] = Entry(value, self._moment)
            changed.add(series[0])
        else:
            entry.seen = self._moment
            if entry.value != value:
                entry.value = value
                changed.add(series[0])
        return True

    def _agreed(self, series: Series, entry: Entry | None, text: str) -> bool:
        """Whether a text is the one shown, or was said twice in a row."""
        said_before = self._said_once.pop(series, None)
        if text == said_before or (entry is not None and entry.value == text):
            return True
        self._said_once[series] = text
        return False

    def _add_up(self, total: Total, now: float, timed: bool, changed: set[str]) -> bool:
        """A total of registers: shown when each is known, as fresh as the oldest of them. False where it is held back."""
        parts = [self._entries[part] for part in total.parts if part in self._entries]
        if len(parts) < len(total.parts):
            return True
        if not self._believe(Reading(total.series, sum(float(part.value) for part in parts)), now, timed, changed):
            return False
        if (oldest := min(part.seen.at for part in parts)) < now:
            entry = self._entries[total.series]
            entry.seen = Moment(oldest)
            self._apart.append(entry)
        return True

    def _drop(self, series: Series, changed: set[str]) -> None:
        if entry := self._entries.pop(series, None):
            self.gone += 1
            changed.add(series[0])
            if series[0] in REGISTERS:
                self._registers.retired[series] = Mark(float(entry.value), entry.seen.at)
            entry.seen = self._moment  # nobody waits any more for it to be confirmed

    def _render(self, changed: set[str]) -> None:
        """Write the text of the changed families again, and note when the first reading of all is due to disappear."""
        self._oldest = min(map(_SEEN_AT, self._apart), default=self._moment.at) if self._entries else math.inf
        if not changed:
            return
        found: dict[str, list[tuple[Series, float | str]]] = {family: [] for family in changed}
        for series, entry in self._entries.items():
            if series[0] in found:
                found[series[0]].append((series, entry.value))
        for family, shown in found.items():
            self.text.show(family, shown)
