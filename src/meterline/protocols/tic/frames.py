"""TIC frames and information groups: bytes in, groups out; and groups in, bytes out.

    frame = STX group … group ETX                    EOT in place of ETX where the meter interrupts itself
    group = LF label SP data SP checksum CR          historic mode
    group = LF label [HT timestamp] HT data HT checksum CR      standard mode

checksum = (sum & 0x3F) + 0x20, over label … data (historic) or label … the last HT (standard): the separator before the
checksum tells the mode, group by group. Sources: Enedis-NOI-CPT_54E v3 §5-6, Enedis-NOI-CPT_02E v6.

A group stands by itself: a damaged one costs no other. CR, LF, ETX and EOT all end a group, so that a stream whose CR or ETX
was eaten on the way (a terminal in cooked mode) still gives its groups. Where CR or LF arrives as another control character,
what stands between is judged all the same. NULs, XON and XOFF between groups are nothing. Bit 7 is masked, since bridges often
run 8N1.
Not supported: the meters of companies (CJE, ICE, PME-PMI, SAPHIR), which have other labels.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import NamedTuple, TypeAlias
from zlib import adler32

from meterline.meter.readings import Rejected
from meterline.protocols.tic.fields import HISTORIC, STANDARD

STX, ETX, EOT, HT, SP = b"\x02", b"\x03", b"\x04", 0x09, 0x20
_ENDS = (b"\n", b"\r", ETX, EOT)

MAX_SEGMENT = 128
"""Longest stretch between two line ends: the longest legal group, PJOURF+1, has 109 bytes; a few control bytes more."""

SHORTEST_BODY, SHORTEST_GROUP = 9, 11
"""Bytes of the shortest groups (PEJP, PPOT, VTIC), without and with their line ends: so many NULs may be the rest of one."""
CONTROLS = re.compile(rb"([\x00-\x08\x0b-\x1f]+)")
"""Control characters but HT and LF: where one stands alone it is idle (NUL, XON, XOFF), or was a line end."""
_END_OF_TEXT = re.compile(rb"(?<=[^\x00-\x08\x0b-\x1f])[\x00-\x08\x0b-\x1f]")
MAX_UNKNOWN = 32
"""Labels of a frame that may be unknown to the table: as many again as a newer specification may add at once."""
_LABEL = re.compile("[A-Z0-9+-]{1,9}")
SEVEN_BITS = bytes(byte & 0x7F for byte in range(256))
"""Translation that masks bit 7."""


class Group(NamedTuple):
    """An information group that passed both checks."""

    label: str
    timestamp: str | None
    data: str


class Mark(enum.Enum):
    """Where frames begin and end."""

    START = "STX"
    END = "ETX"
    INTERRUPTED = "EOT"


Event: TypeAlias = Group | Rejected | Mark


def check(body: bytes) -> Group | Rejected:
    """The group between LF and CR, if its checksum is right and the table knows it."""
    if len(body) < 5:
        return Rejected("malformed", body)
    separator, checksum = body[-2], body[-1]
    # adler32 adds up the bytes at C speed; its low half is 1 + the sum (every body is far below the modulus).
    total = adler32(body) - 1
    if separator == HT:
        right, table = (total + 32 - 2 * checksum) & 63 == 0, STANDARD
    elif separator == SP:
        right, table = (total - 2 * checksum) & 63 == 0, HISTORIC
    else:
        return Rejected("malformed", body)
    if not (right and 32 <= checksum <= 95):
        return Rejected("checksum", body)
    text = body[:-2].decode("ascii")
    fields = text.split("\t") if separator == HT else text.split(" ", 1)
    if not 2 <= len(fields) <= 3:
        return Rejected("malformed", body)
    label, data, timestamp = fields[0], fields[-1], fields[1] if len(fields) == 3 else None
    known = table.get(label)
    if known is None:
        # Damage makes labels of other characters; only what could be a label is a newer meter's.
        return Rejected("unknown_label" if _LABEL.fullmatch(label) else "malformed", body)
    if timestamp is None or known.timestamp is None:
        right = timestamp is None and known.timestamp is None
    else:
        right = bool(known.timestamp(timestamp))
    if right and known.data(data):
        return Group(known.label, timestamp, data)  # one string for each label, however many groups are kept
    return Rejected("malformed", body)


def _parse(segment: bytes) -> tuple[Event, ...]:
    """Everything in one stretch up to its line end."""
    body = segment.rstrip(b"\r\n")
    group = check(body)
    if type(group) is Group:
        return (group,)
    # A stretch that LF ends, and no CR, lies between two groups: it may be longer than one in the place of a group.
    return tuple(_uneven(body, SHORTEST_BODY - 1 if segment[-1:] == b"\r" or segment[-2:] == b"\r\n" else SHORTEST_GROUP - 1))


def _uneven(body: bytes, idle: int) -> Iterator[Event]:
    """What is in a stretch that is no group. `idle`: control characters that mean nothing by themselves."""
    end = {ETX: Mark.END, EOT: Mark.INTERRUPTED}.get(body[-1:])
    *torn, last = (body[:-1] if end else body).split(STX)
    for part in torn:
        yield from _groups(part, idle, "truncated")
    if torn:
        yield Mark.START
    yield from _groups(last, idle, "truncated" if end else "")
    if end:
        yield end


def _groups(part: bytes, idle: int, cut_off: str) -> list[Event]:
    """The groups in it, where control characters stand for line ends; else one reject, `cut_off` where a mark cut it off.

    A group that was cut in two gives none: no label is the end of another, and each has data of one width only, so that what
    passes the table and the checksum begins and ends where a group was sent.
    """
    pieces = [piece for piece in CONTROLS.split(part) if piece and not (len(piece) <= idle and CONTROLS.match(piece))]
    if not pieces:
        return []
    found = [check(piece) for piece in pieces]
    if any(type(group) is Group for group in found):
        return list(found)
    verdict = check(part)
    return [Rejected(cut_off, part) if cut_off and type(verdict) is Rejected else verdict]


class _Oversize(Exception):
    """A segment longer than `MAX_SEGMENT`."""


class _Memo(dict[bytes, tuple[Event, ...]]):
    """Segments already parsed: most groups of a frame are those of the last. Shared by all decoders, bounded."""

    def __missing__(self, segment: bytes) -> tuple[Event, ...]:
        if len(segment) > MAX_SEGMENT and len(segment.rstrip(b"\r\n")) > MAX_SEGMENT:
            raise _Oversize
        if len(self) >= 2048:
            self.clear()
        events = self[segment] = _parse(segment)
        return events


_memo = _Memo()


class Decoder:
    """Sans-IO: `feed` it bytes, however cut; it gives groups, rejects and marks in the order of the stream."""

    def __init__(self) -> None:
        self._tail = b""
        self._synchronised = False

    def feed(self, data: bytes) -> list[Event]:
        """Every event that `data` completes. Never raises; keeps at most `MAX_SEGMENT` bytes."""
        text = self._tail + (data if data.isascii() else data.translate(SEVEN_BITS))
        segments = text.replace(ETX, b"\x03\n").replace(EOT, b"\x04\n").splitlines(keepends=True)
        self._tail = segments.pop() if segments and text[-1:] not in _ENDS else b""
        torn: list[Event] = []
        if segments and not self._synchronised:
            # The torn group that a stream begins with is nobody's fault: silence, unless it is whole after all.
            self._synchronised = True
            if len(segments[0].rstrip(b"\r\n")) <= MAX_SEGMENT:
                torn += (event for event in _memo[segments.pop(0)] if not isinstance(event, Rejected))
        if len(self._tail) > MAX_SEGMENT:
            self._synchronised = True
            *noise, self._tail = _pieces(self._tail)
            segments += noise
        try:
            return torn + list(chain.from_iterable(map(_memo.__getitem__, segments)))
        except _Oversize:
            segments = [piece for segment in segments for piece in _pieces(segment)]
            return torn + list(chain.from_iterable(map(_memo.__getitem__, segments)))


def _pieces(segment: bytes) -> list[bytes]:
    """A stretch without line ends, cut up: where control characters follow text, else at the longest."""
    end, pieces, start = len(segment.rstrip(b"\r\n")), [], 0
    while end - start > MAX_SEGMENT:
        found = _END_OF_TEXT.search(segment, start + 1, start + MAX_SEGMENT)
        cut = found.start() if found else start + MAX_SEGMENT
        pieces.append(segment[start:cut])
        start = cut
    return [*pieces, segment[start:]]


class Frame(NamedTuple):
    """The accepted groups of one frame, by label."""

    groups: Mapping[str, Group]
    complete: bool
    """STX to ETX with no group lost: what is not in it is not so."""
    torn: frozenset[str] = frozenset()
    """Labels before which something was rejected: any other group followed the one before it directly."""


class Assembler:
    """Groups and marks → frames."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}
        self._whole = self._lost = False
        # Lists, since they are empty as a rule: an empty set is four times as large, and there are three for each meter.
        self._torn: list[str] = []
        self._unknown: list[bytes] = []
        self._unknown_before: list[bytes] = []

    def feed(self, events: Iterable[Event]) -> list[Frame]:
        """Every frame that the events complete. Without marks a repeated label ends a frame: it is bounded by the table."""
        frames: list[Frame] = []
        groups = self._groups
        for event in events:
            if type(event) is Group:
                label = event.label
                if label in groups or self._lost:
                    self._after_damage(label, frames)
                    groups = self._groups
                groups[label] = event
            elif type(event) is Rejected:
                if not self._known_from_before(event):
                    self._whole, self._lost = False, True
            else:
                self._end(frames, complete=event is Mark.END and self._whole)
                groups = self._groups
                self._whole = event is Mark.START
                if event is not Mark.START:
                    self._unknown_before, self._unknown = self._unknown, []
        return frames

    def _after_damage(self, label: str, frames: list[Frame]) -> None:
        """A group comes that was there already, or before which something was lost."""
        if label in self._groups:
            self._end(frames)
            self._whole = False
        if self._lost:
            self._lost = False
            self._torn.append(label)

    def _end(self, frames: list[Frame], complete: bool = False) -> None:
        if frame := self.close(complete):
            frames.append(frame)

    def _known_from_before(self, rejected: Rejected) -> bool:
        """An unknown label that comes in every frame is a newer meter's; one that comes once is a damaged one."""
        if rejected.reason != "unknown_label":
            return False
        label = re.split(rb"[\t ]", rejected.data, maxsplit=1)[0]
        if len(self._unknown) < MAX_UNKNOWN and label not in self._unknown:
            self._unknown.append(label)
        return label in self._unknown_before

    def close(self, complete: bool = False) -> Frame | None:
        """What is there of the open frame, if anything."""
        frame, self._groups = Frame(self._groups, complete, frozenset(self._torn)), {}
        self._torn.clear()
        return frame if frame.groups else None


def encode_group(label: str, data: str, timestamp: str | None = None) -> bytes:
    """LF … CR. The mode is that of the label's table; ValueError for a label in neither."""
    if label in STANDARD:
        body = "\t".join([label, data] if timestamp is None else [label, timestamp, data]).encode("ascii") + b"\t"
        total = sum(body)
    elif label in HISTORIC:
        body = f"{label} {data} ".encode("ascii")
        total = sum(body[:-1])
    else:
        raise ValueError(f"{label!r} is not a label of the TIC")
    return b"\n" + body + bytes([(total & 0x3F) + 0x20]) + b"\r"


def encode_frame(groups: Iterable[Group]) -> bytes:
    """STX … ETX."""
    return STX + b"".join(encode_group(label, data, timestamp) for label, timestamp, data in groups) + ETX
