"""Meters of our simulator at times that are worth a test, and the streams they send."""

from __future__ import annotations

from datetime import datetime

from meterline.protocols.tic.simulator.meter import MODES, FakeMeter
from meterline.protocols.tic.simulator.state import PARIS
from meterline.simulation.household import House
from meterline.simulation.line import FRAME_GAP_S, Faults

SUMMER_NOON = "2025-06-17 12:40:00"
WINTER_EVENING = "2025-01-21 19:05:30"
EJP_NOTICE = "2025-01-23 06:45:00"
"""The peak begins at 07:00."""
EJP_PEAK = "2025-01-23 18:00:00"
RED_ANNOUNCED = "2025-01-22 21:10:00"
"""The evening of a blue day before a red one."""
RED_DAY = "2025-01-23 11:00:00"
OVERLOAD = (3600, 60)
"""Too much is drawn in the last minute of every hour."""
IN_OVERLOAD = "2025-01-21 18:59:20"


def simulated(
    mode: str,
    contract: str,
    when: str,
    phases: int = 1,
    producer: bool = False,
    overload: bool = False,
    hours: int = 2,
) -> FakeMeter:
    """A meter that has run for some hours: two are enough for both points of its load curve."""
    house = House(PARIS, 6000 * phases, 3000 if producer else 0, OVERLOAD if overload else None)
    meter = FakeMeter(house, mode, contract, phases, producer)
    now = unix(when)
    meter.advance(now - hours * 3600)
    meter.advance(now)
    return meter


def unix(when: str) -> float:
    """``YYYY-MM-DD hh:mm:ss``, legal time of Paris."""
    return datetime.fromisoformat(when).replace(tzinfo=PARIS).timestamp()


def stream(meter: FakeMeter, frames: int, faults: Faults | None = None) -> bytes:
    """What the meter sends next, at the speed of its line."""
    sent = b""
    for _ in range(frames):
        frame = meter.frame()
        sent += faults.damage(frame) if faults else frame
        meter.advance(meter.now + len(frame) * 10 / MODES[meter.mode] + FRAME_GAP_S)
    return sent
