"""Meters → the text of /metrics: a scrape joins the blocks that each meter keeps, family by family.

Rendered here, at the scrape: what depends on the clock (`smartmeter_up`, freshness) and the counters about the line, which
must move during pure noise too. Our own process is prometheus_client's business.
"""

from __future__ import annotations

import gzip
import platform
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, ProcessCollector, exposition
from prometheus_client.metrics import Info
from prometheus_client.openmetrics import exposition as openmetrics_exposition

from meterline import __version__
from meterline.meter import Meter
from meterline.metrics import CATALOGUE, block, number

COMPRESS_FROM = 1000
"""Bytes from which gzip is worth its header."""


class Page:
    """Everything that /metrics shows."""

    def __init__(self, meters: Iterable[Meter]) -> None:
        self._meters = list(meters)
        self._headers = {
            openmetrics: {family.name: family.header(openmetrics) for family in CATALOGUE} for openmetrics in (False, True)
        }
        self._process = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._process)
        Info("meterline_build", "The running program.", registry=self._process).info(
            {"version": __version__, "python": platform.python_version()}
        )

    def text(self, openmetrics: bool = False) -> str:
        """The page as text 0.0.4, or as OpenMetrics 1.0."""
        found: dict[str, list[str]] = {name: [header] for name, header in self._headers[openmetrics].items()}
        for meter in self._meters:
            meter.expire()
            for family, lines in meter.blocks.items():
                found[family].append(lines)
            for family, lines in _about(meter):
                found[family].append(lines)
        render = openmetrics_exposition.generate_latest if openmetrics else exposition.generate_latest
        ours = "".join(["".join(lines) for lines in found.values() if len(lines) > 1])
        return ours + render(self._process).decode()


def _about(meter: Meter) -> Iterable[tuple[str, str]]:
    """What we know about the meter's line."""
    name = meter.label
    up = "1.0" if meter.up else "0.0"
    yield "smartmeter_up", f'smartmeter_up{{meter="{name}"}} {up}\n'
    if meter.frames:
        seconds = number(meter.last_frame_at)
        yield (
            "smartmeter_last_frame_timestamp_seconds",
            f'smartmeter_last_frame_timestamp_seconds{{meter="{name}"}} {seconds}\n',
        )
    for family, count in (
        ("smartmeter_frames_total", meter.frames),
        ("smartmeter_received_bytes_total", meter.received),
        ("smartmeter_link_opened_total", meter.opened),
        ("smartmeter_meter_swaps_total", meter.swaps),
        ("smartmeter_defects_total", meter.defects),
    ):
        yield family, f'{family}{{meter="{name}"}} {number(count)}\n'
    yield (
        "smartmeter_rejected_total",
        "".join(
            [
                f'smartmeter_rejected_total{{meter="{name}",reason="{reason}"}} {number(count)}\n'
                for reason, count in meter.rejected.items()
            ]
        ),
    )
    for series, value in meter.observed.items():
        yield series[0], block(series[0], name, [(series, value)])


def negotiate(accept: str) -> tuple[bool, str]:
    """Whether OpenMetrics is wanted, and the content type of the answer."""
    _, content_type = exposition.choose_encoder(accept)
    if content_type.startswith("application/openmetrics-text"):
        return True, "application/openmetrics-text; version=1.0.0; charset=utf-8"
    return False, "text/plain; version=0.0.4; charset=utf-8"


def compress(page: bytes) -> bytes:
    """The page for clients that take gzip. Level 1: three times smaller already, at a tenth of the time of level 9."""
    return gzip.compress(page, compresslevel=1)
