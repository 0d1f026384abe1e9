"""Meters → the text of /metrics: a scrape joins the texts that each meter keeps, family by family.

What depends on the clock (`smartmeter_up`, freshness) and counters that moved without a frame are brought up to date first. Our
own process is prometheus_client's business.
"""

from __future__ import annotations

import gzip
import platform
from collections.abc import Callable, Collection, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, exposition
from prometheus_client.metrics import Gauge, Info
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.openmetrics import exposition as openmetrics_exposition

from meterline import __version__, world
from meterline.meter.families import CATALOGUE
from meterline.meter.meter import Meter
from meterline.meter.program_health import BrokerCounts, LedgerHealth

COMPRESS_FROM = 1000
"""Bytes from which gzip is worth its header."""


class Reloads:
    """How reading the configuration went the last time."""

    def __init__(self) -> None:
        self.good = True
        self.good_at = world.current.now()

    def note(self, good: bool) -> None:
        """It was read again, and is in force now; or was not good, and the old one is."""
        self.good = good
        self.good_at = world.current.now() if good else self.good_at


class _BrokerCollector:
    """The broker on /metrics; nothing where none is configured."""

    def __init__(self, broker: Callable[[], BrokerCounts | None]) -> None:
        self._broker = broker

    def collect(self) -> Iterator[Metric]:
        """Made anew for each page."""
        if counts := self._broker():
            yield GaugeMetricFamily("meterline_mqtt_connected", "1 while the MQTT broker is connected.", counts.is_connected)
            yield CounterMetricFamily("meterline_mqtt_messages", "Messages sent to the MQTT broker.", counts.messages)
            again = max(0, counts.connections - 1)
            yield CounterMetricFamily("meterline_mqtt_reconnects", "Times the MQTT broker was connected again.", again)


class _LedgerCollector:
    """The ledger on /metrics."""

    def __init__(self, ledger: Callable[[], LedgerHealth]) -> None:
        self._ledger = ledger

    def collect(self) -> Iterator[Metric]:
        """Made anew for each page."""
        health = self._ledger()
        aside = CounterMetricFamily(
            "meterline_ledger_aside", "Damaged rows and files of the ledger set aside.", labels=["reason"]
        )
        for reason in ("checksum", "file", "form"):
            aside.add_metric([reason], health.aside.get(reason, 0))
        yield aside
        yield GaugeMetricFamily("meterline_ledger_bytes", "Size of the ledger.", health.size)
        when = "When the ledger was written last; 0: not since the start."
        yield GaugeMetricFamily("meterline_ledger_last_commit_timestamp_seconds", when, health.committed_at)
        yield GaugeMetricFamily("meterline_ledger_writable", "1 while the ledger can be written.", health.is_writable)


class Page:
    """Everything that /metrics shows. `meters` may change; `refresh` is called before each page.

    `writable`: whether the state can be kept; None where there is none. `broker`: how publishing goes; None while no broker is
    configured. `ledger`: how the ledger is; None where there is none.
    """

    def __init__(
        self,
        meters: Collection[Meter],
        refresh: Callable[[], None] = lambda: None,
        reloads: Reloads | None = None,
        writable: Callable[[], bool] | None = None,
        broker: Callable[[], BrokerCounts | None] = lambda: None,
        ledger: Callable[[], LedgerHealth] | None = None,
    ) -> None:
        self._meters = meters
        self._refresh = refresh
        self._headers = {openmetrics: [family.header(openmetrics) for family in CATALOGUE] for openmetrics in (False, True)}
        self._process = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._process)
        Info("meterline_build", "The running program.", registry=self._process).info(
            {"version": __version__, "python": platform.python_version()}
        )
        if reloads:
            self._add("meterline_config_last_reload_successful", "1 where the configuration was good.", lambda: reloads.good)
            when = "When a good configuration was read last."
            self._add("meterline_config_last_reload_success_timestamp_seconds", when, lambda: reloads.good_at)
        if writable:
            self._add("meterline_state_writable", "1 where what must survive a restart can be kept.", writable)
        if ledger:
            self._process.register(_LedgerCollector(ledger))
        self._process.register(_BrokerCollector(broker))

    def _add(self, name: str, text: str, value: Callable[[], float]) -> None:
        Gauge(name, text, registry=self._process).set_function(value)

    def text(self, openmetrics: bool = False) -> str:
        """The page as text 0.0.4, or as OpenMetrics 1.0."""
        render = openmetrics_exposition.generate_latest if openmetrics else exposition.generate_latest
        return self._of(self._meters, openmetrics) + render(self._process).decode()

    def one(self, meter: Meter, openmetrics: bool = False) -> str:
        """The same of one meter, without our own process."""
        return self._of([meter], openmetrics) + ("# EOF\n" if openmetrics else "")

    def _of(self, meters: Collection[Meter], openmetrics: bool) -> str:
        self._refresh()
        for meter in meters:
            meter.refresh()
        pieces: list[str] = []
        families = zip(*[meter.text.columns for meter in meters], strict=True)
        for header, texts in zip(self._headers[openmetrics], families, strict=False):  # no meters, no families
            if any(texts):
                pieces.append(header)
                pieces += texts
        return "".join(pieces)


def negotiate(accept: str) -> tuple[bool, str]:
    """Whether OpenMetrics is wanted, and the content type of the answer. Who asks for nonsense gets text."""
    try:
        _, content_type = exposition.choose_encoder(accept)
    except (TypeError, ValueError):  # a version that is none
        content_type = ""
    if content_type.startswith("application/openmetrics-text"):
        return True, "application/openmetrics-text; version=1.0.0; charset=utf-8"
    return False, "text/plain; version=0.0.4; charset=utf-8"


def takes_gzip(accept_encoding: str) -> bool:
    """Whether an answer may be compressed."""
    for part in accept_encoding.lower().replace(" ", "").split(","):
        coding, _, quality = part.partition(";q=")
        if coding == "gzip":
            return not quality or quality.strip("0.") != ""
    return False


def compress(page: bytes) -> bytes:
    """The page for clients that take gzip. Level 1: three times smaller already, at a tenth of the time of level 9."""
    return gzip.compress(page, compresslevel=1)
