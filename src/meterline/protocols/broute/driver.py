"""Reads the meters behind one module for months: asks each in its turn, and climbs a ladder when one does not answer.

    another try with a new TID ▶ join again ▶ scan ▶ reset the module ▶ open the port again

Each rung is counted. Pauses between joins double, with jitter: hammering a weak link loses more than it wins.
"""

from __future__ import annotations

import random
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, suppress
from typing import Any

from meterline.link import Link
from meterline.model import Hint, Item, Observation, Refused
from meterline.protocols.broute import echonet, skstack
from meterline.protocols.broute.asking import Asked
from meterline.protocols.broute.module import CommandFailed, Module
from meterline.protocols.broute.options import Options
from meterline.protocols.broute.peer import Peer
from meterline.protocols.broute.session import Held, Lost, Network, Session

SILENT_POLLS = 2
"""Polls without any answer after which the meter is joined again."""
RESET_AT, REOPEN_AT = 4, 8
"""Failed steps after which the module is reset, and the port opened again."""
REFUSALS = 3
GOOD_SIGNAL = -80.0
"""dBm: from here on a refused join is not the radio's fault."""
FIRST_PAUSE, SCAN_PAUSE, LONGEST_PAUSE = 5.0, 60.0, 300.0
LIMIT = 3600.0
"""Seconds after which the hourly limit of time on air must be over."""
CHECK_LIMIT = 60.0
TRANSMITTED_EVERY = 600.0
RUNGS = ("request", "join", "scan", "reset", "reopen")


