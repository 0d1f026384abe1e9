"""What is counted about the link of one meter, and what its driver observes of itself. Counters outlive links."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from meterline.meter.families import FAMILIES
from meterline.meter.line_quality import Counted, LineQuality
from meterline.meter.link_reach import LinkReach
from meterline.meter.readings import REASONS, Observation, Rejected, Series
from meterline.meter.text_cache import TextCache
from meterline.meter.text_format import Histogram

_ACCEPTED = "smartmeter_line_accepted_ratio"
_REJECTED = "smartmeter_rejected_total"


class LinkCounters:
    """Counters of one meter's link, and the text of them.

    Attributes:
        frames, opened, swaps, defects: How often.
        rejected: Reason → how many groups, replies or values.
        histograms: Family → what the driver observed often.
        observed: Series → value, of what the driver says about itself.
        line: How much of what arrives is accepted.
        reach: How the links ended.
    """

    def __init__(self, text: TextCache, clock: Callable[[], float]) -> None:
        self.frames = self.opened = self.swaps = self.defects = 0
        self.rejected = dict.fromkeys(REASONS, 0)
        self.observed: dict[Series, float] = {}
        self.line, self.reach = LineQuality(clock), LinkReach()
        self._clock = clock
        self._text = text
        self.histograms: dict[str, Histogram] = {}
        self._link: Counted | None = None
        self._received = 0
        self._moved = True
        self._rejects_written = self._bytes_written = -1
        self._up_written: bool | None = None
        self._ratio_written: float | None = None

    @property
    def received(self) -> int:
        """Bytes read from all links so far."""
        return self._received + (self._link.received if self._link else 0)

    def values(self) -> Iterator[tuple[Series, float]]:
        """Everything that is counted and observed, but for histograms, and for what depends on the moment."""
        yield ("smartmeter_frames_total",), self.frames
        yield ("smartmeter_received_bytes_total",), self.received
        yield ("smartmeter_link_opened_total",), self.opened
        yield ("smartmeter_meter_swaps_total",), self.swaps
        yield ("smartmeter_defects_total",), self.defects
        if self.frames:
            yield from (((_REJECTED, reason), times) for reason, times in self.rejected.items())
        if (ratio := self.line.accepted_ratio) is not None:
            yield (_ACCEPTED,), ratio
        yield from self.observed.items()

    def attach(self, link: Counted) -> None:
        """Count a link that was opened; the one before is gone."""
        self._received = self.received
        self._link = link
        self.line.begin()
        self.opened += 1
        self.reach.open(self._clock())
        self._moved = True

    def move(self) -> None:
        """Judge the line anew: the meter is read over another one. Counters keep their values."""
        self.line = LineQuality(self._clock)

    def count_frame(self, groups: int) -> None:
        """Count a valid frame of so many groups."""
        self.frames += 1
        self.line.count(groups, 0)
        self.reach.hear()
        self._moved = True

    def count_defect(self) -> None:
        """Count an error of our own code while it read the meter."""
        self.defects += 1
        self._moved = True

    def reject(self, rejected: Rejected) -> None:
        """Count what the driver rejected."""
        self.rejected[rejected.reason] += rejected.times
        if rejected.reason != "implausible":
            whole = rejected.reason == "unknown_label"  # of a newer meter, and not damaged
            self.line.count(rejected.times * whole, rejected.times * (not whole))
        self._moved = True

    def observe(self, observation: Observation) -> None:
        """Show what the driver says about itself, until it says otherwise."""
        series, value, increment, _ = observation
        family = series[0]
        if FAMILIES[family].type == "histogram":
            histogram = self.histograms.setdefault(family, Histogram(FAMILIES[family].buckets))
            if value is not None:
                histogram.observe(value)
            self._text.show_lines(family, histogram.lines(family, self._text.labels))
            return
        if value is None:
            self.observed.pop(series, None)
        else:
            self.observed[series] = value + (self.observed.get(series, 0.0) if increment else 0.0)
        self._text.show(family, [(known, value) for known, value in self.observed.items() if known[0] == family])

    def write(self, last_frame_at: float) -> None:
        """Write the counters. Called with every frame, so that a scrape of many meters finds little left to write.

        Args:
            last_frame_at: Unix time of the last valid frame.
        """
        self._moved = False
        write = self._text.write
        write("smartmeter_frames_total", self.frames)
        self._bytes_written = self.received
        write("smartmeter_received_bytes_total", self._bytes_written)
        write("smartmeter_link_opened_total", self.opened)
        write("smartmeter_meter_swaps_total", self.swaps)
        write("smartmeter_defects_total", self.defects)
        if self.frames:
            write("smartmeter_last_frame_timestamp_seconds", last_frame_at)
        if self._rejects_written != (rejects := sum(self.rejected.values())):
            self._rejects_written = rejects
            self._text.show(_REJECTED, [((_REJECTED, reason), times) for reason, times in self.rejected.items()])

    def refresh(self, up: bool, last_frame_at: float) -> None:
        """Write what moved without a frame. Called for every meter at each scrape."""
        link = self._link
        if self._moved or (link and self._bytes_written != self._received + link.received):
            self.write(last_frame_at)
        if up is not self._up_written:
            self._up_written = up
            self._text.write("smartmeter_up", float(up))
        if self.line.rejected or not up or self._ratio_written != 1.0:  # a clean line stays at 1
            self._ratio_written = self.line.accepted_ratio
            self._text.write(_ACCEPTED, self._ratio_written)
