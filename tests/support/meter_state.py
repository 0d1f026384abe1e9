"""Everything that a meter shows and tells others, to compare two of them."""

from __future__ import annotations

from meterline.meter.families import COLUMNS
from meterline.meter.meter import Meter


def state(meter: Meter) -> dict[str, object]:
    """All of it but the time of the last frame, which is by the clock on the wall."""
    texts = list(meter.text.columns)
    texts[COLUMNS["smartmeter_last_frame_timestamp_seconds"]] = ""
    return {
        "readings": meter.readings,
        "confirmed": {series: meter.confirmed(*series) for series in meter.readings},
        "texts": texts,
        "registers": dict(meter.registers),
        "rejected": dict(meter.counters.rejected),
        "counted": (meter.counters.frames, meter.counters.swaps, meter.address),
    }
