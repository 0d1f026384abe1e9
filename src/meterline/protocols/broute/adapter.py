"""A Wi-SUN module on an open link: one command at a time, and everything that the module sends in between is taken in.

Whoever waits reads. What nobody waits for is kept, bounded, for whoever asks next. A module that answers no command, tried
again and again, is `Silent`: the link should be opened anew.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from meterline.link.stream import Link
from meterline.meter.readings import Emit, Hint, Item, Rejected, Silent
from meterline.protocols.broute import causes, skstack
from meterline.protocols.broute.session_state import SessionEvent, SessionStateMachine
from meterline.protocols.broute.skstack import Datagram, Event, Fail, Line, Ok, Pan
from meterline.protocols.broute.splitter import MAX_PAYLOAD

COMMAND_TIMEOUT_S = 3.0
"""Seconds for the reply to most commands."""
STALL_TIMEOUT_S = 1.0
"""Seconds without a byte after which a piece that has begun is given up: a wrong length field would wait for ever."""
FILLER = b"\r\n" * (MAX_PAYLOAD // 2)
"""Ends a datagram that was cut off: as much as one holds, and elsewhere only empty lines."""
WAITING_MAX = 64
"""Events, replies and datagrams that wait to be asked for, each."""

_DAMAGED = {"malformed": causes.MALFORMED, "truncated": causes.TRUNCATED}


class CommandFailed(OSError):
    """The module answered FAIL. The text never holds the command's arguments."""

    def __init__(self, word: str, fail: Fail) -> None:
        super().__init__(f"{word}: {fail}")
        self.code = fail.code


def _discard(item: Item) -> None:
    """For a module that is asked on behalf of no meter."""


