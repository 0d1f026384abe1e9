"""The driver of one module: polls each of its meters in turn, and recovers when one does not answer.

    request again with a new TID ▶ join again ▶ scan ▶ reset the module ▶ open the port again

Each step of recovery is counted. Pauses between joins double, with jitter: frequent joins make a weak radio link worse.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NoReturn

from meterline import world
from meterline.link.stream import Link
from meterline.meter.readings import Emit, Hint, Item, Refused, Silent
from meterline.protocols.api import Gaps
from meterline.protocols.broute import causes, echonet, skstack
from meterline.protocols.broute.adapter import CommandFailed, Module
from meterline.protocols.broute.driver_metrics import DriverMetrics
from meterline.protocols.broute.network import Network, is_near
from meterline.protocols.broute.options import VISIT, Options
from meterline.protocols.broute.poller import LIVE, MeterPoller
from meterline.protocols.broute.session import Session, SessionHeld, SessionLost
from meterline.protocols.broute.session_state import SessionEvent
from meterline.protocols.broute.target import MeterTarget

SILENT_POLLS_MAX = 2
"""Polls without any answer after which the meter is joined again."""
RESET_AT_MISSES, REOPEN_AT_MISSES = 4, 8
"""Failed steps after which the module is reset, and the port opened again."""
REFUSED_JOINS_MAX = 3
JOIN_PAUSE_S, SCAN_PAUSE_S, PAUSE_MAX_S = 5.0, 60.0, 300.0
GOOD_SESSION_S = 60.0
"""Time after which a session, or a series of answered polls, counts as good."""
LIMIT_CHECK_INTERVAL_S = 60.0
ENDS = ".ends"
"""In the driver's memory: name → MAC address, and where the memory of that meter ends. No meter has such a name."""


