"""When the frame that a meter is sending ends.

A meter sends frame after frame at an even pace, so the place in the frame of now tells how long the rest of the frame takes.
Only a frame that begins like the one before is foretold: a short frame of an overload begins with another label.
"""

from __future__ import annotations

from meterline.protocols.tic.frames import EOT, ETX, SEVEN_BITS

GAP_S = 0.025
"""Silence between two frames: 16.7 to 33.4 ms (54E, 02E)."""
OPENING = 6
"""Bytes by which the begin of a frame is known: STX, LF and four of its first label (ADCO, ADSC; ADIR in a short frame)."""
THREE_PHASES = b"\nIINST1 "
"""The group of a historic meter with three phases. At an overload its long frame ends after any group, with EOT ..."""
SHORT_FRAME_S = 0.54
"""... and a short frame follows, which takes so long at the least (65 bytes at 1200 baud)."""
INTERRUPTED = EOT
"""Stands for the opening of a frame that was interrupted: no frame begins so."""
LONGEST_REST_S = 2.0
"""The kernel keeps 4 KiB of a serial line, which are 4.2 s at 9600 baud."""
LONGER = 64
"""Bytes by which a frame may exceed its forerunners and is still awaited: a group or two that came (ADPS, PEJP, MSG2)."""
ENOUGH_FRAMES = 3
"""Frames in a row that make the pace known."""
REMEMBERED_FRAMES = 64
"""The pace is the mean of about so many frames: a drifting clock of a meter moves it."""
TOLERANCE, SLACK_S = 0.25, 0.1
"""Part by which a frame may last longer or shorter than the pace says. Beyond it, something was lost or has changed."""


class FrameClock:
    """Knows the pace of a line and the length of its frames. Sans-IO: moments are passed in, in seconds of one clock."""

    __slots__ = (
        "_bytes",
        "_came",
        "_counted_from",
        "_forerunners",
        "_frames",
        "_has_short_frames",
        "_known_opening",
        "_opening",
        "_read_at",
        "_seconds",
        "_size",
    )

    def __init__(self) -> None:
        self._read_at = 0.0
        self._size = 0
        """Bytes of the frame of now."""
        self._opening = self._known_opening = b""
        self._has_short_frames = False
        self._counted_from: float | None = None
        self._came = 0
        """The moment of the last read in which a frame ended, and bytes that came since."""
        self._forerunners = (0, 0)
        """Lengths of the last two frames, in bytes."""
        self._frames = self._bytes = 0
        self._seconds = 0.0
        """Frames of which the pace is the mean, their bytes, and how long these took."""

    def take(self, now: float, data: bytes) -> float | None:
        """Note what was read.

        Args:
            now: When.
            data: All bytes since the last call, in any pieces.

        Returns:
            The moment at which the frame of now ends, at the latest `now` where the end is due; None where it is not known:
            the line is new or uneven, or the frame's begin is not there or another one.
        """
        if not data.isascii():
            data = data.translate(SEVEN_BITS)
        if THREE_PHASES in data:
            self._has_short_frames = True
        self._came += len(data)
        end = data.rfind(ETX) + 1
        if end:
            self._end(now, data, end)
        else:
            self._size += len(data)
            if len(self._opening) < OPENING and self._opening != INTERRUPTED:
                self._opening += data[: OPENING - len(self._opening)]
        if EOT in data[end:]:
            self._opening = INTERRUPTED
        self._read_at = now
        if self._frames < ENOUGH_FRAMES or len(self._opening) < OPENING or self._opening != self._known_opening:
            return None
        left = min(self._forerunners) - self._size
        return now + left * self._pace if left > 0 else now if left > -LONGER else None

    @property
    def longest_rest(self) -> float:
        """Seconds after which somebody must look, whatever is foretold."""
        return SHORT_FRAME_S if self._has_short_frames else LONGEST_REST_S

    def arrival(self, now: float, size: int) -> float:
        """About when the last of `size` bytes came that were found at `now`, after nobody had looked since the last `take`."""
        return min(now, self._read_at + size * self._pace + GAP_S) if self._frames >= ENOUGH_FRAMES else now

    @property
    def _pace(self) -> float:
        """Seconds a byte; 0 where that is not known."""
        return self._seconds / self._bytes if self._bytes else 0.0

    def _end(self, now: float, data: bytes, end: int) -> None:
        """A frame ends in `data`, before its byte `end`."""
        start = data.rfind(ETX, 0, end - 1) + 1  # where several end: of the last one
        if self._counted_from is not None:
            frames = data.count(ETX)
            self._measure(now - self._counted_from - frames * GAP_S, self._came, frames)
        self._counted_from, self._came = now, 0
        self._known_opening = data[start : start + OPENING] if start else (self._opening + data)[:OPENING]
        self._forerunners = (self._forerunners[1], end - start if start else self._size + end)
        self._size, self._opening = len(data) - end, data[end : end + OPENING]

    def _measure(self, seconds: float, size: int, frames: int) -> None:
        """Take in what came in how long, or begin anew where that is not the pace."""
        expected = size * self._pace
        if self._frames and abs(seconds - expected) > TOLERANCE * expected + SLACK_S:
            self._frames = self._bytes = 0
            self._seconds = 0.0
        elif seconds > 0:
            if self._frames >= REMEMBERED_FRAMES:
                self._frames, self._bytes, self._seconds = self._frames // 2, self._bytes // 2, self._seconds / 2
            self._frames += frames
            self._bytes += size
            self._seconds += seconds
