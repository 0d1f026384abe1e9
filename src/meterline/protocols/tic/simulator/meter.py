"""A simulated Linky with a household: frames for any time, contract, mode and wiring.

The meter reads no clock: `advance` moves its registers to a time, `frame` returns the bytes that the meter sends then.
"""

from __future__ import annotations

from meterline.protocols.tic.frames import EOT, STX, encode_frame, encode_group
from meterline.protocols.tic.simulator.groups import historic_groups, short_groups, standard_groups
from meterline.protocols.tic.simulator.state import State

MODES = {"historic": 1200, "standard": 9600}
"""Mode → speed of the line in bauds."""
SHORT_FRAMES = 20
"""Short frames between two long ones in a three-phase overload, which ends a minute after the last excess."""


class FakeMeter(State):
    """A simulated Linky."""

    _shorts_left: int | None = None
    """Short frames until the next long one, in a three-phase overload; None: no overload."""

    def frame(self) -> bytes:
        """Return the bytes of the next frame."""
        if self.mode == "standard":
            return encode_frame(standard_groups(self))
        if self.phases == 3 and self.now < self.over_until:
            return self._overload_frame()
        self._shorts_left = None
        return encode_frame(historic_groups(self))

    def _overload_frame(self) -> bytes:
        left, self._shorts_left = self._shorts_left, (self._shorts_left or SHORT_FRAMES + 1) - 1
        if left is None:
            # The overload begins: the long frame in progress stops after the current group.
            return STX + b"".join(encode_group(label, data) for label, _, data in historic_groups(self)[:6]) + EOT
        return encode_frame(short_groups(self) if left else historic_groups(self))
