"""Reads the meters behind one module for months: asks each in its turn, and climbs a ladder when one does not answer.

    another try with a new TID ▶ join again ▶ scan ▶ reset the module ▶ open the port again

Each rung is counted. Pauses between joins double, with jitter: hammering a weak link loses more than it wins.
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
from meterline.protocols.broute.target import Peer

SILENT_POLLS_MAX = 2
"""Polls without any answer after which the meter is joined again."""
RESET_AT_MISSES, REOPEN_AT_MISSES = 4, 8
"""Failed steps after which the module is reset, and the port opened again."""
REFUSED_JOINS_MAX = 3
JOIN_PAUSE_S, SCAN_PAUSE_S, PAUSE_MAX_S = 5.0, 60.0, 300.0
GOOD_SESSION_S = 60.0
"""Seconds after which a session, or a row of answered polls, counts as a good one."""
LIMIT_CHECK_INTERVAL_S = 60.0
ENDS = ".ends"
"""In the driver's memory: name → MAC address, and where the memory of that meter ends. No meter has such a name."""


class Driver:
    """Asks each meter behind one module in its turn."""

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
        self._peers = [Peer(name, options, memory.get(name)) for name, options in meters.items()]
        self._metrics = DriverMetrics(self.session, self._peers, gaps is not None)
        self._limit_checked = 0.0
        self.module.state.watch(self._metrics.update)

    def _emit_named(self, item: Item) -> None:
        """An item of no meter is about the one that is asked now, or the first one before that."""
        self._emit(item if item.meter else item._replace(meter=self.session.meter or self._peers[0].name))

    async def work(self) -> NoReturn:
        """Read the meters for ever.

        Raises:
            Refused: The only meter does not let us in.
            Silent: The module does not answer, or nothing succeeded for long: the link should be opened anew.
            OSError, EOFError: The link is lost.
        """
        self._metrics.begin()
        await self.module.wake()
        self._say(describe(self.module))
        if not await self._resume():
            await self.module.reset()
        await self._check_limit()
        if any(peer.options.write_flash for peer in self._peers):
            await self._set_hex()
        while True:
            peer, began = min(self._peers, key=lambda peer: peer.due), self.module.clock()
            await self._wait(peer)
            await self._turn(peer)
            self._metrics.update()
            if self.module.clock() == peer.due == began:  # it did nothing, and would again
                peer.due += 1.0

    def close(self) -> None:
        """The link is lost, and the session with it."""
        self.module.state.apply(SessionEvent.GIVEN_UP)

    def _say(self, text: str) -> None:
        self._report(Hint(text, good=True))

    def _report(self, hint: Hint) -> None:
        self.module.emit(hint._replace(meter=self.session.meter))

    async def _resume(self) -> bool:
        """Go on with a session that stands in the module since before a restart: each join is a risk, and takes seconds."""
        peer = self._peers[0]
        if len(self._peers) > 1:
            return False
        self.session.begin(peer.name)
        if peer.network is None:
            return False
        frame = await self.session.resume(peer.options, peer.network, LIVE)
        if frame is None:
            return False
        peer.poller = self._new_poller(peer.name, peer.network.mac)
        peer.poller.show(self.session, frame.properties)
        self._say(f"the session with {peer.network.address} still stands: no join is needed")
        return True

    async def _set_hex(self) -> None:
        """WOPT 01 writes the module's flash, which bears it 10,000 times: only where it is not set yet."""
        if await self.module.attempt("ROPT") == ["00"]:
            await self.module.attempt("WOPT", "01")

    async def _wait(self, peer: Peer) -> None:
        """Until the peer's turn; what comes meanwhile is taken in. A session that is lost ends the waiting."""
        module = self.module
        was_up = module.state.is_up
        while (now := module.clock()) < peer.due or module.state.is_held():
            if was_up and not module.state.is_up:
                was_up = False
                if self.session.joined == peer.name:
                    self._lose(peer)
            with suppress(TimeoutError):
                await module.listen(min(max(peer.due, now + 1.0), now + LIMIT_CHECK_INTERVAL_S))
            if module.state.is_limited and module.clock() - self._limit_checked >= LIMIT_CHECK_INTERVAL_S:
                await self._check_limit()
            await self._hear()
            self._metrics.update()

    async def _check_limit(self) -> None:
        """The events that begin and end the limit may be missed: ask."""
        module, self._limit_checked = self.module, self.module.clock()
        if await module.ask_limit():
            self._report(causes.LIMITED)

    async def _hear(self) -> None:
        """What the meter said unasked."""
        self.session.overhear()
        frames = tuple(self.session.notifications)
        self.session.notifications.clear()
        poller = next((peer.poller for peer in self._peers if peer.name == self.session.meter), None)
        for frame in frames:
            if poller:
                poller.hear(self.session, frame)
            if frame.esv == echonet.INFC:
                await self.session.confirm(frame)

    async def _turn(self, peer: Peer) -> None:
        """Join the peer where it is not joined, and poll it once."""
        module, started = self.module, self.module.clock()
        try:
            if not module.state.is_up or self.session.joined != peer.name:
                await self._enter(peer)
                self._metrics.update()
            if module.state.is_up and peer.poller:
                until = module.clock() + peer.options.interval
                await peer.poller.poll(self.session, until)
                await self._judge(peer, started)
                await self._hear()
                await self._metrics.ask_transmitted()
                await self._recall(peer, peer.poller, started)
        except SessionHeld:
            pass  # the waiting for the next turn sees to it
        except SessionLost:
            self._lose(peer)
        except CommandFailed as error:
            self._trouble(peer, causes.refused_command(str(error)))
            self._miss(peer)
        except Refused as error:
            if len(self._peers) == 1:
                raise
            self._report(Hint(f"refused: {error.problem}; next try in {PAUSE_MAX_S:.0f} s", remedy=error.remedy))
            peer.refusals, peer.due = 0, module.clock() + PAUSE_MAX_S

    def _new_poller(self, name: str, mac: str) -> MeterPoller:
        """A poller of a meter. What another meter of that name remembered is no matter any more."""
        kept = self._memory.get(ENDS, {}).get(name, {})
        return MeterPoller(mac, kept["ends"] if kept.get("mac") == mac else {})

    async def _recall(self, peer: Peer, poller: MeterPoller, started: float) -> None:
        """Ask for what the meter remembers, as long as no live value of any meter gets too old for it."""
        if self._gaps is None or not self.module.state.is_up:
            return
        said_at = {other.name: other.polled_at for other in self._peers} | {peer.name: started}
        ends = [at + self._gaps.patience(name) - VISIT * (len(self._peers) - 1) for name, at in said_at.items()]
        await poller.recall(self.session, self._gaps, min((end for end in ends if end > started), default=started))
        await self._hear()
        if poller.ends:
            kept = {"mac": poller.mac, "ends": dict(poller.ends)}
            self._memory[ENDS] = self._memory.get(ENDS, {}) | {peer.name: kept}

    async def _judge(self, peer: Peer, started: float) -> None:
        """After a poll: when to ask again, and whether the session can be trusted any longer."""
        peer.due = max(started + peer.options.interval, self.module.clock())
        if peer.poller and peer.poller.answered:
            peer.silent, peer.trouble, peer.polled_at = 0, None, self.module.clock()
            # Not by the age of the session: of several meters on one module, each is joined anew at each of its turns.
            peer.well_since = min(peer.well_since, self.module.clock())
            peer.misses = 0 if self.module.clock() - peer.well_since > GOOD_SESSION_S else peer.misses
            if not peer.spread and self.module.link.crowd > 1:
                # All links were opened at once: from now on each is asked at a moment of its own.
                peer.due = self.module.clock() + world.current.random.uniform(0, peer.options.interval)
            peer.spread = True
            return
        self.session.observe("smartmeter_polls_failed_total")
        await self._check_limit()
        if self.module.state.is_limited:
            return
        # A notification does not count: a meter that only notifies has to be joined again.
        late, peer.polled_at = self.session.late_at > peer.polled_at, self.module.clock()
        peer.silent = 0 if late else peer.silent + 1
        if peer.poller and not late:
            peer.poller.pace.forget()
        if peer.silent >= SILENT_POLLS_MAX:
            unsent = self.module.state.unsent_reason
            self._trouble(peer, causes.unsent(unsent) if unsent else causes.no_reply(is_near(self.session.rssi)))
            peer.silent = 0
            self.module.state.apply(SessionEvent.GIVEN_UP)
            self._miss(peer)
            if peer.misses == 1:
                peer.due = self.module.clock()

    async def _enter(self, peer: Peer) -> None:
        """One try to open a session with the peer, on the rung that it has come to."""
        module, session = self.module, self.session
        if session.joined not in ("", peer.name):
            await session.leave()
        await self._hear()
        session.begin(peer.name)
        if peer.misses >= REOPEN_AT_MISSES and all(other.misses for other in self._peers):
            session.observe("smartmeter_retries_total", "reopen")
            trouble = peer.trouble or Hint("")
            raise Silent(f"no success after {peer.misses} tries: {trouble.text}", trouble.remedy, module.link.url)
        if peer.misses == RESET_AT_MISSES:
            session.observe("smartmeter_retries_total", "reset")
            await module.reset()
        if peer.misses and peer.others:
            peer.network = peer.others.pop(0)
        elif peer.is_lost:
            if peer.misses:
                session.observe("smartmeter_retries_total", "scan")
            await self._scan(peer)
            if peer.network is None:
                return
        if peer.joined_at > -math.inf:
            session.observe("smartmeter_retries_total", "join")
        assert peer.network
        if await session.join(peer.options, peer.network):
            self._joined(peer, peer.network)
        else:
            await self._not_let_in(peer, peer.network)

    async def _scan(self, peer: Peer) -> None:
        found = await self.session.scan(peer.options)
        if found:
            peer.network, *peer.others = found
        elif peer.network is None:
            self._trouble(peer, causes.NOT_FOUND, at_once=True)
            self._miss(peer, SCAN_PAUSE_S)

    def _joined(self, peer: Peer, network: Network) -> None:
        peer.joined_at, peer.refusals, peer.others = self.module.clock(), 0, []
        self._memory[peer.name] = peer.remember(network)
        if outdated := peer.outdated(network):
            self._report(causes.outdated(outdated))
        if peer.poller is None or peer.poller.mac != network.mac:
            peer.poller = self._new_poller(peer.name, network.mac)
        peer.poller.begin(self.module.clock())
        if network.lqi is not None:
            self.session.observe("smartmeter_radio_rssi_dbm", value=skstack.dbm(network.lqi), increment=False)
            network.lqi = None  # it says nothing about the next time
        self._say(f"joined on channel {network.channel:02X}, PAN {network.pan_id:04X}, address {network.address}")

    async def _not_let_in(self, peer: Peer, network: Network) -> None:
        """The event is the same for a wrong password, a meter that is busy with another controller, and a bad radio link."""
        await self._check_limit()
        if self.module.state.is_limited:
            raise SessionHeld
        near = is_near(None if network.lqi is None else skstack.dbm(network.lqi))
        peer.refusals += near is True
        trouble = causes.not_let_in(self.session.answers_login, near)
        self._trouble(peer, trouble)
        self._miss(peer)
        if peer.refusals >= REFUSED_JOINS_MAX and not peer.others:
            raise Refused(trouble.text, trouble.remedy)

    def _trouble(self, peer: Peer, hint: Hint, at_once: bool = False) -> None:
        """A step failed. One may be bad luck; from the second in a row on the log says why."""
        peer.trouble = hint
        if at_once or peer.misses:
            self._report(hint)

    def _lasts(self, peer: Peer) -> bool:
        """The session stands for so long that it is a good one."""
        return self.module.clock() - peer.joined_at > GOOD_SESSION_S

    def _lose(self, peer: Peer) -> None:
        """The session ended without our doing. One that lasted is joined again at once."""
        if self._lasts(peer):
            peer.due = self.module.clock()
        else:
            self._trouble(peer, causes.SHORT_SESSION)
            self._miss(peer)

    def _miss(self, peer: Peer, shortest: float = JOIN_PAUSE_S) -> None:
        self.session.observe("smartmeter_radio_rssi_dbm", value=None, increment=False)
        peer.misses, peer.well_since = peer.misses + 1, math.inf
        pause = min(shortest * 2 ** min(peer.misses - 1, 10), PAUSE_MAX_S)
        peer.due = self.module.clock() + pause * world.current.random.uniform(0.75, 1.25)


def describe(module: Module) -> str:
    """The module in words."""
    edition = "single" if module.side is None else "dual"
    return f"Wi-SUN module with SKSTACK {module.version}, {edition} edition"
