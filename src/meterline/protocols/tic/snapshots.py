"""Frames of one meter → snapshots, each with its readings that changed, so that a frame costs what changed in it.

A group that is the group of the frame before gives no new reading. Frames are compared where both hold the same labels in the
same order, with nothing lost between them; every other frame is looked at as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, overload

from meterline.meter.readings import Change, Reading, Series, Snapshot, Value
from meterline.protocols.tic.derived import (
    COMBINED,
    HOUSEHOLD,
    all_readings,
    combined_readings,
    group_readings,
    snapshot_of,
)
from meterline.protocols.tic.frames import Frame, Group


class LaterReadings(Sequence[Reading]):
    """All readings of a frame, made when somebody asks for them."""

    __slots__ = ("_frame", "_prm", "_readings")

    def __init__(self, frame: Frame, prm: bool) -> None:
        self._frame, self._prm = frame, prm
        self._readings: tuple[Reading, ...] | None = None

    @overload
    def __getitem__(self, place: int) -> Reading: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Reading, ...]: ...
    def __getitem__(self, place: int | slice) -> Reading | tuple[Reading, ...]:
        if self._readings is None:
            self._readings = all_readings(self._frame, self._prm, after_short=False)
        return self._readings[place]

    def __len__(self) -> int:
        return len(self[:])


class Combined(NamedTuple):
    """Readings of several groups, as they are kept for the next frame: meters of a kind share their series."""

    series: tuple[Series, ...]
    values: tuple[Value, ...]

    @classmethod
    def of(cls, found: Sequence[Reading]) -> Combined:
        """The series and the values of readings."""
        return cls(_shared(tuple(reading.series for reading in found)), tuple(reading.value for reading in found))


@lru_cache(maxsize=64)
def _shared(series: tuple[Series, ...]) -> tuple[Series, ...]:
    return series


class SnapshotBuilder:
    """Builds the snapshots of one meter, frame by frame."""

    def __init__(self, prm: bool) -> None:
        """Begin with a meter of which no frame is known.

        Args:
            prm: Include the number of the delivery point, which names a household.
        """
        self._prm = prm
        self._number = 0
        self._short = False
        self._before: tuple[Group, ...] | None = None
        """The groups of the frame before, where the next one can be compared with them."""
        self._complete = False
        self._combined = Combined((), ())

    def build(self, frame: Frame) -> Snapshot:
        """The snapshot of the next frame."""
        self._number += 1
        changed = self._compare(self._before, frame) if self._before else None
        if changed is None:
            snapshot = self._look_at_all(frame)
        else:
            self._before = tuple(frame.groups.values())
            snapshot = snapshot_of(frame, LaterReadings(frame, self._prm), Change(self._number, changed))
        self._short = snapshot.short
        return snapshot

    def _look_at_all(self, frame: Frame) -> Snapshot:
        found = all_readings(frame, self._prm, self._short)
        # What was judged after a short frame, or with gaps, is judged otherwise the next time; and of two readings of one
        # series the last one counts, which a comparison does not see.
        is_plain = not (self._short or frame.torn) and len({reading.series for reading in found}) == len(found)
        self._before, self._complete = tuple(frame.groups.values()) if is_plain else None, frame.complete
        self._combined = Combined.of(combined_readings(frame, self._short) if is_plain else ())
        return snapshot_of(frame, found, Change(self._number))

    def _compare(self, before: tuple[Group, ...], frame: Frame) -> tuple[Reading, ...] | None:
        """The readings with another value; None where a series came or went, or may have."""
        if frame.torn or frame.complete != self._complete or len(frame.groups) != len(before):
            return None
        moved = [(old, new) for old, new in zip(before, frame.groups.values(), strict=True) if new is not old and new != old]
        if any(old.label != new.label for old, new in moved):
            return None
        pairs: list[tuple[Value, Reading]] = []
        for old, new in moved:
            if new.label != HOUSEHOLD or self._prm:
                olds, news = group_readings(old), group_readings(new)
                if [reading.series for reading in olds] != [reading.series for reading in news]:
                    return None
                pairs += zip([reading.value for reading in olds], news, strict=True)
        if any(self._is_combined(old, new, frame) for old, new in moved):
            news = combined_readings(frame, after_short=False)
            known, self._combined = self._combined, Combined.of(news)
            if self._combined.series != known.series:
                return None
            pairs += zip(known.values, news, strict=True)
        return tuple(new for value, new in pairs if new.value != value)

    def _is_combined(self, old: Group, new: Group, frame: Frame) -> bool:
        """Readings of several groups may change by this one. Of the time it is the day, but for the peaks that are ahead."""
        if new.label == "DATE" and "PPOINTE" not in frame.groups:
            return (old.timestamp or "")[:7] != (new.timestamp or "")[:7]
        return new.label in COMBINED
