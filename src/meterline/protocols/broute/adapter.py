"""A Wi-SUN module on an open link: one command at a time, and everything that it says in between is taken in.

Whoever waits reads; what was not asked for is kept, bounded, for whoever asks next. No reply to a command, again and again,
is `Silent`: the link should be opened anew.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from meterline.link.stream import Link
from meterline.meter.readings import Hint, Rejected, Silent
from meterline.protocols.broute import skstack
from meterline.protocols.broute.outbox import Outbox
from meterline.protocols.broute.skstack import Datagram, Event, Fail, Line, Ok, Pan
from meterline.protocols.broute.splitter import MAX_PAYLOAD

REPLY = 3.0
"""Seconds for the reply to most commands."""
STALLED = 1.0
"""Seconds without a byte after which a piece that has begun is given up: a wrong length field would wait for ever."""
RENEWAL = 120.0
"""Seconds that a renewal of the session may take; it lasts a few as a rule."""
LIMIT = 3600.0
"""Seconds after which the hourly limit of time on air must be over."""
FILLER = b"\r\n" * (MAX_PAYLOAD // 2)
"""Ends a datagram that was cut off: as much as one holds, and elsewhere only empty lines."""
KEPT = 64
"""Events, replies and datagrams that wait to be asked for, each."""

_DAMAGED = {
    "malformed": (
        "the module sent a line or a datagram that cannot be read: damage between it and this machine (cable, USB hub, "
        "or another program that uses the device); it is counted and not shown"
    ),
    "truncated": (
        "a message of the module was cut off: bytes are lost between it and this machine (cable, USB hub, "
        "or another program that uses the device); it is counted and not shown"
    ),
}
_OF_A_SESSION = (0x21, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29)


class CommandFailed(OSError):
    """The module answered FAIL. The text never holds the command's arguments."""

    def __init__(self, word: str, fail: Fail) -> None:
        super().__init__(f"{word}: {fail}")
        self.code = fail.code


class Module:
    """`items` gathers what the driver has to yield."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.items = Outbox()
        self.side: int | None = None
        """The side argument of the dual edition; None on the single one, whose SKINFO ends with FFFE."""
        self.version = ""
        self.address = ""
        """Its own IPv6 address."""
        self.partner = ""
        """The address of the meter that it was told to join: events of other addresses are not about our session."""
        self.up = False
        """The module has a session."""
        self.renewing: float | None = None
        """Since when the session is being renewed (event 29): nothing may be sent until it is."""
        self.limited: float | None = None
        """Since when the limit of time on air holds everything back (event 32)."""
        self.renewals = 0
        self.unsent = ""
        """Why the module refused the last datagram."""
        self.sent: int | None = None
        """How the last transmission ended (event 21): 0 delivered, 1 failed, 2 the neighbour is looked for first."""
        self.pans: deque[Pan] = deque(maxlen=KEPT)
        self.events: deque[Event] = deque(maxlen=KEPT)
        self.inbox: deque[Datagram] = deque(maxlen=KEPT)
        self._replies: deque[Ok | Fail | Line] = deque(maxlen=KEPT)
        self._decoder = skstack.Decoder()
        self.clock = asyncio.get_running_loop().time

    async def listen(self, deadline: float) -> None:
        """Take in what comes next. TimeoutError at the deadline (loop time)."""
        limit = deadline
        if self._decoder.pending:
            limit = min(deadline, self.clock() + STALLED)
        try:
            async with asyncio.timeout_at(limit):
                data = await self.link.read()
        except TimeoutError:
            if not self._decoder.pending or self.clock() >= deadline:
                raise
            messages = self._decoder.flush()
        else:
            messages = self._decoder.feed(data)
        for message in messages:
            self._take(message)

    def _take(self, message: skstack.Message) -> None:
        match message:
            case Ok() | Fail() | Line():
                self._replies.append(message)
            case Event():
                self._note(message)
                self.events.append(message)
            case Pan():
                self.pans.append(message)
            case Datagram():
                self.inbox.append(message)
            case Rejected():
                self.reject(message)

    def reject(self, rejected: Rejected, why: str = "") -> None:
        """Count it, and say what it means; `why`: where it is not damage of the module's line."""
        self.items.append(rejected)
        self.items.append(Hint(why or _DAMAGED.get(rejected.reason, rejected.reason)))

    def complain(self, text: str) -> None:
        """One sentence for the log."""
        self.items.append(Hint(text))

    def _note(self, event: Event) -> None:
        if event.address not in ("", self.partner, self.address) and event.number in _OF_A_SESSION:
            return
        match event.number:
            case 0x21:
                self.sent = event.parameter
            case 0x24 | 0x26 | 0x27 | 0x28:
                self.up, self.renewing = False, None
            case 0x25:
                self.renewals += self.up
                self.up, self.renewing = True, None
            case 0x29:
                self.renewing = self.clock()
            case 0x32:
                self.limited = self.clock()
            case 0x33:
                self.limited = None

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

    async def ask(self, *words: str, seconds: float = REPLY) -> list[str]:
        """Give a command; its reply. CommandFailed: refused. Silent: the module does not answer at all."""
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
        """What the module says in its line of that kind, in words; empty where it does not know the command.

        A reply may be one that an earlier question waited for in vain: asked again, the right one comes.
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
            return bool(await self.reply("SKVER", REPLY))
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
        self.up, self.renewing, self.limited = False, None, None
        await self.attempt("SKSREG", "SFE", "0")

    async def ask_limit(self) -> bool:
        """Whether the limit of time on air holds everything back: the events that say so may have been missed."""
        said = await self.look_up("ESREG", "SKSREG", "SFB")
        if said == ["1"]:
            self.limited = self.limited or self.clock()
        elif said == ["0"] or (self.limited and self.clock() - self.limited > LIMIT):
            self.limited = None
        return self.limited is not None

    async def attempt(self, *words: str) -> list[str]:
        """A command that not every module knows."""
        try:
            return await self.ask(*words)
        except CommandFailed:
            return []

    async def send(self, address: str, payload: bytes) -> bool:
        """Send a datagram; False where the module refuses. Wait for `sent` to learn how it went."""
        self._replies.clear()
        self.sent, self.unsent = None, ""
        await self.link.write(skstack.sendto(address, payload, self.side))
        try:
            if await self.reply("SKSENDTO", 5.0) is None:
                self.unsent = "SKSENDTO: no reply"
                await self.nudge(FILLER)
                await self.ask("SKVER")
        except CommandFailed as error:
            self.unsent = str(error)
        return not self.unsent

    @property
    def held(self) -> bool:
        """Nothing may be sent now. A renewal that does not end is the end of the session."""
        if self.renewing is not None and self.clock() - self.renewing > RENEWAL:
            self.up, self.renewing = False, None
        return self.renewing is not None or self.limited is not None