class Driver:
    """Polls the meters of one module in turn."""

    def __init__(
        self, link: Link, meters: Mapping[str, Options], memory: dict[str, Any], emit: Emit, gaps: Gaps | None = None
    ) -> None:
        """
        Args:
            link: Open, at the speed of `skstack.BAUD`.
            meters: Name of each meter in the configuration → its options.
            memory: Name → where the meter was joined last; read at the start, written after each join. `ENDS`: see there.
            emit: Takes each item at once, with the name of its meter.
            gaps: What the ledger lacks; None: no ledger is kept.
        """
        self._emit, self._gaps = emit, gaps
        self.module = Module(link, self._emit_named)
        self.session = Session(self.module)
        self._memory = memory
        self._targets = [MeterTarget(name, options, memory.get(name)) for name, options in meters.items()]
        self._metrics = DriverMetrics(self.session, self._targets, gaps is not None)
        self._limit_checked = 0.0
        self.module.state.watch(self._metrics.update)

    def _emit_named(self, item: Item) -> None:
        """Emit an item. One without a meter belongs to the meter that is polled; before the first poll, to the first meter."""
        self._emit(item if item.meter else item._replace(meter=self.session.meter or self._targets[0].name))

    async def work(self) -> NoReturn:
        """Read the meters for ever.

        Raises:
            Refused: The only meter rejects the credentials.
            Silent: The module does not answer, or all steps of recovery failed: the link should be opened again.
            OSError, EOFError: The link is lost.
        """
        self._metrics.begin()
        await self.module.wake()
        self._report_success(describe(self.module))
        if not await self._resume():
            await self.module.reset()
        await self._check_limit()
        if any(target.options.write_flash for target in self._targets):
            await self._set_hex()
        while True:
            target, began = min(self._targets, key=lambda target: target.due), self.module.clock()
            await self._wait(target)
            await self._turn(target)
            self._metrics.update()
            if self.module.clock() == target.due == began:  # The turn did nothing, and would be repeated at once.
                target.due += 1.0

    def close(self) -> None:
        """End the session after the link was lost."""
        self.module.state.apply(SessionEvent.GIVEN_UP)

    def _report_success(self, text: str) -> None:
        self._report(Hint(text, good=True))

    def _report(self, hint: Hint) -> None:
        self.module.emit(hint._replace(meter=self.session.meter))

    async def _resume(self) -> bool:
        """Continue a session that the module has had since before a restart: a join takes seconds and may fail."""
        target = self._targets[0]
        if len(self._targets) > 1:
            return False
        self.session.begin(target.name)
        if target.network is None:
            return False
        frame = await self.session.resume(target.options, target.network, LIVE)
        if frame is None:
            return False
        target.poller = self._new_poller(target.name, target.network.mac)
        target.poller.show(self.session, frame.properties)
        self._report_success(f"the session with {target.network.address} still stands: no join is needed")
        return True

    async def _set_hex(self) -> None:
        """Set hexadecimal output (WOPT 01), unless it is set: the module's flash endures 10,000 writes."""
        if await self.module.attempt("ROPT") == ["00"]:
            await self.module.attempt("WOPT", "01")

    async def _wait(self, target: MeterTarget) -> None:
        """Wait for the target's turn, and process what the module sends. A lost session ends the wait."""
        module = self.module
        was_up = module.state.is_up
        while (now := module.clock()) < target.due or module.state.is_held():
            if was_up and not module.state.is_up:
                was_up = False
                if self.session.joined == target.name:
                    self._lose(target)
            with suppress(TimeoutError):
                await module.listen(min(max(target.due, now + 1.0), now + LIMIT_CHECK_INTERVAL_S))
            if module.state.is_limited and module.clock() - self._limit_checked >= LIMIT_CHECK_INTERVAL_S:
                await self._check_limit()
            await self._take_notifications()
            self._metrics.update()

    async def _check_limit(self) -> None:
        """Ask the module for its transmission limit, since the events that begin and end the limit may be lost."""
        module, self._limit_checked = self.module, self.module.clock()
        if await module.ask_limit():
            self._report(causes.LIMITED)

    async def _take_notifications(self) -> None:
        """Process the unsolicited messages of the meter."""
        self.session.overhear()
        frames = tuple(self.session.notifications)
        self.session.notifications.clear()
        poller = next((target.poller for target in self._targets if target.name == self.session.meter), None)
        for frame in frames:
            if poller:
                poller.take_notification(self.session, frame)
            if frame.esv == echonet.INFC:
                await self.session.confirm(frame)

    async def _turn(self, target: MeterTarget) -> None:
        """Join the target unless it is joined, and poll it once."""
        module, started = self.module, self.module.clock()
        try:
            if not module.state.is_up or self.session.joined != target.name:
                await self._enter(target)
                self._metrics.update()
            if module.state.is_up and target.poller:
                until = module.clock() + target.options.interval
                await target.poller.poll(self.session, until)
                await self._judge(target, started)
                await self._take_notifications()
                await self._metrics.ask_transmitted()
                await self._recall(target, target.poller, started)
        except SessionHeld:
            pass  # The wait for the next turn takes care of the limit.
        except SessionLost:
            self._lose(target)
        except CommandFailed as error:
            self._report_failure(target, causes.refused_command(str(error)))
            self._miss(target)
        except Refused as error:
            if len(self._targets) == 1:
                raise
            self._report(Hint(f"refused: {error.problem}; next try in {PAUSE_MAX_S:.0f} s", remedy=error.remedy))
            target.refusals, target.due = 0, module.clock() + PAUSE_MAX_S

    def _new_poller(self, name: str, mac: str) -> MeterPoller:
        """A poller of a meter. What another meter of that name remembered is no matter any more."""
        kept = self._memory.get(ENDS, {}).get(name, {})
        return MeterPoller(mac, kept["ends"] if kept.get("mac") == mac else {})

    async def _recall(self, target: MeterTarget, poller: MeterPoller, started: float) -> None:
        """Ask for what the meter remembers, as long as no live value of any meter gets too old for it."""
        if self._gaps is None or not self.module.state.is_up:
            return
        said_at = {other.name: other.polled_at for other in self._targets} | {target.name: started}
        ends = [at + self._gaps.patience(name) - VISIT * (len(self._targets) - 1) for name, at in said_at.items()]
        await poller.recall(self.session, self._gaps, min((end for end in ends if end > started), default=started))
        await self._take_notifications()
        if poller.ends:
            kept = {"mac": poller.mac, "ends": dict(poller.ends)}
            self._memory[ENDS] = self._memory.get(ENDS, {}) | {target.name: kept}

    async def _judge(self, target: MeterTarget, started: float) -> None:
        """After a poll, decide when to poll again, and whether to give the session up."""
        target.due = max(started + target.options.interval, self.module.clock())
        if target.poller and target.poller.answered:
            target.silent, target.failure, target.polled_at = 0, None, self.module.clock()
            # Not by the age of the session: of several meters on one module, each is joined anew at each of its turns.
            target.well_since = min(target.well_since, self.module.clock())
            target.misses = 0 if self.module.clock() - target.well_since > GOOD_SESSION_S else target.misses
            if not target.spread and self.module.link.crowd > 1:
                # All links were opened at once. Their polls are spread over the interval from now on.
                target.due = self.module.clock() + world.current.random.uniform(0, target.options.interval)
            target.spread = True
            return
        self.session.observe("smartmeter_polls_failed_total")
        await self._check_limit()
        if self.module.state.is_limited:
            return
        # A notification does not count: a meter that only notifies has to be joined again.
        late, target.polled_at = self.session.late_at > target.polled_at, self.module.clock()
        target.silent = 0 if late else target.silent + 1
        if target.poller and not late:
            target.poller.pace.forget()
        if target.silent >= SILENT_POLLS_MAX:
            unsent = self.module.state.unsent_reason
            self._report_failure(target, causes.unsent(unsent) if unsent else causes.no_reply(is_near(self.session.rssi)))
            target.silent = 0
            self.module.state.apply(SessionEvent.GIVEN_UP)
            self._miss(target)
            if target.misses == 1:
                target.due = self.module.clock()

    async def _enter(self, target: MeterTarget) -> None:
        """Try once to open a session with the target, by the step of recovery that its failures have led to."""
        module, session = self.module, self.session
        if session.joined not in ("", target.name):
            await session.leave()
        await self._take_notifications()
        session.begin(target.name)
        if target.misses >= REOPEN_AT_MISSES and all(other.misses for other in self._targets):
            session.observe("smartmeter_retries_total", "reopen")
            failure = target.failure or Hint("")
            raise Silent(f"no success after {target.misses} tries: {failure.text}", failure.remedy, module.link.url)
        if target.misses == RESET_AT_MISSES:
            session.observe("smartmeter_retries_total", "reset")
            await module.reset()
        if target.misses and target.others:
            target.network = target.others.pop(0)
        elif target.is_lost:
            if target.misses:
                session.observe("smartmeter_retries_total", "scan")
            await self._scan(target)
            if target.network is None:
                return
        if target.joined_at > -math.inf:
            session.observe("smartmeter_retries_total", "join")
        assert target.network
        if await session.join(target.options, target.network):
            self._joined(target, target.network)
        else:
            await self._not_let_in(target, target.network)

    async def _scan(self, target: MeterTarget) -> None:
        found = await self.session.scan(target.options)
        if found:
            target.network, *target.others = found
        elif target.network is None:
            self._report_failure(target, causes.NOT_FOUND, at_once=True)
            self._miss(target, SCAN_PAUSE_S)

    def _joined(self, target: MeterTarget, network: Network) -> None:
        target.joined_at, target.refusals, target.others = self.module.clock(), 0, []
        self._memory[target.name] = target.remember(network)
        if outdated := target.outdated(network):
            self._report(causes.outdated(outdated))
        if target.poller is None or target.poller.mac != network.mac:
            target.poller = self._new_poller(target.name, network.mac)
        target.poller.begin(self.module.clock())
        if network.lqi is not None:
            self.session.observe("smartmeter_radio_rssi_dbm", value=skstack.dbm(network.lqi), increment=False)
            network.lqi = None  # Valid for this join only.
        self._report_success(f"joined on channel {network.channel:02X}, PAN {network.pan_id:04X}, address {network.address}")

    async def _not_let_in(self, target: MeterTarget, network: Network) -> None:
        """Handle a failed join. One event reports a wrong password, a meter that is busy, and a bad radio link alike."""
        await self._check_limit()
        if self.module.state.is_limited:
            raise SessionHeld
        near = is_near(None if network.lqi is None else skstack.dbm(network.lqi))
        target.refusals += near is True
        failure = causes.not_let_in(self.session.answers_login, near)
        self._report_failure(target, failure)
        self._miss(target)
        if target.refusals >= REFUSED_JOINS_MAX and not target.others:
            raise Refused(failure.text, failure.remedy)

    def _report_failure(self, target: MeterTarget, hint: Hint, at_once: bool = False) -> None:
        """Record a failed step. The log shows the reason from the second failure in succession on."""
        target.failure = hint
        if at_once or target.misses:
            self._report(hint)

    def _lasts(self, target: MeterTarget) -> bool:
        """Return whether the session has existed long enough to count as good."""
        return self.module.clock() - target.joined_at > GOOD_SESSION_S

    def _lose(self, target: MeterTarget) -> None:
        """Handle the end of a session by the meter or the module. After a good session the join follows at once."""
        if self._lasts(target):
            target.due = self.module.clock()
        else:
            self._report_failure(target, causes.SHORT_SESSION)
            self._miss(target)

    def _miss(self, target: MeterTarget, shortest: float = JOIN_PAUSE_S) -> None:
        self.session.observe("smartmeter_radio_rssi_dbm", value=None, increment=False)
        target.misses, target.well_since = target.misses + 1, math.inf
        pause = min(shortest * 2 ** min(target.misses - 1, 10), PAUSE_MAX_S)
        target.due = self.module.clock() + pause * world.current.random.uniform(0.75, 1.25)


def describe(module: Module) -> str:
    """Describe a module for people: firmware version and edition."""
    edition = "single" if module.side is None else "dual"
    return f"Wi-SUN module with SKSTACK {module.version}, {edition} edition"
