"""Listens on a link until it is silent, trying the speeds one after the other."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence

from meterline.link.stream import Link
from meterline.meter.readings import Silent
from meterline.protocols.tic.diagnose import nothing_valid
from meterline.protocols.tic.frames import Decoder, Event, Group
from meterline.protocols.tic.line_faults import Symptoms
from meterline.protocols.tic.speed_probe import Heard


class Listener:
    """Reads a line, and finds its speed.

    Attributes:
        tried: What came at each speed; the last one is the speed of now.
    """

    def __init__(self, link: Link, speeds: Sequence[int], probe: float, silence: float) -> None:
        """Prepare to listen; nothing is read yet.

        Args:
            link: The open line.
            speeds: Baud, in the order in which to try them; empty where the link has no speed.
            probe: Seconds to listen at each of several speeds.
            silence: Seconds without a valid group after which the line counts as silent.
        """
        self._link = link
        self._speeds = list(speeds) or [0]
        self._trial = probe if len(self._speeds) > 1 else silence
        self._silence = silence
        self._clock: Callable[[], float] = asyncio.get_running_loop().time
        self._decoder = Decoder()
        self._started = 0.0
        self._deadline = -math.inf
        self.tried: list[Heard] = []

    @property
    def is_sure(self) -> bool:
        """The line is a TIC line, at the speed of now."""
        return bool(self.tried) and self.tried[-1].sure

    @property
    def symptoms(self) -> Symptoms:
        """Symptoms of what comes at the speed of now."""
        return self.tried[-1].symptoms

    async def read(self) -> tuple[bytes, list[Event]]:
        """Read once.

        Returns:
            Bytes as they came, and the events that they complete.

        Raises:
            Silent: No valid group comes at any speed, or none any more. The text is for people.
            OSError: The link was lost.
            EOFError: The capture has ended.
        """
        while not (data := await self._read_until(self._deadline)):
            if self.is_sure or not self._speeds:
                raise self._complaint()
            await self._try(self._speeds.pop(0))
        heard = self.tried[-1]
        events = self._decoder.feed(data)
        before = heard.symptoms.groups
        heard.take(data, events)
        now = self._clock()
        heard.seconds = now - self._started
        if heard.symptoms.groups > before and heard.sure:
            self._deadline = now + self._silence
        return data, events

    async def _try(self, speed: int) -> None:
        if speed:
            await self._link.set_baud(speed)
        self._decoder = Decoder()
        self.tried.append(Heard(speed or None))
        self._started = self._clock()
        self._deadline = self._started + self._trial

    async def _read_until(self, deadline: float) -> bytes:
        """Bytes, or none at the deadline."""
        if self._clock() < deadline:
            try:
                async with asyncio.timeout_at(deadline):
                    return await self._link.read()
            except TimeoutError:
                pass
        if self.tried:
            self.tried[-1].seconds = self._clock() - self._started
        return b""

    def _complaint(self) -> Silent:
        if self.is_sure:
            return Silent(f"silent: no valid group for {self._silence:.0f} s", link=self._link.url)
        hint = nothing_valid(self.tried)
        return Silent(hint.text, hint.remedy, self._link.url)


async def probe_speeds(link: Link, speeds: Sequence[int], probe: float, silence: float) -> list[Heard]:
    """Listen until it is known whether the line is a TIC line.

    Returns:
        What came at each speed, the last one `sure` where the line is one. The link is left at that speed, and gets back
        what was read.
    """
    listener, read_so_far = Listener(link, speeds, probe, silence), b""
    try:
        while not listener.is_sure:
            data, events = await listener.read()
            read_so_far = read_so_far + data if any(isinstance(event, Group) for event in events) else data
        link.unread(read_so_far)
    except (Silent, EOFError):
        pass
    return listener.tried
