"""A session with one meter: find its network, join it, send it questions and wait for the replies.

    scan 6-7-8 ──▶ channel, PAN, MAC ──▶ SKJOIN ──▶ EVENT 25 ──▶ SKSENDTO / ERXUDP … the module renews it by itself

Loss of radio gives no event: only questions without an answer tell. Time-outs follow from the module's manual and from what
other clients measured.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from meterline import world
from meterline.meter.readings import Observation, Rejected
from meterline.protocols.broute import causes, echonet, skstack
from meterline.protocols.broute.adapter import WAITING_MAX, CommandFailed, Module
from meterline.protocols.broute.network import Network
from meterline.protocols.broute.options import Options
from meterline.protocols.broute.pace import LONGEST_REPLY_S, REPLY_TIMEOUT_S, SLOW_REPLY_TIMEOUT_S, Pace
from meterline.protocols.broute.session_state import SessionEvent
from meterline.protocols.broute.skstack import Datagram, Pan

DURATIONS = (6, 7, 8)
"""Exponents of the time a scan stays on a channel: 17.5, 34.7 and 69 s over all of them."""
ALL_CHANNELS = range(0x21, 0x3D)
LATE_NETWORKS_S = 0.5
"""Seconds to wait after a scan: some modules print a network after the event that ends it."""
JOIN_TIMEOUT_S = 90.0
"""Seconds for EVENT 24 or 25: a meter that does not answer is given up by the module after 40."""
QUESTION_TRIES = 3
RESEND_PAUSE_S = 5.0
"""Seconds to leave the air alone after a transmission failed."""


QUESTIONS_REMEMBERED = 32
"""Questions whose replies are known, however late."""


RESUME_TIMEOUT_S = 2.0
"""Seconds for a reply over a session that may stand from before."""


class SessionLost(Exception):
    """The session is gone."""


class SessionHeld(Exception):
    """Nothing may be sent now: a renewal, or the limit of time on air."""


class Session:
    """The session of a module with one meter at a time.

    Attributes:
        network: Where the meter is on the air; None before a join or a resume.
        meter: Name of the meter, in the configuration, that is asked now; empty before the first.
        joined: Name of the meter that the session was opened with; empty where there is none.
        notifications: Frames that the meter sent unasked, for whoever takes them.
        pace: How long the meter takes to answer.
        heard_at: When the meter sent something last, asked or not, late or not; by the clock of the module. -inf: not yet.
        late_at: When a reply came last from the meter that nobody waited for any more. -inf: none.
        rssi: Signal of the meter's last datagram, dBm; None where the module does not say.
        answers_login: During the last join messages of the log-in came from the meter.
    """

    def __init__(self, module: Module) -> None:
        self.module = module
        self.network: Network | None = None
        self.meter = ""
        self.joined = ""
        self.notifications: deque[echonet.Frame] = deque(maxlen=WAITING_MAX)
        self.pace = Pace()
        self.heard_at = -math.inf
        self.late_at = -math.inf
        self.rssi: float | None = None
        self.answers_login = False
        self._asked: deque[tuple[int, float]] = deque(maxlen=QUESTIONS_REMEMBERED)
        """TIDs of the last questions, and when each was sent."""
        self._tid = world.current.random.randrange(0x10000)

    def observe(self, family: str, *labels: str, value: float | None = 1.0, increment: bool = True) -> None:
        """Emit an observation about this meter."""
        self.module.emit(Observation((family, *labels), value, increment, self.meter))

    def begin(self, meter: str) -> None:
        """Turn to a meter. Nothing of the one before is left."""
        if meter != self.meter:
            self.heard_at = self.late_at = -math.inf
        self.meter, self.joined, self.network, self.rssi = meter, "", None, None
        self.module.state.apply(SessionEvent.GIVEN_UP)
        self.module.inbox.clear()
        self.notifications.clear()
        self._asked.clear()

    async def resume(self, options: Options, network: Network, epcs: Iterable[int]) -> echonet.Frame | None:
        """The reply to one question over a session that stands in the module from before; None where there is none.

        The pairing ID in the module tells whose session it is. That S0A prints it as it was set is an assumption: where it does
        not, the meter is joined.
        """
        module = self.module
        if await module.look_up("ESREG", "SKSREG", "S0A") != [options.pairing_id]:
            return None
        self.network = network
        module.state.begin_resume(network.address)
        with suppress(SessionLost, SessionHeld):
            if await self._ask(tuple(epcs)):
                frame = await self._reply(
                    {self._tid}, lambda: 0.0 if module.state.has_failed_transmission else RESUME_TIMEOUT_S, again=False
                )
                if frame:
                    module.state.apply(SessionEvent.RESUME_ANSWERED)
                    self.joined = self.meter
                    return frame
        module.state.apply(SessionEvent.GIVEN_UP)
        return None

    async def scan(self, options: Options) -> list[Network]:
        """Look for the network of the meter, longer and longer.

        Returns:
            All networks with the pairing ID of the meter, the likeliest first; empty where no scan found one.

        Raises:
            CommandFailed, OSError: The module refuses a command; the link is lost.
        """
        await self._credentials(options)
        narrow = [(duration, options.channel) for duration in DURATIONS[:2] if options.channel]
        empty = 0
        try:
            for duration, channel in (*narrow, *((duration, None) for duration in DURATIONS)):
                found = [pan for pan in await self.sweep(2, duration, channel) if pan.pairing_id in (None, options.pairing_id)]
                if found:
                    self.observe("smartmeter_radio_scans_total", "found")
                    found.sort(key=lambda pan: (pan.mac != options.mac, -pan.lqi))
                    networks = {pan.mac: Network(pan.channel, pan.pan_id, pan.mac, pan.lqi) for pan in reversed(found)}
                    return [*networks.values()][::-1]
                empty += 1
        finally:
            if empty:  # at once: the sweeps of one search are one trouble for whoever counts troubles
                self.observe("smartmeter_radio_scans_total", "empty", value=float(empty))
        return []

    async def sweep(self, mode: int, duration: int, channel: str | None = None) -> list[Pan]:
        """One scan.

        Args:
            mode: 2: networks of the ID that is set; 3: any network.
            duration: Exponent of the time on each channel, as in `DURATIONS`.
            channel: Hexadecimal, "21" to "3C"; None: all channels.

        Returns:
            All networks that answered.
        """
        mask = 1 << (int(channel, 16) - 0x21) if channel else 0xFFFFFFFF
        seconds = skstack.scan_seconds(duration, 1 if channel else len(ALL_CHANNELS))
        self.module.pans.clear()
        self.module.events.clear()
        await self._start_scan(f"{mode}", f"{mask:08X}", f"{duration:X}")
        await self.module.until(lambda: self._happened(0x22), 2 * seconds + 10)
        await self.module.until(lambda: False, LATE_NETWORKS_S)
        return list(self.module.pans)

    async def _start_scan(self, *words: str) -> None:
        """SKSCAN takes the side on the dual edition only; where it complains, the edition is the other one."""
        module = self.module
        for again in (False, True):
            side = [] if module.side is None else [str(module.side)]
            try:
                await module.ask("SKSCAN", *words, *side)
            except CommandFailed as error:
                if error.code != "ER05" or again:
                    raise
                module.take_other_edition()
            else:
                return

    def _happened(self, *numbers: int) -> bool:
        return any(event.number in numbers for event in self.module.events)

    async def _credentials(self, options: Options) -> None:
        await self.module.ask("SKSETPWD", f"{len(options.password):X}", options.password)
        await self.module.ask("SKSETRBID", options.id)

    async def join(self, options: Options, network: Network) -> bool:
        """Open a session.

        Args:
            options: Credentials of the meter.
            network: Where the meter is on the air.

        Returns:
            False where the meter does not let us in, or does not answer.

        Raises:
            CommandFailed, OSError: The module refuses a command; the link is lost.
        """
        module, self.network = self.module, network
        await self._credentials(options)
        await module.ask("SKSREG", "S2", f"{network.channel:X}")
        await module.ask("SKSREG", "S3", f"{network.pan_id:04X}")
        if module.side is not None:
            await module.attempt("SKSREG", "SA2", "1")  # the signal's strength with each datagram
        module.events.clear()
        module.inbox.clear()
        module.state.begin_join(network.address)
        await module.ask("SKJOIN", network.address)
        await module.until(lambda: self._happened(0x24, 0x25), JOIN_TIMEOUT_S)
        module.state.apply(SessionEvent.JOIN_OVER)
        login = (network.address, echonet.PANA_PORT)
        self.answers_login = any((said.source, said.source_port) == login for said in module.inbox)
        self.observe("smartmeter_session_joins_total", "joined" if module.state.is_up else "failed")
        self.joined = self.meter if module.state.is_up else ""
        return module.state.is_up

    async def leave(self) -> None:
        """End the session, so that the module can join another meter."""
        module = self.module
        module.events.clear()
        with suppress(CommandFailed):  # there is none any more
            await module.ask("SKTERM")
            await module.until(lambda: self._happened(0x27, 0x28), 10.0)
        module.state.apply(SessionEvent.GIVEN_UP)

    async def get(self, epcs: Iterable[int], slow: bool = False, tries: int = QUESTION_TRIES) -> echonet.Frame | None:
        """Ask for properties, again when the meter has had as long as it usually takes.

        Where the pace of the meter is not known, the last try waits as long as any meter takes.

        Args:
            epcs: Properties of one question.
            slow: The reply is a large one.
            tries: How often the question is asked at most.

        Returns:
            The reply, in full or in part; None where none came.

        Raises:
            Lost: The session has ended.
            Held: Nothing may be sent now.
        """
        epcs, tids, clock = tuple(epcs), set[int](), self.module.clock
        least, begun, heard = SLOW_REPLY_TIMEOUT_S if slow else REPLY_TIMEOUT_S, self.module.clock(), False
        for attempt in range(tries):
            if attempt:
                self.observe("smartmeter_retries_total", "request")
            sent = await self._ask(epcs)
            tids.add(self._tid)
            last = attempt == tries - 1
            patience = partial(self._patience, least if sent else None)
            reply = await self._reply(tids, patience, again=not last)
            heard |= self.module.state.is_delivered
            if reply or last or clock() - begun + self.pace.patience(least) > LONGEST_REPLY_S:
                break
        if reply is None and heard and not self.pace.known and tries == QUESTION_TRIES:
            rest = begun + LONGEST_REPLY_S - clock()
            reply = await self._reply(tids, lambda: rest)
        return reply

    def _patience(self, least: float | None) -> float:
        """Seconds to wait for a reply. `least`: of a meter that is not slow; None: the module did not take the question."""
        return RESEND_PAUSE_S if least is None else self.pace.patience(least)

    async def try_get(self, epcs: Iterable[int], patience_s: float) -> echonet.Frame | None:
        """Ask for properties once. The time that the reply takes tells nothing about the pace of live replies.

        Args:
            epcs: Properties of one question.
            patience_s: Seconds to wait for the reply.

        Returns:
            The reply, in full or in part; None where none came.

        Raises:
            SessionLost: The session has ended.
            SessionHeld: Nothing may be sent now.
        """
        self._next_tid()
        is_sent = await self._send(echonet.get(self._tid, epcs))
        return await self._reply({self._tid}, lambda: patience_s, again=False) if is_sent else None

    async def try_set(self, chosen: echonet.Property, patience_s: float) -> echonet.Frame | None:
        """Set a property once. Args, Returns and Raises: see `try_get`."""
        self._next_tid()
        if not await self._send(echonet.setc(self._tid, chosen)):
            return None
        return await self._reply({self._tid}, lambda: patience_s, again=False, esvs=(echonet.SET_RES, echonet.SETC_SNA))

    def _next_tid(self) -> None:
        self._check()
        self._tid = (self._tid + 1) & 0xFFFF

    async def _ask(self, epcs: tuple[int, ...]) -> bool:
        """Send a question, with a new TID; whether the module took it."""
        self._next_tid()
        self._asked.append((self._tid, self.module.clock()))
        return await self._send(echonet.get(self._tid, epcs))

    def _check(self) -> None:
        if self.module.state.is_held():
            raise SessionHeld
        if not self.module.state.may_send():
            raise SessionLost

    async def _send(self, payload: bytes) -> bool:
        assert self.network
        return await self.module.send(self.network.address, payload)

    async def _reply(
        self,
        tids: set[int],
        patience: Callable[[], float],
        again: bool = True,
        esvs: tuple[int, int] = (echonet.GET_RES, echonet.GET_SNA),
    ) -> echonet.Frame | None:
        """A reply to any of these tries. `patience` is asked anew with each datagram: late replies show the pace."""
        begun = self.module.clock()
        refused = math.inf
        while True:
            for frame in self.take():
                if any(echonet.answers(frame, tid, esvs=esvs) for tid in tids):
                    return frame
                self._note_late()
            self._check()
            if again and self.module.state.take_failed_transmission():
                # No acknowledgement came: the question may have been heard all the same.
                refused = self.module.clock() + RESEND_PAUSE_S
            try:
                await self.module.listen(min(begun + patience(), refused))
            except TimeoutError:
                if self.module.clock() >= min(begun + patience(), refused):
                    return None

    def _note_late(self) -> None:
        self.late_at = self.module.clock()
        self.observe("smartmeter_replies_late_total")

    def overhear(self) -> None:
        """Take in what came while nobody waited."""
        for _ in self.take():
            self._note_late()

    def take(self) -> list[echonet.Frame]:
        """Take in the datagrams that have come. Replies are given back, notifications put aside."""
        if not self.module.inbox:
            return []
        replies, notified, rejects, lqi = [], 0, list[Rejected](), None
        while self.module.inbox:
            datagram = self.module.inbox.popleft()
            if not self._is_from_meter(datagram):
                continue
            lqi = datagram.lqi if datagram.lqi is not None else lqi
            frame = echonet.decode(datagram.payload)
            if isinstance(frame, Rejected):
                rejects.append(frame)
            elif datagram.secured:
                self._time(frame)
                if frame.esv in (echonet.INF, echonet.INFC):
                    notified += 1
                    self.notifications.append(frame)
                else:
                    replies.append(frame)
        self._tell(lqi, rejects, notified)
        return replies

    def _tell(self, lqi: int | None, rejects: list[Rejected], notified: int) -> None:
        """Emit what the last datagrams tell beside their frames, added up: a flood of them costs no more items."""
        if lqi is not None:
            self.rssi = skstack.dbm(lqi)
            self.observe("smartmeter_radio_rssi_dbm", value=self.rssi, increment=False)
        if rejects:
            times = sum(rejected.times for rejected in rejects)
            self.module.reject(rejects[-1]._replace(meter=self.meter, times=times), causes.NO_FRAME)
        if notified:
            self.observe("smartmeter_notifications_total", value=float(notified))

    def _time(self, frame: echonet.Frame) -> None:
        """The meter is there; a reply, however late, tells how long it takes."""
        self.heard_at = self.module.clock()
        sent = dict(self._asked).get(frame.tid)
        if sent is not None and echonet.answers(frame, frame.tid):
            self.pace.note(self.heard_at - sent)
            self._asked = deque((one for one in self._asked if one[0] != frame.tid), QUESTIONS_REMEMBERED)

    def _is_from_meter(self, datagram: Datagram) -> bool:
        at_port = datagram.destination_port == echonet.PORT
        return at_port and self.network is not None and datagram.source == self.network.address

    async def confirm(self, frame: echonet.Frame) -> None:
        """Answer an INFC."""
        if self.module.state.may_send():
            await self._send(echonet.confirmation(frame))