class Module:
    """A Wi-SUN module with SKSTACK firmware.

    Attributes:
        state: State of the session, limit of time on air, fate of the last transmission.
        side: Side argument of commands on the dual edition; None on the single edition, whose SKINFO ends with FFFE.
        version: Reply to SKVER; empty before `wake`.
        address: IPv6 address of the module; empty before `wake`.
        pans, events, inbox: Networks that a scan found, events, datagrams: the last `WAITING_MAX` of each, for whoever waits.
        clock: Monotonic seconds, of the event loop.
    """

    def __init__(self, link: Link, emit: Emit = _discard) -> None:
        """
        Args:
            link: Open, at the speed of `skstack.BAUD`.
            emit: Takes rejects, observations and hints, at once and in order.
        """
        self.link = link
        self.clock = asyncio.get_running_loop().time
        self.state = SessionStateMachine(self.clock)
        self.emit = emit
        self.side: int | None = None
        self.version = ""
        self.address = ""
        self.pans: deque[Pan] = deque(maxlen=WAITING_MAX)
        self.events: deque[Event] = deque(maxlen=WAITING_MAX)
        self.inbox: deque[Datagram] = deque(maxlen=WAITING_MAX)
        self._replies: deque[Ok | Fail | Line] = deque(maxlen=WAITING_MAX)
        self._decoder = skstack.Decoder()
        self._stalled = 0.0
        """Seconds that were listened since the last byte: callers may listen for less than `STALL_TIMEOUT_S` at a time."""

    async def listen(self, deadline: float) -> None:
        """Take in what comes next.

        Args:
            deadline: By `clock`.

        Raises:
            TimeoutError: Nothing came before the deadline.
            OSError: The link is lost.
        """
        begun = self.clock()
        stalls_at = begun + STALL_TIMEOUT_S - self._stalled if self._decoder.pending else math.inf
        try:
            async with asyncio.timeout_at(min(deadline, stalls_at)):
                data = await self.link.read()
        except TimeoutError:
            if stalls_at > deadline:
                self._stalled += self.clock() - begun
                raise
            messages = self._decoder.flush()
        else:
            messages = self._decoder.feed(data)
        self._stalled = 0.0
        self._sort(messages)

    def _sort(self, messages: list[skstack.Message]) -> None:
        """Put each message where it is waited for. Rejects of one read are added up, so that a flood costs one item a read."""
        rejects: dict[str, Rejected] = {}
        for message in messages:
            match message:
                case Ok() | Fail() | Line():
                    self._replies.append(message)
                case Event():
                    self.state.take_event(message, self.address)
                    self.events.append(message)
                case Pan():
                    self.pans.append(message)
                case Datagram():
                    self.inbox.append(message)
                case Rejected():
                    times = rejects[message.reason].times if message.reason in rejects else 0
                    rejects[message.reason] = message._replace(times=times + message.times)
        for rejected in rejects.values():
            self.reject(rejected)

    def reject(self, rejected: Rejected, why: Hint | None = None) -> None:
        """Count it, and say what it means; `why`: where it is not damage of the module's line."""
        self.emit(rejected)
        self.emit(why or _DAMAGED.get(rejected.reason) or Hint(rejected.reason))

    def complain(self, text: str) -> None:
        """One sentence for the log."""
        self.emit(Hint(text))

    async def until(self, ready: Callable[[], bool], seconds: float) -> bool:
        """Take in what comes until something is there; False where it is not in time."""
        deadline = self.clock() + seconds
        while not ready():
            try:
                await self.listen(deadline)
            except TimeoutError:
                return ready()
        return True

    async def reply(self, word: str, seconds: float) -> list[str] | None:
        """The data lines of a reply, and the value after OK; None where none comes in time. CommandFailed: FAIL."""
        if not await self.until(self._complete, seconds):
            return None
        lines = []
        while self._replies:
            match self._replies.popleft():
                case Line(text):
                    lines.append(text)
                case Ok(value):
                    return [*lines, value] if value else lines
                case Fail() as fail:
                    raise CommandFailed(word, fail)
        return lines

    def _complete(self) -> bool:
        return any(type(reply) is not Line for reply in self._replies)

    async def ask(self, *words: str, seconds: float = COMMAND_TIMEOUT_S) -> list[str]:
        """Give a command, up to three times.

        Args:
            words: The command and its arguments.
            seconds: To wait for the reply of each try.

        Returns:
            The data lines of the reply, and the value after OK.

        Raises:
            CommandFailed: The module refuses the command.
            Silent: The module does not answer at all.
        """
        for nudge in (b"\r\n", FILLER, b""):
            self._replies.clear()
            await self.link.write(skstack.command(*words))
            lines = await self.reply(words[0], seconds)
            if lines is not None:
                return lines
            if nudge:
                await self.nudge(nudge)
        raise Silent(f"the Wi-SUN module does not answer {words[0]}", link=self.link.url)

    async def nudge(self, filler: bytes = b"\r\n") -> None:
        """End what the module may be waiting for: a line, or (with a payload's worth of filler) a datagram cut off."""
        await self.link.write(filler)
        await self.until(lambda: False, 0.3)
        self._replies.clear()

    async def look_up(self, kind: str, *words: str) -> list[str]:
        """The words that follow `kind` in the reply to a command; empty where the module does not know the command.

        A reply may be one that an earlier command waited for in vain: given again, the command gets its own.
        """
        for _ in range(3):
            for line in await self.attempt(*words):
                if line.startswith(f"{kind} "):
                    return line.split()[1:]
        return []

    async def recognise(self) -> bool:
        """Whether there is a module at all: it says its version."""
        await self.nudge()
        await self.link.write(skstack.command("SKVER"))
        with suppress(CommandFailed):
            return bool(await self.reply("SKVER", COMMAND_TIMEOUT_S))
        return True

    async def start(self) -> None:
        """Wake the module, find out what it is, and bring it to a known state: no session, no echo."""
        await self.wake()
        await self.reset()

    async def wake(self) -> None:
        """Find out what the module is. A session that stands in it goes on."""
        await self.nudge()
        self.version = " ".join(await self.look_up("EVER", "SKVER"))
        facts = await self.look_up("EINFO", "SKINFO")
        self.address = facts[0].upper() if facts else ""
        self.side = None if facts and facts[-1].upper() == "FFFE" else 0

    async def reset(self) -> None:
        """Forget session, registers and credentials."""
        try:
            await self.ask("SKRESET", seconds=10.0)
        except CommandFailed:  # garbage in front of it
            await self.ask("SKRESET", seconds=10.0)
        self.state.apply(SessionEvent.MODULE_RESET)
        await self.attempt("SKSREG", "SFE", "0")

    def take_other_edition(self) -> None:
        """The module complains of the arguments of its edition: it is of the other one."""
        self.side = 0 if self.side is None else None

    async def ask_limit(self) -> bool:
        """Whether the limit of time on air holds everything back: the events that say so may have been missed."""
        said = await self.look_up("ESREG", "SKSREG", "SFB")
        self.state.take_limit({"0": False, "1": True}.get(said[0]) if len(said) == 1 else None)
        return self.state.is_limited

    async def attempt(self, *words: str) -> list[str]:
        """A command that not every module knows."""
        try:
            return await self.ask(*words)
        except CommandFailed:
            return []

    async def send(self, address: str, payload: bytes) -> bool:
        """Send a datagram, encrypted. `state.transmission` tells later how the transmission ended.

        Args:
            address: IPv6 address of the meter.
            payload: An ECHONET Lite frame.

        Returns:
            False where the module refuses the datagram; `state.unsent_reason` says why.
        """
        self._replies.clear()
        self.state.begin_transmission()
        await self.link.write(skstack.sendto(address, payload, self.side))
        try:
            if await self.reply("SKSENDTO", 5.0) is None:
                self.state.refuse_transmission("SKSENDTO: no reply")
                await self.nudge(FILLER)
                await self.ask("SKVER")
        except CommandFailed as error:
            self.state.refuse_transmission(str(error))
        return not self.state.unsent_reason
