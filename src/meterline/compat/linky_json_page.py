"""The metrics of the Linky exporter with a JSON file: `<namespace>_…` and `daemon_…`, in the form of prometheus_client.

Historic mode, the only one that the original reads, is complete. Standard mode has the same kinds of values: the supplier's
indexes, currents, the power drawn, and as status the fields that do not change with every frame. The number of the delivery
point identifies a household and is left out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from meterline import __version__, world
from meterline.billing.billing import BillingService
from meterline.meter.meter import Meter
from meterline.meter.text_format import Histogram, labels, number
from meterline.protocols.tic.contracts import CONTRACT_OF
from meterline.protocols.tic.fields import FIELDS, HISTORIC, IMPORT_BY_TARIFF
from meterline.web.http.server import MetricsSource

log = logging.getLogger("meterline")

INDEXES = {label: field.value for label, field in FIELDS.items() if field.value and field.value[0] == IMPORT_BY_TARIFF}
"""Label of a register → its series."""
POWER = ("smartmeter_apparent_power_import_voltamperes",)
CURRENTS = (
    *("IINST", "IINST1", "IINST2", "IINST3", "ADPS", "ADIR1", "ADIR2", "ADIR3"),
    *("IMAX", "IMAX1", "IMAX2", "IMAX3", "ISOUSC", "IRMS1", "IRMS2", "IRMS3"),
)
STATUS = (
    *(label for label in HISTORIC if label not in (*CONTRACT_OF, *CURRENTS, "PAPP")),
    *("ADSC", "VTIC", "NGTF", "LTARF", "PREF", "PCOUP", "STGE", "MSG1", "MSG2", "RELAIS", "NTARF"),
    *("NJOURF", "NJOURF+1", "PJOURF+1", "PPOINTE"),
)
METHODS = {"historic": 1, "standard": 2}
"""Mode → checksum method. Method 2 includes the separator before the checksum."""
ROUNDS = (1.0, 1.56, 2.44, 3.8, 5.94, 9.27, 14.46, 22.57, 35.24, 55.0)
"""Buckets of daemon-metrics in seconds: ten from 1 to 55, evenly spaced in their logarithm."""
UPDATE_INTERVAL_S = 1.0
MONTHLY = "monthly"
"""Value of the label `index` for the subscription."""

Sample: TypeAlias = tuple[str, Mapping[str, str], float]
"""Suffix, labels, value."""


class Settings(NamedTuple):
    """The settings that the page needs.

    Attributes:
        name: Name of the exporter, in the labels of `daemon_…`.
        namespace: First part of the families' names.
        interval: Seconds between two rounds.
        timestart: Unix time at which the contract began; 0: unknown.
        checksum_method: 1 or 2, as configured.
        monthly: Subscription in euros a month.
        rates: Label of a register → configured rate in euros.
    """

    name: str
    namespace: str
    interval: float
    timestart: float
    checksum_method: int
    monthly: Decimal
    rates: Mapping[str, Decimal]


def metrics_source(meter: Meter, books: BillingService, settings: Settings) -> MetricsSource:
    """Make the source of /metrics, in a running event loop: rounds are counted without scrapes too.

    Args:
        meter: The meter.
        books: The accounts, for the costs.
        settings: Settings of the replaced exporter.
    """
    page = Page(meter, books, settings)
    page.watching = asyncio.get_running_loop().create_task(page.watch())
    return MetricsSource(page.text, home_is_metrics=True)


class Page:
    """The page. `update` runs once a second, and before each scrape."""

    watching: asyncio.Task[None] | None = None

    def __init__(self, meter: Meter, books: BillingService, settings: Settings) -> None:
        meter.keeps_words = True
        self._meter, self._books, self._settings = meter, books, settings
        self._prefix = f"{settings.namespace}_" if settings.namespace else ""
        self._has_warned = False
        self._rounds = Rounds(meter.clock(), settings.interval)
        self._started_at = books.now()

    async def watch(self) -> None:
        """Update once a second until cancelled."""
        while True:
            self.update()
            await world.current.sleep(UPDATE_INTERVAL_S)

    def update(self) -> None:
        """Count the rounds, and compare the settings with the line."""
        self._rounds.note(self._meter.last_frame, self._meter.clock())
        self._compare_method()

    def _registers(self) -> dict[str, int]:
        """Return the accepted registers: label → watt-hours."""
        found = ((label, self._meter.value(*series)) for label, series in INDEXES.items())
        return {label: int(value) for label, value in found if value is not None}

    def _compare_method(self) -> None:
        mode = self._meter.value("smartmeter_info", "mode")
        if self._has_warned or mode is None or (right := METHODS[str(mode)]) == self._settings.checksum_method:
            return
        self._has_warned = True
        wrong = self._settings.checksum_method
        text = "linky.checksummethod is %d, but the line is in %s mode, whose method is %d: that one is used, nothing is lost"
        log.warning(text, wrong, mode, right)

    def text(self, openmetrics: bool = False) -> str:
        """Render the page; while the meter is silent, without its readings."""
        self.update()
        pieces = [*self._daemon(openmetrics), *self._linky(openmetrics), "# EOF\n" if openmetrics else ""]
        return "".join(pieces)

    def _daemon(self, openmetrics: bool) -> Iterator[str]:
        name, up, spoken = {"name": self._settings.name}, self._meter.up, bool(self._meter.counters.frames)
        states = {"items-ok": up, "items-ko": spoken and not up}
        yield family("daemon_config", "info", "", [("_info", name | {"version": __version__}, 1)], openmetrics)
        rounds = self._rounds.samples(name | {"status": "loop-time"}, self._started_at)
        yield family("daemon_time", "histogram", "", rounds, openmetrics)
        samples = [("", name | {"status": status}, float(value)) for status, value in states.items()]
        yield family("daemon", "gauge", "", samples, openmetrics)

    def _linky(self, openmetrics: bool) -> Iterator[str]:
        address = {"address": self._meter.address} if self._meter.address else None
        words = self._meter.words if address else {}
        power = self._meter.value(*POWER) if address else None
        for name, kind, text, samples in (
            ("index", "counter", "Cumulative energy consumption in Wh per tariff index", self._indexes(address)),
            ("ac_power", "gauge", "Apparent power in VA", [("", address or {}, float(power))] if power is not None else []),
            ("intensity", "gauge", "Current intensity in A", _currents(address or {}, words)),
            ("rate", "gauge", "Configured tariff rate in euros", self._rates(address)),
            ("cost", "counter", "Accumulated cost in euros per tariff index", self._billed(address)),
            ("status", "info", "Remaining TIC fields", _status(words)),
        ):
            yield family(self._prefix + name, kind, text, samples, openmetrics)

    def _indexes(self, address: Mapping[str, str] | None) -> Iterator[Sample]:
        for label, value in self._registers().items() if address else ():
            yield from _counter({**(address or {}), "index": label}, value, self._settings.timestart)

    def _rates(self, address: Mapping[str, str] | None) -> Iterator[Sample]:
        for index, rate in {**self._settings.rates, MONTHLY: self._settings.monthly}.items() if address else ():
            yield "", {**(address or {}), "index": index}, float(rate)

    def _billed(self, address: Mapping[str, str] | None) -> Iterator[Sample]:
        """Yield the costs, not before the registers are booked: a counter that is lower after a restart counts as reset.

        Energy that is not stored yet is booked again at the same price. A standing charge is shown once it is stored.
        """
        account, registers = self._books.account(self._meter.name), self._registers()
        if not (account and address and registers):
            return
        costs = {MONTHLY: account.kept.standing, **{index: account.totals.costs.get(index, 0) for index in registers}}
        for index, cost in costs.items():
            yield from _counter({**address, "index": index}, float(cost), account.began)


def _counter(labels: Mapping[str, str], value: float, created: float) -> Iterator[Sample]:
    yield "_total", labels, value
    if created:
        yield "_created", labels, created


def _currents(address: Mapping[str, str], words: Mapping[str, str]) -> Iterator[Sample]:
    for label in CURRENTS:
        if label in words:
            yield "", {**address, "label": label}, int(words[label])


def _status(words: Mapping[str, str]) -> list[Sample]:
    """Return one sample with a label for each field."""
    fields = {label.lower().replace("+", "_"): words[label].strip() for label in STATUS if label in words}
    return [("_info", fields, 1)] if fields else []


class Rounds:
    """The rounds of the original: every `interval` seconds, the time until the next frame."""

    def __init__(self, now: float, interval: float) -> None:
        self._begins, self._interval = now, interval
        self._counted = Histogram(ROUNDS)

    def note(self, last_frame: float, now: float) -> None:
        """End the current round if a frame has arrived; the next round begins at its time."""
        if last_frame < self._begins:
            return
        self._counted.observe(last_frame - self._begins)
        self._begins += max(1, -(-(now - self._begins) // self._interval)) * self._interval

    def samples(self, labels: Mapping[str, str], created: float) -> Iterator[Sample]:
        """Yield the samples of the histogram; none before the end of the first round."""
        if not self._counted.count:
            return
        for limit, count in self._counted.buckets():
            yield "_bucket", {**labels, "le": limit}, count
        yield "_count", labels, self._counted.count
        yield "_sum", labels, self._counted.sum
        yield "_created", labels, created


def family(name: str, kind: str, text: str, samples: Iterable[Sample], openmetrics: bool) -> str:
    """Render a family. Text 0.0.4 has no info type, and shows the start of a counter as a separate gauge."""
    found = list(samples)
    if openmetrics:
        return _header(name, kind, text) + "".join(_line(name, sample) for sample in found)
    created = [sample for sample in found if sample[0] == "_created"]
    pieces = [
        _header(name + {"counter": "_total", "info": "_info"}.get(kind, ""), "gauge" if kind == "info" else kind, text),
        *(_line(name, sample) for sample in found if sample[0] != "_created"),
        *([_header(f"{name}_created", "gauge", text)] if created else []),
        *(_line(name, sample) for sample in created),
    ]
    return "".join(pieces)


def _header(name: str, kind: str, text: str) -> str:
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n"


def _line(name: str, sample: Sample) -> str:
    suffix, texts, value = sample
    return f"{name}{suffix}{{{labels(texts)}}} {number(value)}\n"
