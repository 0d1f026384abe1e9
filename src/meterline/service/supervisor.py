"""Reads all meters at once. Each link has its own supervisor, which opens the link again after every failure.

The error model has three arms: `Refused` → the longest pause at once; OSError (link lost, silence) → warn once, reopen; any
other exception is a defect of meterline → traceback, counted, reopen. The other meters go on in every case.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import replace

from meterline import world
from meterline.billing.billing import BillingService
from meterline.config.labels import Labels
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

FIRST_PAUSE_S = 0.5
PAUSE_MAX_S = {"device": 5.0, "tcp": 30.0}
"""Longest pause between two tries to open a link: a look for a device costs nothing, a connection does."""
REFUSED_PAUSE_S = 300.0
STALE_AFTER_S = 10.0
STORE_RETRY_PAUSE_S = 60.0
"""Pause after a failed write of a driver's memory: each try may block the event loop for a second."""
RECOGNISED = ".protocol"
"""Key in the memory of a link: the protocol that was recognised last. No meter has such a name."""


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
        """Called after each frame, with its meter."""
        self.config = Config(())
        self.meters: dict[str, Meter] = {}
        """Name → meter, in the order of the configuration."""
        self._links: dict[str, tuple[MeterConfig, ...]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._take(config)

    async def run(self, for_ever: bool = False) -> None:
        """Read all meters until cancelled.

        Args:
            for_ever: Whether to go on after the end of all captures, since meters may be added.
        """
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
        """Replace the configuration. A link whose meters are configured as before is not interrupted."""
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
        """Take the meters of a configuration. A meter of the same name keeps its counters."""
        before = {meter.name: (meter.link, meter.protocol) for meter in self.config.meters}
        self.config, self._links = config, _by_link(config)
        known = dict(self.meters)
        self.meters.clear()
        for meter in config.meters:
            self.meters[meter.name] = known.pop(meter.name) if meter.name in known else Meter(meter.name, clock=self.clock)
            if before.get(meter.name, (meter.link, meter.protocol)) != (meter.link, meter.protocol):
                self.meters[meter.name].move()
                _forget_link(self.meters[meter.name], None)
            self.meters[meter.name].labels = meter.labels
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
        """Return the names of the meters that are offline now."""
        return [meter.name for meter in self.meters.values() if not meter.up]

    def ready(self) -> bool:
        """Return whether every meter has sent a frame, or its first deadline has passed."""
        now = self.clock()
        return all(meter.counters.frames or now - self.started > meter.stale_after for meter in self.meters.values())


def _forget_link(meter: Meter, up: float | None = 0.0) -> None:
    """Remove the driver's gauges after a link was lost. Counters stay; gauges named `…_up` become `up`."""
    for series in [series for series in meter.counters.observed if FAMILIES[series[0]].type != "counter"]:
        meter.counters.observe(Observation(series, up if series[0].endswith("_up") else None))


def _by_link(config: Config) -> dict[str, tuple[MeterConfig, ...]]:
    """Each link with all its meters, in the order of the configuration; without their labels, which change no link."""
    links: dict[str, tuple[MeterConfig, ...]] = {}
    for meter in config.meters:
        links[meter.link] = (*links.get(meter.link, ()), replace(meter, labels=Labels()))
    return links


def _stale_after(meter: MeterConfig, sharing: int) -> float:
    """Return the seconds after which a value is stale; the protocol knows how often a meter on a shared link sends."""
    return float(meter.options.stale_after(sharing)) if meter.options else STALE_AFTER_S


class _LinkSupervisor:
    """Opens one link, reads its meters, and opens the link again after each failure."""

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
        self._unlogged: set[str] = set()
        self._troubled = False
        self._speaking_since: float | None = None
        self._hints = Reminders(meters[0].clock)
        self._pauses = _pauses(self._link)

    async def follow(self) -> None:
        """Read the link until cancelled, or until the end of a capture."""
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
                self._log(logging.INFO, "the capture has ended")
                return
            except Refused as error:
                self._end("refused")
                self._report(f"refused: {{}}; next try in {REFUSED_PAUSE_S:.0f} s", error)
                pause = REFUSED_PAUSE_S
            except OSError as error:
                self._end("given_up" if not isinstance(error, LinkError) else "lost" if opened else "unopened")
                self._report("{}", error)
                pause = next(self._pauses)
            except Exception as error:  # A defect of meterline must not end the other meters.
                for meter in self._all:
                    meter.counters.count_defect()
                self._report_defect(error)
                pause = next(self._pauses)
            await world.current.sleep(pause)

    def _end(self, end: End) -> None:
        """Record in the meters how their link ended."""
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
        """Store the driver's memory for the next start, if it has changed."""
        now = self._all[0].clock()
        if (memory := repr(self._memory)) != self._kept and now >= self._keep_at:
            if self._state.keep(self._link, self._memory):
                self._kept = memory
            else:
                self._keep_at = now + STORE_RETRY_PAUSE_S

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
            if not item.good:  # The end of a problem is logged each time.
                self._hints.forget(meter.name, str(True))
            log.log(logging.INFO if item.good else logging.WARNING, "%s", item.sentence, extra=about(meter.name))

    def _speaks(self, meter: Meter) -> None:
        """Record a frame. A problem is over after a while of frames only: a flapping link logs little and pauses long."""
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
        """Log when most received data is damaged, and when that is over; repeat while the filter holds the line back."""
        if meter.counters.line.turns():
            self._unlogged.add(meter.name)
        if meter.name in self._unlogged:
            loss = meter.counters.line.loss
            if self._lines[meter.name].tell(logging.INFO if loss.good else logging.WARNING, loss.sentence, meter.name):
                self._unlogged.discard(meter.name)

    def _report(self, text: str, error: Refused | OSError) -> None:
        """Show and log an error. A repeated one is not logged: metrics count it. `text` has a field for the error."""
        # The page has readers without access to the configuration: it does not name the link.
        sentence = error.sentence if isinstance(error, LinkError | Silent | Refused) else str(error)
        self._show(text.format(sentence))
        self._log(logging.WARNING, text.format(error))

    def _report_defect(self, error: Exception) -> None:
        text = "a defect in meterline; please report it"
        self._show(text)
        self._log(logging.WARNING, f"{text}. The link is opened again. {error!r}", error)

    def _show(self, trouble: str) -> None:
        """Show a problem on the page of each meter of the link."""
        self._troubled = True
        for meter in self._all:
            meter.counters.line.trouble = trouble

    def _log(self, level: int, text: str, defect: Exception | None = None) -> None:
        """Log a change of the link's state: for its meter, or for all that share the link."""
        if len(self._all) == 1:
            self._news.tell(level, text, self._names, defect)
        else:
            self._news.tell(level, f"{self._names}: {text}", defect=defect)


def _pauses(link: str) -> Iterator[float]:
    """Yield doubling pauses with jitter, so that a thousand meters of one bridge do not connect at the same time."""
    longest = PAUSE_MAX_S["tcp" if isinstance(parse_url(link), Bridge) else "device"]
    pause = FIRST_PAUSE_S
    while True:
        yield pause * world.current.random.uniform(0.75, 1.25)
        pause = min(2 * pause, longest)
