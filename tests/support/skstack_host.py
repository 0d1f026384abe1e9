"""A host that talks to a simulated module as a driver does, at a time of its own."""

from __future__ import annotations

import math

from meterline.protocols.broute import echonet
from meterline.protocols.broute.echonet import Frame
from meterline.protocols.broute.simulator.commands import JST, FakeMeter, FakeModule
from meterline.protocols.broute.skstack import Datagram, Decoder, Event, Message, Ok, link_local, sendto
from meterline.simulation.household import House


class Host:
    """A host that writes, and collects what comes until a time: bytes, and messages with the second at which they came."""

    def __init__(self, *meters: FakeMeter, **facts: object) -> None:
        self.meters = meters or (FakeMeter(House(JST, solar=5000)),)
        self.module = FakeModule(self.meters, **facts)  # type: ignore[arg-type]
        self.decoder, self.now = Decoder(), 1000.0
        self.raw = b""
        self.came: list[tuple[float, Message]] = []

    @property
    def meter(self) -> FakeMeter:
        return self.meters[0]

    @property
    def address(self) -> str:
        return link_local(self.meter.mac)

    @property
    def unix(self) -> float:
        """The time of the module's world."""
        self.module.feed(b"", self.now)
        return self.module.unix

    def write(self, data: bytes | str, seconds: float = 0.0) -> list[Message]:
        """Messages until `seconds` later."""
        self.module.feed(data if isinstance(data, bytes) else f"{data}\r\n".encode(), self.now)
        return self.wait(seconds)

    def wait(self, seconds: float) -> list[Message]:
        end, before = self.now + seconds, len(self.came)
        self.raw = b""
        while True:
            said = self.module.take(self.now)
            self.raw += said
            self.came += [(self.now, message) for message in self.decoder.feed(said)]
            due = self.module.due()
            assert due > self.now or due == math.inf, "what is due was taken"
            if due > end:
                break
            self.now = due
        self.now = end
        return [message for _, message in self.came[before:]]

    def set_up(self) -> Host:
        """All that comes before a join."""
        for line in (
            f"SKSETPWD C {self.meter.password}",
            f"SKSETRBID {self.meter.id}",
            f"SKSREG S2 {self.meter.channel:X}",
            f"SKSREG S3 {self.meter.pan_id:04X}",
        ):
            assert self.write(line)[-1] == Ok(), line
        return self

    def join(self, seconds: float = 10.0) -> list[Message]:
        return self.write(f"SKJOIN {self.address}", seconds)

    def joined(self) -> Host:
        assert 0x25 in events(self.set_up().join())
        return self

    def ask(self, *epcs: int, tid: int = 1, seconds: float = 5.0) -> list[Message]:
        return self.write(sendto(self.address, echonet.get(tid, epcs), 0 if self.module.dual else None), seconds)


def events(messages: list[Message]) -> list[int]:
    return [message.number for message in messages if isinstance(message, Event)]


def results(messages: list[Message]) -> list[int | None]:
    return [message.parameter for message in messages if isinstance(message, Event) and message.number == 0x21]


def frames(messages: list[Message]) -> list[Frame]:
    found = [echonet.decode(one.payload) for one in messages if isinstance(one, Datagram) and one.source_port == echonet.PORT]
    return [frame for frame in found if isinstance(frame, Frame)]


def replies(messages: list[Message]) -> list[Frame]:
    return [frame for frame in frames(messages) if frame.esv in (echonet.GET_RES, echonet.GET_SNA)]
