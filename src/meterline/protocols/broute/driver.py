"""Reads the meters behind one module for months: asks each in its turn, and climbs a ladder when one does not answer.

    another try with a new TID ▶ join again ▶ scan ▶ reset the module ▶ open the port again

Each rung is counted. Pauses between joins double, with jitter: hammering a weak link loses more than it wins.
"""

from __future__ import annotations

import math
import random
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, suppress
from typing import Any

from meterline.link import Link
from meterline.model import Hint, Item, Refused
from meterline.protocols.broute import echonet, skstack
from meterline.protocols.broute.asking import Asked
from meterline.protocols.broute.module import CommandFailed, Module
from meterline.protocols.broute.options import Options
from meterline.protocols.broute.peer import Peer
from meterline.protocols.broute.report import Report
from meterline.protocols.broute.session import Held, Lost, Network, Session

SILENT_POLLS = 2
"""Polls without any answer after which the meter is joined again."""
RESET_AT, REOPEN_AT = 4, 8
"""Failed steps after which the module is reset, and the port opened again."""
REFUSALS = 3
GOOD_SIGNAL = -80.0
"""dBm: from here on a refused join is not the radio's fault."""
FIRST_PAUSE, SCAN_PAUSE, LONGEST_PAUSE = 5.0, 60.0, 300.0
LASTING = 60.0
"""Seconds after which a session counts as a good one."""
LIMIT = 3600.0
"""Seconds after which the hourly limit of time on air must be over."""
CHECK_LIMIT = 60.0


class Driver:
    """`work` until the link is lost; `drain` what there is to yield."""

    def __init__(self, link: Link, meters: Mapping[str, Options], memory: dict[str, Any]) -> None:
        self.module = Module(link)
        self.session = Session(self.module)
        self._memory = memory
        self._peers = [Peer(name, options, memory.get(name)) for name, options in meters.items()]
        self._report = Report(self.session, self._peers)
        self._limit_checked = 0.0

    def drain(self) -> Iterator[Item]:
        """What the work has left, each with its meter's name."""
        name = self.session.meter or self._peers[0].name
        for item in self.module.items.take():
            yield item if item.meter else item._replace(meter=name)

    async def work(self) -> AsyncGenerator[None, None]:
        """For ever; yields whenever there may be something to drain. Refused: the meter does not let us in."""
        self._report.begin()
        await self.module.start()
        self._say(describe(self.module))
        yield
        if any(peer.options.write_flash for peer in self._peers):
            await self._set_hex()
        while True:
            peer, began = min(self._peers, key=lambda peer: peer.due), self.module.clock()
            async with aclosing(self._wait(peer)) as waiting:
                async for _ in waiting:
                    yield
            async with aclosing(self._turn(peer)) as turn:
                async for _ in turn:
                    self._report.update()
                    yield
            self._report.update()
            yield
            if self.module.clock() == peer.due == began:  # it did nothing, and would again
                peer.due += 1.0

    def close(self) -> None:
        """The link is lost, and the session with it."""
        self.module.up = False
        self._report.update()

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
                was_up = False
                if self.session.joined == peer.name:
                    self._lose(peer)
            with suppress(TimeoutError):
                await module.listen(min(max(peer.due, now + 1.0), now + CHECK_LIMIT))
            if module.limited is not None:
                await self._check_limit()
            await self._hear()
            self._report.update()
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
        frames = tuple(self.session.notifications)
        self.session.notifications.clear()
        asked = next((peer.asked for peer in self._peers if peer.name == self.session.meter), None)
        for frame in frames:
            if asked:
                asked.hear(self.session, frame)
            if frame.esv == echonet.INFC:
                await self.session.confirm(frame)

    async def _turn(self, peer: Peer) -> AsyncGenerator[None, None]:
        """Join the peer where it is not joined, and poll it once."""
        module, started = self.module, self.module.clock()
        try:
            if not module.up or self.session.joined != peer.name:
                async with aclosing(self._enter(peer)) as entering:
                    async for _ in entering:
                        yield
            if module.up and peer.asked:
                async with aclosing(peer.asked.poll(self.session)) as polling:
                    async for _ in polling:
                        yield
                self._judge(peer, started)
                await self._hear()
                await self._report.ask_transmitted()
        except Held:
            pass  # the waiting for the next turn sees to it
        except Lost:
            self._lose(peer)
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
            peer.silent = 0
            peer.misses = 0 if self._lasts(peer) else peer.misses
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
        if session.joined not in ("", peer.name):
            await session.leave()
        self._report.update()
        await self._hear()
        session.begin(peer.name)
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
        if peer.joined_at > -math.inf:
            session.observe("smartmeter_retries_total", "join")
        if await session.join(peer.options, peer.network):
            self._joined(peer, peer.network)
        else:
            self._not_let_in(peer, peer.network)

    def _joined(self, peer: Peer, network: Network) -> None:
        peer.joined_at, peer.refusals = self.module.clock(), 0
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

    def _lasts(self, peer: Peer) -> bool:
        """The session stands for so long that it is a good one."""
        return self.module.clock() - peer.joined_at > LASTING

    def _lose(self, peer: Peer) -> None:
        """The session ended without our doing. One that lasted is joined again at once."""
        if self._lasts(peer):
            peer.due = self.module.clock()
        else:
            self._miss(peer)

    def _miss(self, peer: Peer, shortest: float = FIRST_PAUSE) -> None:
        self.session.observe("smartmeter_radio_rssi_dbm", value=None, increment=False)
        peer.misses += 1
        pause = min(shortest * 2 ** min(peer.misses - 1, 10), LONGEST_PAUSE)
        peer.due = self.module.clock() + pause * random.uniform(0.75, 1.25)


def describe(module: Module) -> str:
    """The module in words."""
    edition = "single" if module.side is None else "dual"
    return f"Wi-SUN module with SKSTACK {module.version}, {edition} edition"
