"""What a line shows of itself: counts of its bytes, of its groups by label, and of its rejects by what is wrong with them.

A reject is looked at for the two kinds of damage that name their cause: spaces cut off at its end, and a first character that
was lost. Nothing repaired is ever a value. Memory is bounded: labels are those of the table, and counts are halved as they
grow.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from meterline.meter.readings import Rejected
from meterline.protocols.tic.fields import FIELDS
from meterline.protocols.tic.frames import CONTROLS, Event, Group, Mark, check

ENOUGH = 400
"""Bytes to hear before judging: two short frames at least."""
COUNTED = 10 * ENOUGH
"""Bytes of a line with groups that are looked at one by one."""
REMEMBERED = 4000
"""Groups after which all counts are halved: what was long ago weighs little."""
STRETCH, SAMPLE = 64, 8
"""Of a line that has been clean for as long, one stretch of so many reads in so many is counted by label: a clean line has
nothing to tell. A stretch holds some frames, so that each label and mark has its share.
"""
LOOKED_AT = 50
"""Rejects of one read that are looked at: where there are more, it is noise."""

_LABELS = {label.encode() for label in FIELDS}
_HEADLESS: dict[bytes, list[bytes]] = {}
for _label in _LABELS:
    _HEADLESS.setdefault(_label[1:], []).append(_label[:1])
_FIRST_FIELD = re.compile(rb"[^\t ]*")
_UNPRINTABLE = bytes(byte for byte in range(256) if not 0x20 <= byte & 0x7F < 0x7F and byte & 0x7F not in b"\n\r\t\x02\x03\x04")
_WITHOUT_BIT_7 = bytes(range(128))
_EVEN = bytes(byte for byte in range(256) if byte.bit_count() % 2 == 0)


def untrimmed(body: bytes) -> Group | None:
    """The group that this reject would be with the spaces that something cut off its end: separator, checksum or both."""
    for tail in (b" ", b"  ", b"\t "):
        if isinstance(group := check(body + tail), Group):
            return group
    return None


def with_its_head(body: bytes) -> Group | None:
    """The group that this reject would be with the first character of its label, which was lost or altered."""
    body = CONTROLS.sub(b"", body)
    name = _FIRST_FIELD.match(body)[0]  # type: ignore[index]  # it matches nothing too
    for rest, label in ((body, name), (body[1:], name[1:])):
        for first in _HEADLESS.get(label, ()):
            if isinstance(group := check(first + rest), Group):
                return group
    return None


class Symptoms:
    """Counts over what was heard since the link was opened, or its speed changed."""

    def __init__(self) -> None:
        self.heard = self.groups = self.foreign = self.rejected = self.known = 0
        """Bytes, valid groups, labels that no table has, rejects, and those of them that begin with a label."""
        self.returns = self.feeds = self.nuls = self.noise = self.high = self.even = 0
        """Bytes: CR, LF, NUL, those that no text has, those with bit 7, those with even parity."""
        self.nuls_in_rejects = self.groups_counted = self._recent = self._clean = self._reads = 0
        self.accepted_by_label: Counter[str] = Counter()
        self.rejected_by_label: Counter[str] = Counter()
        """What the reject's own first field says; those without a known label are under an empty one."""
        self.trimmed: Counter[str] = Counter()
        """Groups that lost spaces at their end, by label."""
        self.headless: Counter[str] = Counter()
        """Groups that lost their first character, by label."""
        self.starts = self.ends = 0
        """Marks of frames."""

    def feed(self, data: bytes, events: Sequence[Event]) -> None:
        """Take in what was read, and what the decoder made of it."""
        self._reads += 1
        if self._clean > REMEMBERED and self._reads // STRETCH % SAMPLE:
            kinds = list(map(type, events))
            if Rejected not in kinds:
                self.groups += kinds.count(Group)
                return
        accepted, before, rejects = self.accepted_by_label, self.groups, []
        for event in events:
            if type(event) is Group:
                accepted[event.label] += 1
                self.groups += 1
            elif type(event) is Rejected:
                rejects.append(event)
            elif event is Mark.START:
                self.starts += 1
            elif event is Mark.END:
                self.ends += 1
        self._clean += len(events)
        if rejects:
            self._clean = 0
            self._look_at(rejects)
        self._recent += len(events)
        if self._recent > REMEMBERED:
            self._fade()
        if self.heard <= COUNTED or not self.groups:
            self._count(data)
            self.groups_counted += self.groups - before
            self.nuls_in_rejects += sum(reject.data.count(0) for reject in rejects)

    def _fade(self) -> None:
        self._recent //= 2
        self.starts, self.ends = self.starts // 2, self.ends // 2
        for counts in (self.accepted_by_label, self.rejected_by_label, self.trimmed, self.headless):
            for key in counts:
                counts[key] //= 2

    def _look_at(self, rejects: Sequence[Rejected]) -> None:
        self.rejected += len(rejects)
        self.rejected_by_label[""] += len(rejects[LOOKED_AT:])
        for reason, body, *_ in rejects[:LOOKED_AT]:
            label = _FIRST_FIELD.match(body)[0]  # type: ignore[index]
            known = label in _LABELS
            self.known += known
            self.foreign += reason == "unknown_label"
            if group := untrimmed(body):
                self.trimmed[group.label] += 1
            elif group := with_its_head(body):
                self.headless[group.label] += 1
            self.rejected_by_label[group.label if group else label.decode() if known else ""] += 1

    def _count(self, data: bytes) -> None:
        self.heard += len(data)
        self.returns += data.count(b"\r") + data.count(b"\x8d")
        self.feeds += data.count(b"\n") + data.count(b"\x8a")
        self.nuls += data.count(0)
        self.noise += len(data) - len(data.translate(None, _UNPRINTABLE))
        self.high += 0 if data.isascii() else len(data.translate(None, _WITHOUT_BIT_7))
        self.even += len(data) - len(data.translate(None, _EVEN))

    @property
    def damage(self) -> tuple[int, int]:
        """Groups of late, and how many of them were damaged; what no table knows but is whole is not."""
        bad = max(self.rejected_by_label.total() - self.foreign, 0)
        return self.accepted_by_label.total() + bad, bad
