"""Frames of one meter → snapshots, each with its readings that changed, so that a frame costs what changed in it.

A group that is the group of the frame before gives no new reading. Frames are compared where both hold the same labels in the
same order, with nothing lost between them; every other frame is looked at as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import overload

from meterline.meter.readings import Change, Reading, Snapshot
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
        self._frame: Frame | None = None
        """The frame before, where the next one can be compared with it."""
        self._combined: tuple[Reading, ...] = ()

    def build(self, frame: Frame) -> Snapshot:
        """The snapshot of the next frame."""
        self._number += 1
        changed = self._compare(self._frame, frame) if self._frame else None
        if changed is None:
            snapshot = self._look_at_all(frame)
        else:
            self._frame = frame
            snapshot = snapshot_of(frame, LaterReadings(frame, self._prm), Change(self._number, changed))
        self._short = snapshot.short
        return snapshot

    def _look_at_all(self, frame: Frame) -> Snapshot:
        found = all_readings(frame, self._prm, self._short)
        # What was judged after a short frame, or with gaps, is judged otherwise the next time; and of two readings of one
        # series the last one counts, which a comparison does not see.
        is_plain = not (self._short or frame.torn) and len({reading.series for reading in found}) == len(found)
        self._frame = frame if is_plain else None
        self._combined = combined_readings(frame, self._short) if is_plain else ()
        return snapshot_of(frame, found, Change(self._number))

    def _compare(self, before: Frame, frame: Frame) -> tuple[Reading, ...] | None:
        """The readings with another value; None where a series came or went, or may have."""
        if frame.torn or frame.complete != before.complete or list(frame.groups) != list(before.groups):
            return None
        pairs = zip(before.groups.values(), frame.groups.values(), strict=True)
        moved = [(old, new) for old, new in pairs if new is not old and new != old]
        by_group = [(group_readings(old), group_readings(new)) for old, new in moved if new.label != HOUSEHOLD or self._prm]
        if any(self._is_combined(old, new, frame) for old, new in moved):
            combined = combined_readings(frame, after_short=False)
            by_group.append((self._combined, combined))
            self._combined = combined
        if any([old.series for old in olds] != [new.series for new in news] for olds, news in by_group):
            return None
        both = chain.from_iterable(zip(olds, news, strict=True) for olds, news in by_group)
        return tuple(new for old, new in both if new.value != old.value)

    def _is_combined(self, old: Group, new: Group, frame: Frame) -> bool:
        """Readings of several groups may change by this one. Of the time it is the day, but for the peaks that are ahead."""
        if new.label == "DATE" and "PPOINTE" not in frame.groups:
            return (old.timestamp or "")[:7] != (new.timestamp or "")[:7]
        return new.label in COMBINED
