"""Read many meters at once, each link supervised by itself: lost, silent or refused, it comes back without help.

Three arms are the error model: `Refused` → the longest pause at once; OSError (link lost, silence) → warn once, reopen;
any other exception is our defect → traceback, counted, reopen. The other meters go on in every case.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterator

from meterline import world
from meterline.billing.billing import BillingService
from meterline.config.schema import Config, MeterConfig
from meterline.history.clock import synchronised
from meterline.history.ledger import Ledger
from meterline.history.recorder import Recorder
from meterline.link.errors import LinkError
from meterline.link.open import open_link
from meterline.link.stream import Link
from meterline.link.url import Bridge, parse_url, shown
from meterline.logs import Reminders, RepeatFilter, about
from meterline.meter.families import FAMILIES
from meterline.meter.intake import take_item
from meterline.meter.link_reach import End
from meterline.meter.meter import Meter
from meterline.meter.readings import Hint, Item, Observation, Refused, Remembered, Silent, Snapshot
from meterline.protocols import PROTOCOLS
from meterline.service.detect import detect, serial_of
from meterline.store import State

log = logging.getLogger("meterline")

FIRST_PAUSE = 0.5
LONGEST_PAUSE = {"device": 5.0, "tcp": 30.0}
"""Seconds between two tries to open a link: looking whether a device is there again costs nothing, a connection does."""
REFUSED_PAUSE = 300.0
STALE_AFTER = 10.0
KEEP_AGAIN = 60.0
"""Seconds after which a memory is kept that could not be written: each try may hold up the loop for a second."""
RECOGNISED = ".protocol"
"""In the memory of a link: what was recognised there last. No meter has such a name."""


class Runtime:
    """The meters of a configuration, and the tasks that read them."""

    def __init__(self, config: Config, state: State | None = None, clock: Callable[[], float] | None = None) -> None:
        self.clock = clock or world.current.monotonic
        self.started = self.clock()
        self.state = state or State()
        here = world.current
        self.books = (
            BillingService(self.state) if clock else BillingService(self.state, None, here.uptime, here.boot(), synchronised)
        )
        self.recorder = Recorder(Ledger(self.state.folder)) if self.state.folder else None
        """Writes the ledger; None where nothing is kept."""
        self.on_frame: Callable[[Meter], None] = lambda meter: None
        """Called with each frame, after the meter has taken it."""
        self.config = Config(())
        self.meters: dict[str, Meter] = {}
        """By name, in the order of the configuration."""
        self._links: dict[str, tuple[MeterConfig, ...]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._take(config)

    async def run(self, for_ever: bool = False) -> None:
        """Read all meters until cancelled. Captures end; `for_ever`: that is no end, since others may be added."""
        try:
            async with asyncio.TaskGroup() as keeping:
                books = keeping.create_task(self.books.run(), name="keep the books")
                recording = keeping.create_task(self.recorder.run(), name="write the ledger") if self.recorder else None
                async with asyncio.TaskGroup() as self._group:
                    for link in self._links:
                        self._follow(link)
                    if for_ever:
                        await asyncio.Event().wait()
                books.cancel()
                if recording:
                    recording.cancel()
        finally:
            await self.books.close()
            if self.recorder:
                self.recorder.close()

    async def change(self, config: Config) -> None:
        """Read these meters from now on. A link whose meters are configured as before goes on untouched."""
        links = _by_link(config)
        ended = [link for link, meters in self._links.items() if links.get(link) != meters]
        begun = [link for link, meters in links.items() if self._links.get(link) != meters]
        tasks = [task for link in ended if (task := self._tasks.pop(link, None))]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._take(config)
        for link in begun:
            self._follow(link)

    def _take(self, config: Config) -> None:
        """The meters of a configuration; those known by name keep what they have counted."""
        before = {meter.name: (meter.link, meter.protocol) for meter in self.config.meters}
        self.config, self._links = config, _by_link(config)
        known = dict(self.meters)
        self.meters.clear()
        for meter in config.meters:
            self.meters[meter.name] = known.pop(meter.name) if meter.name in known else Meter(meter.name, clock=self.clock)
            if before.get(meter.name, (meter.link, meter.protocol)) != (meter.link, meter.protocol):
                self.meters[meter.name].move()
                _forget_link(self.meters[meter.name], None)
            self.meters[meter.name].stale_after = meter.stale_after or _stale_after(meter, len(self._links[meter.link]))
            self.meters[meter.name].follows_pace = meter.stale_after is None
        for name in known:
            self.books.forget(name)
            if self.recorder:
                self.recorder.forget(name)

    def _follow(self, link: str) -> None:
        if self._group:
            follower = _LinkSupervisor(self, self._links[link], len(self._links))
            self._tasks[link] = self._group.create_task(follower.follow(), name=f"follow {shown(link)}")

    def silent(self) -> list[str]:
        """Names of the meters that do not speak now."""
        return [meter.name for meter in self.meters.values() if not meter.up]

    def ready(self) -> bool:
        """Every meter has spoken, or its first deadline has passed."""
        now = self.clock()
        return all(meter.counters.frames or now - self.started > meter.stale_after for meter in self.meters.values())


def _forget_link(meter: Meter, up: float | None = 0.0) -> None:
    """The link is gone, and with it what its driver said of it. What was counted stays; what was `up` is not any more."""
    for series in [series for series in meter.counters.observed if FAMILIES[series[0]].type != "counter"]:
        meter.counters.observe(Observation(series, up if series[0].endswith("_up") else None))


def _by_link(config: Config) -> dict[str, tuple[MeterConfig, ...]]:
    """Each link with all its meters, in the order of the configuration."""
    links: dict[str, tuple[MeterConfig, ...]] = {}
    for meter in config.meters:
        links[meter.link] = (*links.get(meter.link, ()), meter)
    return links


def _stale_after(meter: MeterConfig, sharing: int) -> float:
    """The protocol knows how often a meter speaks that has to share its link."""
    return float(meter.options.stale_after(sharing)) if meter.options else STALE_AFTER


class _LinkSupervisor:
    """Opens one link, reads its meters, and opens the link again, for ever."""

    def __init__(self, runtime: Runtime, configs: tuple[MeterConfig, ...], crowd: int) -> None:
        meters = [runtime.meters[config.name] for config in configs]
        self._configs = configs
        self._link = configs[0].link
        self._protocol = configs[0].protocol
        self._options = {config.name: config.options for config in configs}
        self._all = meters
        self._meters = {"": meters[0]} | {meter.name: meter for meter in meters}
        self._names = ", ".join(self._options)
        self._crowd = crowd
        self._state, self._books = runtime.state, runtime.books
        self._runtime = runtime
        self._memory = self._state.recall(self._link)
        self._kept, self._keep_at = repr(self._memory), -math.inf
        self._news = RepeatFilter(meters[0].clock)
        self._lines = {meter.name: RepeatFilter(meter.clock) for meter in meters}
        self._unsaid: set[str] = set()
        self._troubled = False
        self._speaking_since: float | None = None
        self._hints = Reminders(meters[0].clock)
        self._pauses = _pauses(self._link)

    async def follow(self) -> None:
        """Until cancelled; a capture ends by itself."""
        while True:
            opened = False
            try:
                async with open_link(self._link, serial_of(self._protocol)) as link:
                    opened = True
                    link.crowd = self._crowd
                    self._speaking_since = None
                    try:
                        await self._read(link)
                    finally:
                        for meter in self._all:
                            _forget_link(meter)
                pause = next(self._pauses)
            except EOFError:
                self._tell(logging.INFO, "the capture has ended")
                return
            except Refused as error:
                self._end("refused")
                self._say(f"refused: {{}}; next try in {REFUSED_PAUSE:.0f} s", error)
                pause = REFUSED_PAUSE
            except OSError as error:
                self._end("given_up" if not isinstance(error, LinkError) else "lost" if opened else "unopened")
                self._say("{}", error)
                pause = next(self._pauses)
            except Exception as error:  # our own defect: never the end of the other meters
                for meter in self._all:
                    meter.counters.count_defect()
                self._say_defect(error)
                pause = next(self._pauses)
            await world.current.sleep(pause)

    def _end(self, end: End) -> None:
        """Let the meters know how their link ended."""
        for meter in self._all:
            meter.counters.reach.end(end, meter.clock())

    async def _read(self, link: Link) -> None:
        for meter in self._all:
            meter.counters.attach(link)
        if self._protocol:
            protocol = PROTOCOLS[self._protocol]
        else:
            protocol = await detect(link, self._memory.get(RECOGNISED))
            self._memory[RECOGNISED] = protocol.name
            self._remember()
        for config, meter in zip(self._configs, self._all, strict=True):
            meter.max_power_va = protocol.max_power_va
            self._books.open(meter, config.tariffs, protocol.time_zone, bool(protocol.import_registers))
            if self._runtime.recorder:
                self._runtime.recorder.open(meter, protocol.slot_s, protocol.time_zone)

        def take(item: Item) -> None:
            self._take(item, self._meters[item.meter], link.timed)
            if self._memory:
                self._remember()

        await protocol.read(link, self._options, self._memory, take, self._runtime.recorder if link.timed else None)

    def _remember(self) -> None:
        """Keep what the driver wants back after a restart, where it has changed."""
        now = self._all[0].clock()
        if (memory := repr(self._memory)) != self._kept and now >= self._keep_at:
            if self._state.keep(self._link, self._memory):
                self._kept = memory
            else:
                self._keep_at = now + KEEP_AGAIN

    def _take(self, item: Item, meter: Meter, timed: bool) -> None:
        take_item(meter, item, timed)
        if isinstance(item, Snapshot):
            if timed:
                self._books.take(meter, item)
                if self._runtime.recorder:
                    self._runtime.recorder.take(meter)
            self._speaks(meter)
            self._judge(meter)
        elif isinstance(item, Remembered):
            if self._runtime.recorder:
                self._runtime.recorder.heal(meter, item)
        elif isinstance(item, Hint) and self._hints.due(meter.name, str(item.good), item.text):
            if not item.good:  # when it is over, that is worth a line again
                self._hints.forget(meter.name, str(True))
            log.log(logging.INFO if item.good else logging.WARNING, "%s", item.sentence, extra=about(meter.name))

    def _speaks(self, meter: Meter) -> None:
        """It speaks; what was wrong is over once it has spoken for a while, so that a flapping link stays quiet and slow."""
        now, meter.counters.line.trouble = meter.clock(), ""
        if meter.counters.frames == 1:
            log.info("the meter speaks", extra=about(meter.name))
        self._runtime.on_frame(meter)
        if self._speaking_since is None:
            self._speaking_since = now
        elif self._troubled and now - self._speaking_since >= meter.patience:
            self._pauses = _pauses(self._link)
            self._troubled = not self._news.tell(logging.INFO, "the meter speaks again", meter.name)

    def _judge(self, meter: Meter) -> None:
        """Say when most of what arrives is lost, and when that is over: again and again, until the log says what is so."""
        if meter.counters.line.turns():
            self._unsaid.add(meter.name)
        if meter.name in self._unsaid:
            loss = meter.counters.line.loss
            if self._lines[meter.name].tell(logging.INFO if loss.good else logging.WARNING, loss.sentence, meter.name):
                self._unsaid.discard(meter.name)

    def _say(self, text: str, error: Refused | OSError) -> None:
        """What is wrong now; what stays as it was is counted by the metrics, not repeated here. `text`: around the error."""
        # The page is for everybody, and does not name the link.
        sentence = error.sentence if isinstance(error, LinkError | Silent | Refused) else str(error)
        self._show(text.format(sentence))
        self._tell(logging.WARNING, text.format(error))

    def _say_defect(self, error: Exception) -> None:
        text = "a defect in meterline; please report it"
        self._show(text)
        self._tell(logging.WARNING, f"{text}. The link is opened again. {error!r}", error)

    def _show(self, trouble: str) -> None:
        """On the page of each meter of the link."""
        self._troubled = True
        for meter in self._all:
            meter.counters.line.trouble = trouble

    def _tell(self, level: int, text: str, defect: Exception | None = None) -> None:
        """News of the link: of its meter, or of all that share it."""
        if len(self._all) == 1:
            self._news.tell(level, text, self._names, defect)
        else:
            self._news.tell(level, f"{self._names}: {text}", defect=defect)


def _pauses(link: str) -> Iterator[float]:
    """Doubling pauses with jitter, so that a thousand meters behind one bridge do not come back in one instant."""
    longest = LONGEST_PAUSE["tcp" if isinstance(parse_url(link), Bridge) else "device"]
    pause = FIRST_PAUSE
    while True:
        yield pause * world.current.random.uniform(0.75, 1.25)
        pause = min(2 * pause, longest)
