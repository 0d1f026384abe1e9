"""Write the captures of our simulator, and beside each the page that it must give:

    python tests/tic/make_captures.py

Fixed times and seeds: the same bytes everywhere. Review a changed .prom as if it were code.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from support.tic_frames import (
    EJP_NOTICE,
    EJP_PEAK,
    IN_OVERLOAD,
    RED_ANNOUNCED,
    RED_DAY,
    SUMMER_NOON,
    WINTER_EVENING,
    simulated,
    stream,
)

from meterline.meter.families import CATALOGUE
from meterline.meter.meter import Meter
from meterline.protocols.tic.derived import readings
from meterline.protocols.tic.frames import Assembler, Decoder
from meterline.simulation.line import Faults

FOLDER = Path(__file__).parents[2] / "captures" / "tic"


def _joined_late(data: bytes) -> bytes:
    """As if the reader had come in the middle of the first frame."""
    return data[61:]


_after_a_day = partial(simulated, hours=26)
"""With the peaks of a whole day behind it."""
CAPTURES: dict[str, Callable[[], bytes]] = {
    "historic-single-base": lambda: _joined_late(stream(_after_a_day("historic", "BASE", SUMMER_NOON), 3)),
    "historic-single-hc-overload": lambda: stream(_after_a_day("historic", "HC", IN_OVERLOAD, overload=True), 3),
    "historic-single-ejp-notice": lambda: stream(_after_a_day("historic", "EJP", EJP_NOTICE), 2),
    "historic-single-ejp-peak": lambda: stream(_after_a_day("historic", "EJP", EJP_PEAK), 2),
    "historic-three-hc-short-frames": lambda: stream(
        _after_a_day("historic", "HC", "2025-01-21 18:58:58", 3, overload=True), 12
    ),
    "historic-three-tempo-red-announced": lambda: stream(_after_a_day("historic", "TEMPO", RED_ANNOUNCED, 3), 2),
    "standard-single-hc": lambda: _joined_late(stream(_after_a_day("standard", "HC", WINTER_EVENING), 3)),
    "standard-single-base-producer": lambda: stream(_after_a_day("standard", "BASE", SUMMER_NOON, producer=True), 2),
    "standard-single-tempo-red-announced": lambda: stream(_after_a_day("standard", "TEMPO", RED_ANNOUNCED), 2),
    "standard-single-tempo-red-day": lambda: stream(_after_a_day("standard", "TEMPO", RED_DAY), 2),
    "standard-single-hc-damaged": lambda: stream(
        _after_a_day("standard", "HC", WINTER_EVENING), 12, Faults(bit_errors=0.0005, lost_bytes=0.001, eot=5, seed=3)
    ),
    "standard-three-tempo-producer": lambda: stream(_after_a_day("standard", "TEMPO", SUMMER_NOON, 3, True), 2),
}


def page(data: bytes) -> str:
    """What /metrics shows of the meter's readings once it has said all this, without what depends on our clock."""
    meter, decoder, assembler = Meter("home", clock=lambda: 0.0), Decoder(), Assembler()
    for frame in (*assembler.feed(decoder.feed(data)), assembler.close()):
        if frame:
            meter.take(readings(frame), timed=False)
    shown = [family for family in CATALOGUE if family.name in meter.text.blocks]
    return "".join(family.header(openmetrics=False) + meter.text.blocks[family.name] for family in shown)


def main() -> None:
    for name, make in CAPTURES.items():
        data = make()
        (FOLDER / f"{name}.bin").write_bytes(data)
        (FOLDER / f"{name}.prom").write_text(page(data), encoding="utf-8")


if __name__ == "__main__":
    main()
