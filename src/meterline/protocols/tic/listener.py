"""Listens on a link until it is silent, trying the speeds one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeAlias

from meterline.link.stream import Link
from meterline.link.ticks import call_at
from meterline.meter.readings import Silent
from meterline.protocols.tic.diagnose import nothing_valid
from meterline.protocols.tic.frame_clock import LONGEST_REST_S, FrameClock
from meterline.protocols.tic.frames import MAX_SEGMENT, Decoder, Event
from meterline.protocols.tic.line_faults import Symptoms
from meterline.protocols.tic.speed_probe import SpeedProbe

Take: TypeAlias = Callable[[bytes, list[Event]], bool]

REST_S, REST_A_LINK_S = 0.1, 0.001
"""Seconds for which a line is left alone where the end of its frame is not known, and more for each link of the process."""
FORETOLD_LINKS_MAX = 200
"""Links of one process up to which ends of frames are foretold. Of more links, each is read at a fixed pace: a thousand then
cost a quarter less, and a frame is shown up to 1.1 s after its last byte.
"""
LONGEST_LATE_S = 0.2
"""Seconds after the end of a frame at which it is read at the latest in a crowd: all of it is there, with one wake-up."""
PROBED_BYTES = 1 << 16
"""Bytes that are given back of a line that was recognised: many times its first groups."""


class LineRest:
    """Leaves a line alone between two reads, until there is a frame to publish."""

    __slots__ = ("_clock", "_frame_clock", "_link", "_until")

    def __init__(self, link: Link, clock: Callable[[], float]) -> None:
        self._link, self._clock = link, clock
        self._frame_clock = FrameClock() if link.crowd <= FORETOLD_LINKS_MAX else None
        self._until = 0.0

    def after(self, data: bytes, is_sure: bool) -> float:
        """Rest after a read: until the end of the frame, where that is known.

        Args:
            data: What was read.
            is_sure: The line is a TIC line at the speed of now: noise has no frames whose end could be known.

        Returns:
            About the moment at which the last byte of `data` came: now, where it was awaited, and not found after a rest.
        """
        now, more = self._clock(), REST_A_LINK_S * self._link.crowd
        came, rest_until = now, now + min(REST_S + more, LONGEST_REST_S)
        if frames := self._frame_clock:
            came = frames.arrival(now, len(data)) if now < self._until + REST_S else now
            if is_sure and (end := frames.take(now, data)) is not None:
                longest = min(frames.longest_rest + more, LONGEST_REST_S)
                rest_until = min(end + min(more, LONGEST_LATE_S), now + longest)
        self._until = rest_until
        self._link.rest_until(self._until)
        return came


class Listener:
    """Reads a line, and finds its speed.

    Attributes:
        tried: What came at each speed; the last one is the speed of now.
    """

    def __init__(self, link: Link, speeds: Sequence[int], probe: float, silence: float, rests: bool = False) -> None:
        """Prepare to listen; nothing is read yet.

        Args:
            link: The open line.
            speeds: Baud, in the order in which to try them; empty where the link has no speed.
            probe: Seconds to listen at each of several speeds.
            silence: Seconds without a valid group after which the line counts as silent.
            rests: Leave the line alone after each read, until the end of its frame where that is known.
        """
        self._link = link
        self._speeds = speeds or [0]
        self._trial = probe if len(self._speeds) > 1 else silence
        self._silence = silence
        self._rests = rests
        self._clock: Callable[[], float] = asyncio.get_running_loop().time
        self.tried: list[SpeedProbe] = []

    @property
    def is_sure(self) -> bool:
        """The line is a TIC line, at the speed of now."""
        return bool(self.tried) and self.tried[-1].sure

    @property
    def symptoms(self) -> Symptoms:
        """Symptoms of what comes at the speed of now."""
        return self.tried[-1].symptoms

    async def listen(self, take: Take) -> None:
        """Read until nothing valid comes any more, or `take` has had enough.

        Args:
            take: Gets the bytes of each read, and the events that they complete. Listening ends where it returns True.

        Raises:
            Silent: No valid group comes at any speed, or none any more. The text is for people.
            OSError: The link was lost.
            EOFError: The capture has ended.
        """
        for speed in self._speeds:
            if speed:
                await self._link.set_baud(speed)
            heard = SpeedProbe(speed or None)
            self.tried.append(heard)
            started = self._clock()
            try:
                if await self._listen(heard, started + self._trial, take):
                    return
            finally:
                heard.seconds = self._clock() - started
            if heard.sure:
                break
        raise self._complaint()

    async def _listen(self, heard: SpeedProbe, deadline: float, take: Take) -> bool:
        """Listen at one speed up to the deadline, which moves with each valid group. True where `take` has had enough."""
        decoder, clock, link = Decoder(), self._clock, self._link
        rest = LineRest(link, clock) if self._rests and link.timed else None
        timer: asyncio.TimerHandle | None = None

        def look() -> None:
            nonlocal timer
            if clock() >= deadline:
                limit.reschedule(clock())
            else:
                timer = call_at(deadline, look, link.crowd)

        try:
            # One timer for many reads: a time-out for each costs more than decoding what was read.
            async with asyncio.timeout(None) as limit:
                look()
                while clock() < deadline:
                    data = await link.read()
                    came = rest.after(data, heard.sure) if rest else clock()
                    events = decoder.feed(data)
                    before = heard.symptoms.groups
                    heard.take(data, events)
                    if heard.symptoms.groups > before and heard.sure:
                        deadline = came + self._silence
                    if take(data, events):
                        return True
                    del data, events  # who waits for the next frame keeps none: a kilobyte for each meter
        except TimeoutError:
            pass
        finally:
            if timer:
                timer.cancel()
        return False

    def _complaint(self) -> Silent:
        if self.is_sure:
            return Silent(f"silent: no valid group for {self._silence:.0f} s", link=self._link.url)
        hint = nothing_valid(self.tried)
        return Silent(hint.text, hint.remedy, self._link.url)


async def probe_speeds(link: Link, speeds: Sequence[int], probe: float, silence: float) -> list[SpeedProbe]:
    """Listen until it is known whether the line is a TIC line.

    Returns:
        What came at each speed, the last one `sure` where the line is one. The link is left at that speed, and gets back
        what was read.
    """
    listener, read_so_far = Listener(link, speeds, probe, silence), b""

    def take(data: bytes, events: list[Event]) -> bool:
        nonlocal read_so_far
        # A group may come in many reads: as long as there is none, what may be the begin of the first one is kept.
        most = PROBED_BYTES if listener.symptoms.groups else max(len(data), MAX_SEGMENT)
        read_so_far = (read_so_far + data)[-min(most, listener.tried[-1].size) :]
        return listener.is_sure

    try:
        await listener.listen(take)
        link.unread(read_so_far)
    except (Silent, EOFError):
        pass
    return listener.tried
