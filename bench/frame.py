"""What a frame costs, from its bytes to the text of its meter.

Measured: decoding, assembling, the snapshot and `Meter.take` of one frame, in this process, mean of 400 in a row, best of five.
Of a frame none, five or nearly all groups differ from the frame before: "five" are the date, two registers, power and
current; "nearly all" is every number but the meter's address and number of the delivery point.
Reference: prometheus_client setting the numbers that the meter then shows, each by `labels(...).set(...)`, without text.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from prometheus_client import CollectorRegistry, Gauge

from bench.line import at, frames, household
from bench.table import Row, ratio, show
from meterline.meter.families import FAMILIES
from meterline.meter.meter import Meter
from meterline.protocols.tic.frames import Assembler, Decoder, Group, Mark, check, encode_frame, encode_group
from meterline.protocols.tic.snapshots import SnapshotBuilder

FRAMES, ROUNDS = 400, 5
FIVE = {
    "standard": ("DATE", "EAST", "EASF01", "SINSTS", "IRMS1"),
    "historic": ("HCHC", "HCHP", "IINST", "PAPP", "IMAX"),
}
FIXED = {"ADSC", "ADCO", "PRM"}
"""Another of these is another meter."""
SMALL = {"NTARF", "IINST", "IMAX"}
"""Numbers that go up and down in a small range; all others rise."""
GOALS = {("standard", "five"): "<= 0.12 ms, <= 1.2 x"}


def _groups(mode: str) -> list[Group]:
    frame = next(frames(household(mode), at(18)))
    return [event for event in Decoder().feed(frame) if not isinstance(event, Mark) and isinstance(event, Group)]


def _later(group: Group, steps: int) -> Group:
    """The group with a value that is `steps` higher, or as it is where its table allows none."""
    if group.label == "DATE" and group.timestamp:
        moment = datetime.strptime(group.timestamp[1:], "%y%m%d%H%M%S") + timedelta(seconds=steps)
        return group._replace(timestamp=group.timestamp[0] + moment.strftime("%y%m%d%H%M%S"))
    if not group.data.isdigit():
        return group
    later = group._replace(data=str(int(group.data) + steps).zfill(len(group.data)))
    if len(later.data) != len(group.data):
        return group
    return later if isinstance(check(encode_group(*_fields(later))[1:-1]), Group) else group


def _fields(group: Group) -> tuple[str, str, str | None]:
    return group.label, group.data, group.timestamp


def _stream(mode: str, labels: frozenset[str]) -> tuple[list[bytes], int]:
    """Frames of which these groups differ from one to the next, and how many groups these are."""
    groups = _groups(mode)

    def said(group: Group, number: int) -> Group:
        return _later(group, number % 7 if group.label in SMALL else number) if group.label in labels else group

    found = [encode_frame(said(group, number) for group in groups) for number in range(FRAMES)]
    changed = sum(_later(group, 1) != group for group in groups if group.label in labels)
    return found, changed


def _play(stream: list[bytes]) -> Meter:
    """A meter that has taken all of these frames, one every two seconds."""
    now = [0.0]
    meter, decoder, assembler, builder = Meter("home", clock=lambda: now[0]), Decoder(), Assembler(), SnapshotBuilder(False)
    for data in stream:
        now[0] += 2.0
        for frame in assembler.feed(decoder.feed(data)):
            meter.take(builder.build(frame))
    return meter


def _setter(meter: Meter) -> tuple[Callable[[], None], int]:
    """prometheus_client setting what the meter shows, and how many numbers that are."""
    registry = CollectorRegistry()
    gauges: dict[str, Gauge] = {}
    numbers = [(series, float(value)) for series, value in meter.readings.items() if FAMILIES[series[0]].type != "info"]
    for series, _ in numbers:
        if series[0] not in gauges:
            gauges[series[0]] = Gauge(series[0], "help", ("meter", *FAMILIES[series[0]].labels), registry=registry)

    def set_all() -> None:
        for _ in range(FRAMES):
            for series, value in numbers:
                gauges[series[0]].labels("home", *series[1:]).set(value)

    return set_all, len(numbers)


def _milliseconds(work: Callable[[], object]) -> float:
    """Of each frame: the best of several rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best * 1000 / FRAMES


def main() -> None:
    rows = []
    for mode in ("standard", "historic"):
        every = frozenset(group.label for group in _groups(mode)) - FIXED
        set_all, numbers = _setter(_play(_stream(mode, frozenset())[0]))
        reference = _milliseconds(set_all)
        for name, labels in (("no", frozenset[str]()), ("five", frozenset(FIVE[mode])), ("nearly all", every)):
            stream, changed = _stream(mode, labels)
            took = _milliseconds(partial(_play, stream))
            what = f"{mode}, {name} groups changed ({changed}), {numbers} numbers"
            rows.append(Row(what, f"{took:.3f} ms", f"{reference:.3f} ms", ratio(took, reference), GOALS.get((mode, name), "")))
    show("frame", (__doc__ or "").partition("\n\n")[2].strip(), rows)
