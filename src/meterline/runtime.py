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
from itertools import groupby

from meterline.config import Config, MeterConfig
from meterline.detect import detect
from meterline.link import Link, open_link
from meterline.logs import News, about
from meterline.meter import Meter
from meterline.model import Hint, Item, Observation, Refused, Rejected, Snapshot
from meterline.protocols import PROTOCOLS
from meterline.state import State

log = logging.getLogger("meterline")

FIRST_PAUSE = 0.5
LONGEST_PAUSE = {"device": 5.0, "tcp": 30.0}
"""Seconds between two tries to open a link: looking whether a device is there again costs nothing, a connection does."""
REFUSED_PAUSE = 300.0
STALE_AFTER = 10.0


class Runtime:
    """The meters of a configuration, and the tasks that read them."""

    def __init__(self, config: Config, state: State | None = None, clock: Callable[[], float] | None = None) -> None:
        loop_clock = clock or asyncio.get_running_loop().time
        self.config = config
        self.started = loop_clock()
        self.clock = loop_clock
        self.state = state or State()
        self._links = [tuple(meters) for _, meters in groupby(sorted(config.meters, key=_link), _link)]
        self.meters: dict[str, Meter] = {meter.name: Meter(meter.name, clock=loop_clock) for meter in config.meters}
        for meters in self._links:
            for meter in meters:
                self.meters[meter.name].stale_after = meter.stale_after or _stale_after(meter, len(meters))

    async def run(self) -> None:
        """Read all meters until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for meters in self._links:
                follower = _Follower(meters, [self.meters[meter.name] for meter in meters], len(self._links), self.state)
                tasks.create_task(follower.follow(), name=f"follow {meters[0].link}")

    def silent(self) -> list[str]:
        """Names of the meters that do not speak now."""
        return [meter.name for meter in self.meters.values() if not meter.up]

    def ready(self) -> bool:
        """Every meter has spoken, or its first deadline has passed."""
        now = self.clock()
        return all(meter.frames or now - self.started > meter.stale_after for meter in self.meters.values())


def _link(meter: MeterConfig) -> str:
    return meter.link


def _stale_after(meter: MeterConfig, sharing: int) -> float:
    """The protocol knows how often a meter speaks that has to share its link."""
    return float(meter.options.stale_after(sharing)) if meter.options else STALE_AFTER


class _Follower:
    """Opens one link, reads its meters, and opens it again, for ever."""

    def __init__(self, configs: tuple[MeterConfig, ...], meters: list[Meter], crowd: int, state: State) -> None:
        self._link = configs[0].link
        self._protocol = configs[0].protocol
        self._options = {config.name: config.options for config in configs}
        self._all = meters
        self._meters = {"": meters[0]} | {meter.name: meter for meter in meters}
        self._names = ", ".join(self._options)
        self._crowd = crowd
        self._state = state
        self._memory = state.recall(self._link)
        self._kept = repr(self._memory)
        self._news = News(meters[0].clock)
        self._troubled = False
        self._speaking_since: float | None = None
        self._hints: set[tuple[str, str]] = set()
        self._pauses = _pauses(self._link)

    async def follow(self) -> None:
        """Until cancelled; a capture ends by itself."""
        while True:
            try:
                async with open_link(self._link) as link:
                    link.crowd = self._crowd
                    self._speaking_since = None
                    await self._read(link)
                pause = next(self._pauses)
            except EOFError:
                self._tell(logging.INFO, "the capture has ended")
                return
            except Refused as error:
                self._say(f"refused: {error}; next try in {REFUSED_PAUSE:.0f} s")
                pause = REFUSED_PAUSE
            except OSError as error:
                self._say(str(error))
                pause = next(self._pauses)
            except Exception as error:  # our own defect: never the end of the other meters
                for meter in self._all:
                    meter.count_defect()
                self._say(f"a defect in meterline; please report it. The link is opened again. {error!r}", error)
                pause = next(self._pauses)
            await asyncio.sleep(pause)

    async def _read(self, link: Link) -> None:
        for meter in self._all:
            meter.attach(link)
        if self._protocol:
            protocol = PROTOCOLS[self._protocol]
        else:
            _, protocol = await detect(link)
        async with aclosing(protocol.read(link, self._options, self._memory)) as items:
            async for item in items:
                self._take(item, self._meters[item.meter], link.timed)
                if self._memory:
                    self._remember()

    def _remember(self) -> None:
        """Keep what the driver wants back after a restart, where it has changed."""
        if (memory := repr(self._memory)) != self._kept:
            self._kept = memory
            self._state.keep(self._link, self._memory)

    def _take(self, item: Item, meter: Meter, timed: bool) -> None:
        match item:
            case Snapshot():
                meter.take(item, timed)
                self._speaks(meter)
            case Rejected():
                meter.reject(item)
            case Observation():
                meter.observe(item)
            case Hint() if (meter.name, item.text) not in self._hints:
                self._hints.add((meter.name, item.text))
                log.log(logging.INFO if item.good else logging.WARNING, "%s", item.text, extra=about(meter.name))

    def _speaks(self, meter: Meter) -> None:
        """It speaks; what was wrong is over once it has spoken for a while, so that a flapping link stays quiet and slow."""
        now = meter.clock()
        if meter.frames == 1:
            log.info("the meter speaks", extra=about(meter.name))
        if self._speaking_since is None:
            self._speaking_since = now
        elif self._troubled and now - self._speaking_since >= meter.stale_after:
            self._pauses = _pauses(self._link)
            self._troubled = not self._news.tell(logging.INFO, "the meter speaks again", meter.name)

    def _say(self, trouble: str, defect: Exception | None = None) -> None:
        """What is wrong now; what stays as it was is counted by the metrics, not repeated here."""
        self._troubled = True
        self._tell(logging.WARNING, trouble, defect)

    def _tell(self, level: int, text: str, defect: Exception | None = None) -> None:
        """News of the link: of its meter, or of all that share it."""
        if len(self._all) == 1:
            self._news.tell(level, text, self._names, defect)
        else:
            self._news.tell(level, f"{self._names}: {text}", defect=defect)


def _pauses(link: str) -> Iterator[float]:
    """Doubling pauses with jitter, so that a thousand meters behind one bridge do not come back in one instant."""
    longest = LONGEST_PAUSE["tcp" if link.startswith("tcp:") else "device"]
    pause = FIRST_PAUSE
    while True:
        yield pause * random.uniform(0.75, 1.25)
        pause = min(2 * pause, longest)
