"""Read many meters at once, each link supervised by itself: lost, silent or refused, it comes back without help.

Three arms are the error model: `Refused` → the longest pause at once; OSError (link lost, silence) → warn once, reopen;
any other exception is our defect → traceback, counted, reopen. The other meters go on in every case.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import Any

from meterline.config import Config, MeterConfig
from meterline.detect import detect
from meterline.link import Link, open_link
from meterline.meter import Meter
from meterline.model import Hint, Observation, Refused, Rejected, Snapshot
from meterline.protocols import PROTOCOLS

log = logging.getLogger("meterline")

FIRST_PAUSE = 0.5
LONGEST_PAUSE = {"device": 5.0, "tcp": 30.0}
"""Seconds between two tries to open a link: looking whether a device is there again costs nothing, a connection does."""
REFUSED_PAUSE = 300.0
STALE_AFTER = 10.0


class Runtime:
    """The meters of a configuration, and the tasks that read them."""

    def __init__(self, config: Config, clock: Callable[[], float] | None = None) -> None:
        loop_clock = clock or asyncio.get_running_loop().time
        self.config = config
        self.started = loop_clock()
        self.clock = loop_clock
        self.meters: dict[str, Meter] = {
            meter.name: Meter(meter.name, meter.stale_after or STALE_AFTER, loop_clock) for meter in config.meters
        }

    async def run(self) -> None:
        """Read all meters until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for meter in self.config.meters:
                follower = _Follower(meter, self.meters[meter.name], crowd=len(self.config.meters))
                tasks.create_task(follower.follow(), name=f"follow {meter.name}")

    def silent(self) -> list[str]:
        """Names of the meters that do not speak now."""
        return [meter.name for meter in self.meters.values() if not meter.up]

    def ready(self) -> bool:
        """Every meter has spoken, or its first deadline has passed."""
        now = self.clock()
        return all(meter.frames or now - self.started > meter.stale_after for meter in self.meters.values())


class _Follower:
    """Opens one link, reads it, and opens it again, for ever."""

    def __init__(self, config: MeterConfig, meter: Meter, crowd: int) -> None:
        self._config = config
        self._meter = meter
        self._crowd = crowd
        self._memory: dict[str, Any] = {}
        self._trouble: str | None = None
        self._speaking_since: float | None = None
        self._hints: set[str] = set()
        self._pauses = _pauses(config.link)

    async def follow(self) -> None:
        """Until cancelled; a capture ends by itself."""
        while True:
            try:
                async with open_link(self._config.link) as link:
                    link.crowd = self._crowd
                    self._speaking_since = None
                    await self._read(link)
                pause = next(self._pauses)
            except EOFError:
                log.info("%s: the capture has ended", self._meter.name)
                return
            except Refused as error:
                self._say(f"refused: {error}; next try in {REFUSED_PAUSE:.0f} s")
                pause = REFUSED_PAUSE
            except OSError as error:
                self._say(str(error))
                pause = next(self._pauses)
            except Exception as error:  # our own defect: never the end of the other meters
                self._meter.count_defect()
                self._say(f"a defect in meterline; please report it. The link is opened again. {error!r}", error)
                pause = next(self._pauses)
            await asyncio.sleep(pause)

    async def _read(self, link: Link) -> None:
        self._meter.attach(link)
        if self._config.protocol:
            protocol = PROTOCOLS[self._config.protocol]
        else:
            _, protocol = await detect(link)
        options = self._config.options or protocol.Options()
        async with aclosing(protocol.read(link, options, self._memory)) as items:
            async for item in items:
                self._take(item, link.timed)

    def _take(self, item: object, timed: bool) -> None:
        match item:
            case Snapshot():
                self._meter.take(item, timed)
                self._speaks()
            case Rejected():
                self._meter.reject(item)
            case Observation():
                self._meter.observe(item)
            case Hint() if item.text not in self._hints:
                self._hints.add(item.text)
                log.warning("%s: %s", self._meter.name, item.text)

    def _speaks(self) -> None:
        """It speaks; what was wrong is over once it has spoken for a while, so that a flapping link stays quiet and slow."""
        now = self._meter.clock()
        if self._meter.frames == 1:
            log.info("%s: the meter speaks", self._meter.name)
        if self._speaking_since is None:
            self._speaking_since = now
        elif self._trouble and now - self._speaking_since >= self._meter.stale_after:
            log.info("%s: the meter speaks again", self._meter.name)
            self._trouble = None
            self._pauses = _pauses(self._config.link)

    def _say(self, trouble: str, defect: Exception | None = None) -> None:
        """A change of state, once; what stays as it was is counted by the metrics, not repeated here."""
        if trouble != self._trouble:
            log.warning("%s: %s", self._meter.name, trouble, exc_info=defect)
        self._trouble = trouble


def _pauses(link: str) -> Iterator[float]:
    """Doubling pauses with jitter, so that a thousand meters behind one bridge do not come back in one instant."""
    longest = LONGEST_PAUSE["tcp" if link.startswith("tcp:") else "device"]
    pause = FIRST_PAUSE
    while True:
        yield pause * random.uniform(0.75, 1.25)
        pause = min(2 * pause, longest)