class Driver:
    """`work` until the link is lost; `drain` what there is to yield."""

    def __init__(self, link: Link, meters: Mapping[str, Options], memory: dict[str, Any]) -> None:
        self.module = Module(link)
        self.session = Session(self.module)
        self._memory = memory
        self._peers = [Peer(name, options, memory.get(name)) for name, options in meters.items()]
        self._told: dict[tuple[str, str], float | None] = {}
        self._transmitted_due = 0.0
        self._limit_checked = 0.0

    def drain(self) -> Iterator[Item]:
        """What the work has left, each with its meter's name."""
        items, self.module.items = self.module.items, []
        name = self.session.meter or self._peers[0].name
        for item in items:
            yield item if item.meter else item._replace(meter=name)

    async def work(self) -> AsyncGenerator[None, None]:
        """For ever; yields whenever there may be something to drain. Refused: the meter does not let us in."""
        self._begin_counters()
        await self.module.start()
        self._say(describe(self.module))
        yield
        if any(peer.options.write_flash for peer in self._peers):
            await self._set_hex()
        while True:
            peer = min(self._peers, key=lambda peer: peer.due)
            async with aclosing(self._wait(peer)) as waiting:
                async for _ in waiting:
                    yield
            async with aclosing(self._turn(peer)) as turn:
                async for _ in turn:
                    self._report()
                    yield
            self._report()
            yield

    def close(self) -> None:
        """The link is lost, and the session with it."""
        self.module.up = False
        self._report()

    def _begin_counters(self) -> None:
        """Counters begin at 0, not with their first event."""
        for peer in self._peers:
            self.session.meter = peer.name
            for rung in RUNGS:
                self.session.observe("smartmeter_retries_total", rung, value=0.0)
            for family in ("polls_failed", "replies_late", "notifications", "session_renewals"):
                self.session.observe(f"smartmeter_{family}_total", value=0.0)
            for result in ("joined", "failed"):
                self.session.observe("smartmeter_session_joins_total", result, value=0.0)
            for result in ("found", "empty"):
                self.session.observe("smartmeter_radio_scans_total", result, value=0.0)
            self.session.observe("smartmeter_session_up", value=0.0, increment=False)
            self.session.observe("smartmeter_radio_limited", value=0.0, increment=False)
        self.session.meter = ""

    def _say(self, text: str, good: bool = True) -> None:
        self.module.items.append(Hint(text, self.session.meter, good))

    async def _set_hex(self) -> None:
        """WOPT 01 writes the module's flash, which bears it 10,000 times: only where it is not set yet."""
        if await self.module.attempt("ROPT") == ["00"]:
            await self.module.attempt("WOPT", "01")

    async def _wait(self, peer: Peer) -> AsyncGenerator[None, None]:
        """Until the peer's turn; what comes meanwhile is taken in. A session that is lost ends the waiting."""
        module = self.module
        was_up = module.up
        while (now := module.clock()) < peer.due or module.held:
            if was_up and not module.up:
                was_up, peer.due = False, now
            with suppress(TimeoutError):
                await module.listen(min(max(peer.due, now + 1.0), now + CHECK_LIMIT))
            if module.limited is not None:
                await self._check_limit()
            await self._hear()
            self._report()
            if module.items:
                yield

    async def _check_limit(self) -> None:
        """The event that ends the limit may be lost: ask."""
        module, now = self.module, self.module.clock()
        if module.limited is None or now - self._limit_checked < CHECK_LIMIT:
            return
        self._limit_checked = now
        if now - module.limited > LIMIT or await module.look_up("ESREG", "SKSREG", "SFB") == ["0"]:
            module.limited = None

    async def _hear(self) -> None:
        """What the meter said unasked."""
        self.session.overhear()
        frames, self.session.notifications = self.session.notifications, []
        asked = next((peer.asked for peer in self._peers if peer.name == self.session.meter), None)
        for frame in frames:
            if asked:
                asked.hear(self.session, frame)
            if frame.esv == echonet.INFC:
                await self.session.confirm(frame)

    def _report(self) -> None:
        """Observations about the session, where they changed."""
        module, name = self.module, self.session.meter
        if not name:
            return
        since = self._told.get((name, "smartmeter_session_start_timestamp_seconds"))
        self._tell("smartmeter_session_up", float(module.up))
        self._tell("smartmeter_session_start_timestamp_seconds", (since or round(time.time())) if module.up else None)
        self._tell("smartmeter_radio_limited", float(module.limited is not None))
        if module.renewals:
            self.session.observe("smartmeter_session_renewals_total", value=float(module.renewals))
            module.renewals = 0

    def _tell(self, family: str, value: float | None) -> None:
        key = (self.session.meter, family)
        if self._told.get(key, 0.0) != value:
            self._told[key] = value
            self.module.items.append(Observation((family,), value, meter=self.session.meter))

    async def _turn(self, peer: Peer) -> AsyncGenerator[None, None]:
        """Join the peer where it is not joined, and poll it once."""
        module, started = self.module, self.module.clock()
        try:
            if not module.up or self.session.meter != peer.name:
                async with aclosing(self._enter(peer)) as entering:
                    async for _ in entering:
                        yield
            if module.up and peer.asked:
                async with aclosing(peer.asked.poll(self.session)) as polling:
                    async for _ in polling:
                        yield
                self._judge(peer, started)
                await self._hear()
                await self._read_transmitted()
        except Held:
            pass  # the waiting for the next turn sees to it
        except Lost:
            peer.due = module.clock()
        except CommandFailed as error:
            self._say(str(error), good=False)
            self._miss(peer)
        except Refused as error:
            if len(self._peers) == 1:
                raise
            self._say(f"refused: {error}; next try in {LONGEST_PAUSE:.0f} s", good=False)
            peer.refusals, peer.due = 0, module.clock() + LONGEST_PAUSE

    def _judge(self, peer: Peer, started: float) -> None:
        """After a poll: when to ask again, and whether the session can be trusted any longer."""
        peer.due = max(started + peer.options.interval, self.module.clock())
        if peer.asked and peer.asked.answered:
            peer.silent = peer.misses = 0
            if not peer.spread and self.module.link.crowd > 1:
                # All links were opened at once: from now on each is asked at a moment of its own.
                peer.due = self.module.clock() + random.uniform(0, peer.options.interval)
            peer.spread = True
            return
        self.session.observe("smartmeter_polls_failed_total")
        peer.silent += 1
        if peer.silent >= SILENT_POLLS:
            peer.silent = 0
            self.module.up = False
            self._miss(peer)
            if peer.misses == 1:
                peer.due = self.module.clock()

    async def _enter(self, peer: Peer) -> AsyncGenerator[None, None]:
        """One try to open a session with the peer, on the rung that it has come to."""
        module, session = self.module, self.session
        if module.up:
            await session.leave()
            self._report()
        session.meter = peer.name
        if peer.misses >= REOPEN_AT and all(other.misses for other in self._peers):
            session.observe("smartmeter_retries_total", "reopen")
            yield
            raise TimeoutError(f"{module.link.url}: no answer from the meter after {peer.misses} tries; is it in radio reach?")
        if peer.misses == RESET_AT:
            session.observe("smartmeter_retries_total", "reset")
            await module.reset()
        if peer.network is None or (peer.misses and peer.misses % 2 == 0):
            if peer.misses:
                session.observe("smartmeter_retries_total", "scan")
            peer.network = await session.scan(peer.options) or peer.network
            yield
            if peer.network is None:
                self._say("a scan of all channels did not find the meter: is it in radio reach, and is the id right?", False)
                self._miss(peer, SCAN_PAUSE)
                return
        if peer.joined:
            session.observe("smartmeter_retries_total", "join")
        if await session.join(peer.options, peer.network):
            self._joined(peer, peer.network)
        else:
            self._not_let_in(peer, peer.network)

    def _joined(self, peer: Peer, network: Network) -> None:
        peer.joined, peer.refusals = True, 0
        self._memory[peer.name] = {
            "channel": f"{network.channel:02X}",
            "pan_id": f"{network.pan_id:04X}",
            "mac": network.mac,
        }
        if peer.asked is None or peer.asked.mac != network.mac:
            peer.asked = Asked(network.mac)
        if network.lqi is not None:
            self.session.observe("smartmeter_radio_rssi_dbm", value=skstack.dbm(network.lqi), increment=False)
            network.lqi = None  # it says nothing about the next time
        self._say(f"joined on channel {network.channel:02X}, PAN {network.pan_id:04X}, address {network.address}")

    def _not_let_in(self, peer: Peer, network: Network) -> None:
        """The event is the same for a wrong password, a meter that is busy with another controller, and a bad radio link."""
        if network.lqi is not None and skstack.dbm(network.lqi) >= GOOD_SIGNAL:
            peer.refusals += 1
        self._miss(peer)
        if peer.refusals >= REFUSALS:
            raise Refused(
                "the meter is well in reach but does not let us in: check id and password; "
                "another controller (HEMS) may hold its only session"
            )

    def _miss(self, peer: Peer, shortest: float = FIRST_PAUSE) -> None:
        peer.misses += 1
        pause = min(shortest * 2 ** (peer.misses - 1), LONGEST_PAUSE)
        peer.due = self.module.clock() + pause * random.uniform(0.75, 1.25)

    async def _read_transmitted(self) -> None:
        """Milliseconds on air, which the module counts."""
        if (now := self.module.clock()) < self._transmitted_due:
            return
        self._transmitted_due = now + TRANSMITTED_EVERY
        for digits in await self.module.look_up("ESREG", "SKSREG", "SFD"):
            with suppress(ValueError):
                seconds = int(digits, 16) / 1000
                self.session.observe("smartmeter_radio_transmitted_seconds_total", value=seconds, increment=False)


def describe(module: Module) -> str:
    """The module in words."""
    edition = "single" if module.side is None else "dual"
    return f"Wi-SUN module with SKSTACK {module.version}, {edition} edition"
