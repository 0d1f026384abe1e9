"""What is read while the speed of a line is tried is given back."""

from __future__ import annotations

import asyncio

import pytest

from meterline.link.stream import Form, Tap
from meterline.protocols.tic.frames import Group, encode_frame, encode_group
from meterline.protocols.tic.listener import PROBED_BYTES, probe_speeds

GROUPS = [Group("ADCO", None, "021728123456"), Group("OPTARIF", None, "HC.."), Group("ISOUSC", None, "30")]


class ShortReads:
    """A link that gives so many bytes a read."""

    url = "/dev/ttyTEST"
    timed = True
    crowd = 1
    received = 0
    baud: int | None = None
    tap: Tap | None = None

    def __init__(self, line: bytes, size: int) -> None:
        self.given_back = b""
        self._line, self._size = line, size

    async def read(self) -> bytes:
        data, self._line = self._line[: self._size], self._line[self._size :]
        if not data:
            raise EOFError
        return data

    def unread(self, data: bytes) -> None:
        self.given_back = data

    def rest_until(self, moment: float) -> None: ...

    async def write(self, data: bytes) -> None: ...

    async def set_baud(self, baud: int, form: Form = "7E1") -> None: ...


@pytest.mark.parametrize("size", [1, 3, 7, 50, 500])
def test_no_group_of_a_probed_line_is_lost_however_small_the_reads(size: int) -> None:
    link = ShortReads(b"21 4\r" + encode_frame(GROUPS), size)
    assert asyncio.run(probe_speeds(link, [], 5.0, 10.0))[-1].sure
    for group in GROUPS:
        assert encode_group(group.label, group.data) in link.given_back


def test_a_group_and_much_noise_after_it_are_not_kept_for_ever() -> None:
    groups = b"".join(encode_group(group.label, group.data) for group in GROUPS)
    link = ShortReads(groups[: len(groups) // 3] + b"noise\r" * PROBED_BYTES + groups, 512)
    assert asyncio.run(probe_speeds(link, [], 5.0, 10.0))[-1].sure
    assert groups[len(groups) // 3 :] in link.given_back
    assert len(link.given_back) <= PROBED_BYTES
