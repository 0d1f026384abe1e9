"""Listens on a link until it is silent, trying the speeds one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from meterline.link.stream import Link
from meterline.meter.readings import Silent
from meterline.protocols.tic.diagnose import nothing_valid
from meterline.protocols.tic.frames import Decoder, Event, Group
from meterline.protocols.tic.line_faults import Symptoms
from meterline.protocols.tic.speed_probe import Heard


class Ear:
    """`tried` says what came at each speed; the last one is that of now."""

    def __init__(self, link: Link, speeds: Sequence[int], probe: float, silence: float) -> None:
        self._link = link
        self._speeds = speeds
        self._probe, self._silence = probe, silence
        self._clock: Callable[[], float] = asyncio.get_running_loop().time
        self.tried: list[Heard] = []

    @property
    def sure(self) -> bool:
        """It is a TIC line."""
        return bool(self.tried) and self.tried[-1].sure

    @property
    def symptoms(self) -> Symptoms:
        """Of what comes now."""
        return self.tried[-1].symptoms

    async def listen(self) -> AsyncGenerator[tuple[bytes, list[Event]], None]:
        """What is read, and its events. Silent, with a text for people, when no valid group comes any more."""
        for speed in self._speeds or [0]:
            if speed:
                await self._link.set_baud(speed)
            decoder, heard = Decoder(), Heard(speed or None)
            self.tried.append(heard)
            started = self._clock()
            deadline = started + (self._probe if len(self._speeds) > 1 else self._silence)
            try:
                while data := await self._read(deadline):
                    events = decoder.feed(data)
                    before = heard.symptoms.groups
                    heard.take(data, events)
                    if heard.symptoms.groups > before and heard.sure:
                        deadline = self._clock() + self._silence
                    yield data, events
            finally:
                heard.seconds = self._clock() - started
            if heard.sure:
                break
        raise self.complaint()

    async def _read(self, deadline: float) -> bytes:
        """Bytes, or none at the deadline."""
        if self._clock() >= deadline:
            return b""
        try:
            async with asyncio.timeout_at(deadline):
                return await self._link.read()
        except TimeoutError:
            return b""

    def complaint(self) -> Silent:
        """What to tell people when nothing comes."""
        if self.sure:
            return Silent(f"{self._link.url}: silent: no valid group for {self._silence:.0f} s", talks=True)
        hint = nothing_valid(self.tried or [Heard(None)])
        return Silent(f"{self._link.url}: {hint.sentence}", talks=any(heard.size for heard in self.tried))


async def hear(link: Link, speeds: Sequence[int], probe: float, silence: float) -> list[Heard]:
    """Listen until it is known whether this is a TIC line; the link is left at the right speed, and gets back what was read."""
    ear, read_so_far = Ear(link, speeds, probe, silence), b""
    try:
        async with aclosing(ear.listen()) as heard:
            async for data, events in heard:
                read_so_far = read_so_far + data if any(isinstance(event, Group) for event in events) else data
                if ear.sure:
                    link.unread(read_so_far)
                    break
    except (Silent, EOFError):
        pass
    return ear.tried
