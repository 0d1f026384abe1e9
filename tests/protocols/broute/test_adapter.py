"""The conversation with a module: what stalls is given up, however short the caller listens at a time."""

from __future__ import annotations

import math
from contextlib import suppress

import pytest
from support.skstack_lines import METER, erxudp
from support.virtual_time import MemoryLink, play

from meterline.protocols.broute.adapter import STALL_TIMEOUT_S, Module
from meterline.protocols.broute.simulator.commands import FakeMeter, FakeModule

CUT_OFF = erxudp(b"\x10\x81" * 100)[:150]


class Script(FakeModule):
    """A module that sends each of some bytes at its second, and nothing else."""

    def __init__(self, output: dict[float, bytes]) -> None:
        super().__init__([FakeMeter()])
        self._output = output

    def take(self, now: float) -> bytes:
        return b"".join(self._output.pop(second) for second in sorted(self._output) if second <= now)

    def due(self) -> float:
        return min(self._output, default=math.inf)


@pytest.mark.parametrize("slice_s", [0.1, STALL_TIMEOUT_S, 3 * STALL_TIMEOUT_S])
def test_an_event_after_a_cut_off_datagram_is_read_however_short_each_listening_is(slice_s: float) -> None:
    async def scene() -> list[int]:
        module = Module(MemoryLink(Script({0.0: CUT_OFF, 5.0: f"EVENT 25 {METER}\r\n".encode()})))
        while module.clock() < 10:
            with suppress(TimeoutError):
                await module.listen(module.clock() + slice_s)
        return [event.number for event in module.events]

    assert play(scene) == [0x25]
