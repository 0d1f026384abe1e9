"""The drop-in for the Linky exporter of a JSON file: its page, its settings, its costs, its defects mended."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from support.live_meters import LIMIT, fake, fetch, free_port, line, talking

from meterline import __version__
from meterline.billing.billing import BillingService
from meterline.billing.meter_account import SURE_AFTER
from meterline.billing.tariff import Period, Standing, Tariffs
from meterline.compat.linky_json import KEYS, adapt
from meterline.compat.linky_json_page import MONTHLY, ROUNDS, Page, Settings
from meterline.errors import UserError
from meterline.meter.meter import Meter
from meterline.meter.readings import Snapshot
from meterline.protocols.tic import Options
from meterline.protocols.tic.derived import readings
from meterline.protocols.tic.frames import Assembler, Decoder, Group, encode_frame
from meterline.store import State

SCRIPT = str(Path(sys.executable).with_name("linky-exporter"))
OPENMETRICS = "application/openmetrics-text;version=1.0.0"
ADDRESS = "042175000001"
COSTS = r"_cost_total\{"
A_DAY_IN_2026 = 1_775_000_000.0

SEED = """{
  "device": "/dev/serial0",
  "baudrate": 1200,
  "loop": {
    "interval": 240
  },
  "contract": {
    "monthlyrate": 15.48,
    "timestart": 0.0
  },
  "indexwhrates": {
    "BASE": 0.2516,
    "HCHC": 0.2068,
    "HCHP": 0.2700
  },
  "prometheus": {
    "port": 9100,
    "namespace": "linky"
  },
  "linky": {
    "checksummethod": 1
  },
  "logging": {
    "level": "WARNING"
  }
}
"""
"""The example of the original's README."""
SEED_TABLE = {
    # parameter: (default, another value as a variable)
    "device": ("/dev/serial0", "tcp://192.0.2.1:2000"),
    "baudrate": ("1200", "9600"),
    "name": ("linky-exporter", "cave"),
    "loop.interval": ("240", "60"),
    "contract.monthlyrate": ("0", "15.48"),
    "contract.timestart": ("0", "1735686000"),
    "indexwhrates.BASE": ("0", "0.2516"),
    "prometheus.port": ("9100", "0"),
    "prometheus.namespace": ("linky", "maison"),
    "linky.checksummethod": ("1", "2"),
    "logging.level": ("WARNING", "fatal"),
}
SEED_METRICS = {
    "linky_index_total": ("counter", {"address", "index"}),
    "linky_ac_power": ("gauge", {"address"}),
    "linky_intensity": ("gauge", {"address", "label"}),
    "linky_rate": ("gauge", {"address", "index"}),
    "linky_cost_total": ("counter", {"address", "index"}),
    "linky_status_info": ("gauge", {"adco", "hhphc", "motdetat", "optarif", "ptec"}),
    # of daemon-metrics 1.0.1
    "daemon_config_info": ("gauge", {"name", "version"}),
    "daemon": ("gauge", {"name", "status"}),
    "daemon_time_count": ("histogram", {"name", "status"}),
}


def clean(folder: Path, **more: str) -> dict[str, str]:
    """The environment without what might set up either program."""
    known = {key.upper().replace(".", "_") for key in KEYS}
    kept = {name: value for name, value in os.environ.items() if name not in known and not name.startswith("LINKY_")}
    return kept | {"XDG_STATE_HOME": str(folder / "state")} | more


@asynccontextmanager
async def exporter(folder: Path, *words: str, **more: str) -> AsyncIterator[subprocess.Popen[bytes]]:
    """The console script while it runs; what it logs is in `log`."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([SCRIPT, *words], env=clean(folder, **more), stderr=log)  # noqa: ASYNC220
    try:
        yield process
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, LIMIT)


async def page(port: int, wanted: str, gone: bool = False, **headers: str) -> str:
    deadline = time.monotonic() + LIMIT
    while True:
        try:
            text = (await asyncio.to_thread(fetch, f"http://127.0.0.1:{port}/metrics", **headers))[2].decode()
            if bool(re.search(wanted, text)) != gone:
                return text
        except OSError:
            pass
        assert time.monotonic() < deadline, text
        await asyncio.sleep(0.05)


def pasted(folder: Path, device: str, port: int, **more: object) -> str:
    """The original's own file, with what a user has to change."""
    text = SEED.replace('"/dev/serial0"', json.dumps(device)).replace("9100", str(port))
    path = folder / "linky-exporter.json"
    path.write_text(json.dumps(json.loads(text) | more) if more else text)
    return str(path)


def values(text: str) -> dict[tuple[str, ...], float]:
    """Samples: (name, label values …) → value."""
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {(sample.name, *(text for _, text in sorted(sample.labels.items()))): sample.value for sample in samples}


def snapshot(**groups: str) -> Snapshot:
    (frame,) = Assembler().feed(Decoder().feed(encode_frame(Group(label, None, data) for label, data in groups.items())))
    return readings(frame)


HISTORIC = {"ADCO": ADDRESS, "OPTARIF": "BASE", "ISOUSC": "30", "PTEC": "TH..", "IINST": "002", "IMAX": "090", "PAPP": "00420"}


def base(register: int, **more: str) -> Snapshot:
    return snapshot(**{**HISTORIC, "HHPHC": "A", "MOTDETAT": "000000", "BASE": f"{register:09d}"} | more)


def drop(path: Path, text: str = SEED, **environment: str) -> Any:
    path.write_text(text)
    return adapt(("--config", str(path)), environment)


class Stage:
    """A page without a program: a meter and costs whose clocks the test turns."""

    def __init__(self, **changed: Any) -> None:
        self.now = 0.0
        self.meter = Meter("m", clock=lambda: self.now)
        rates = {"BASE": Decimal("0.2516")}
        settings = Settings("linky-exporter", "linky", 240.0, 0.0, 1, Decimal("15.48"), rates)._replace(**changed)
        self.books = BillingService(State(), lambda: A_DAY_IN_2026 + self.now)
        contract = Period(date(1970, 1, 1), registers=rates, standing=Standing(settings.monthly, "month"))
        self.books.open(self.meter, Tariffs("EUR", (contract,)), "Europe/Paris", by_tariff=True)
        self.page = Page(self.meter, self.books, settings)

    def take(self, *snapshots: Snapshot, every: float = 1.0) -> None:
        for item in snapshots:
            self.now += every
            self.meter.take(item)
            self.books.take(self.meter, item)
            self.books.keep()
            self.page.update()

    def values(self) -> dict[tuple[str, ...], float]:
        return values(self.page.text())


# The script, the seed's file, and its metrics


def test_the_seeds_own_file_serves_every_row_of_its_table_in_both_formats(tmp_path: Path) -> None:
    port = free_port()

    async def test() -> tuple[str, str]:
        async with talking(fake()) as device, exporter(tmp_path, f"--config={pasted(tmp_path, device, port)}"):
            await page(port, "daemon_time_count.* 1")
            return await page(port, COSTS), await page(port, COSTS, Accept=OPENMETRICS)

    text, openmetrics = asyncio.run(test())
    found = {sample.name: (family.type, sample) for family in text_string_to_metric_families(text) for sample in family.samples}
    for name, (kind, labels) in SEED_METRICS.items():
        assert (found[name][0], set(found[name][1].labels)) == (kind, labels), name
    shown = values(text)
    assert {key[2] for key in shown if key[0] == "linky_index_total"} == {"HCHC", "HCHP"}
    assert {key[2] for key in shown if key[0] == "linky_intensity"} == {"IINST", "IMAX", "ISOUSC"}
    assert shown["linky_rate", ADDRESS, "HCHP"] == 0.27
    assert shown["linky_rate", ADDRESS, MONTHLY] == 15.48
    assert {key[2] for key in shown if key[0] == "linky_cost_total"} == {"HCHC", "HCHP", MONTHLY}
    assert shown["daemon", "linky-exporter", "items-ok"] == 1
    assert shown["daemon", "linky-exporter", "items-ko"] == 0
    assert "linky_index_created" not in text
    assert not re.search("^(process|python)_", text, re.MULTILINE)
    types = {family.name: family.type for family in openmetrics_families(openmetrics)}
    assert (types["linky_index"], types["linky_status"], types["daemon_time"]) == ("counter", "info", "histogram")
    log = (tmp_path / "log").read_text()
    assert log.count("taken as euros per kWh") == 1
    assert "checksum" not in log


def test_variables_alone_set_it_up_and_a_wrong_checksum_method_loses_no_frame(tmp_path: Path) -> None:
    port = free_port()

    async def test() -> str:
        more = {"DEVICE": "", "INDEXWHRATES_BASE": "0.0002516", "PROMETHEUS_PORT": str(port), "LINKY_CHECKSUMMETHOD": "2"}
        more |= {"CONTRACT_TIMESTART": "1735686000.0", "PROMETHEUS_NAMESPACE": "maison", "NAME": "cave"}
        async with talking(fake(contract="BASE")) as device, exporter(tmp_path, **more | {"DEVICE": device}):
            return await page(port, COSTS)

    shown = values(asyncio.run(test()))
    assert shown["maison_index_created", ADDRESS, "BASE"] == 1735686000
    assert shown["maison_rate", ADDRESS, "BASE"] == 0.0002516
    assert ("maison_ac_power", ADDRESS) in shown
    assert ("daemon", "cave", "items-ok") in shown
    assert not any(key[0].startswith("linky_") for key in shown)
    log = (tmp_path / "log").read_text()
    assert log.count("linky.checksummethod is 2, but the line is in historic mode, whose method is 1") == 1
    assert "BASE: taken as euros per Wh" in log


def test_costs_after_a_kill_are_those_of_one_run_without_it(tmp_path: Path) -> None:
    port = free_port()
    sent, killed_at, last = [1_000_000], 1_000_010, 1_000_020

    async def test() -> str:
        async with line() as (device, write):

            async def send() -> None:
                while True:
                    groups = HISTORIC | {"HHPHC": "A", "MOTDETAT": "000000", "BASE": f"{sent[0]:09d}"}
                    write(encode_frame(Group(label, None, data) for label, data in groups.items()))
                    await asyncio.sleep(0.1)

            sending = asyncio.create_task(send())
            words = f"--config={pasted(tmp_path, device, port)}"
            async with exporter(tmp_path, words) as process:
                assert values(await page(port, COSTS))["linky_cost_total", ADDRESS, "BASE"] == 0
                sent[0] += 1
                await page(port, "linky_cost_total.*BASE.* 0.0002516")
                process.send_signal(signal.SIGKILL)
                await asyncio.to_thread(process.wait, LIMIT)
            sent[0] = killed_at
            async with exporter(tmp_path, words):
                await page(port, "linky_cost_total.*BASE.* 0.002516\n")
            sent[0] = last
            async with exporter(tmp_path, words):
                text = await page(port, r"linky_cost_total.*BASE.* 0\.005032\n")
            sending.cancel()
            return text

    assert values(asyncio.run(test()))["linky_cost_total", ADDRESS, "BASE"] == float(Decimal("0.0002516") * 20)


# The page


def test_three_phases_and_overload_have_their_own_currents() -> None:
    def shown(**groups: str) -> dict[str, float]:
        stage = Stage()
        stage.take(snapshot(**groups))
        return {key[2]: value for key, value in stage.values().items() if key[0] == "linky_intensity"}

    three = {f"IINST{n}": f"00{n}" for n in "123"} | {f"IMAX{n}": "060" for n in "123"}
    assert shown(ADCO=ADDRESS, **three) == {label: float(data) for label, data in three.items()}
    assert shown(ADIR1="040", ADCO=ADDRESS, IINST1="040", IINST2="001", IINST3="000")["ADIR1"] == 40
    assert shown(**HISTORIC, ADPS="031") == {"IINST": 2, "ADPS": 31, "IMAX": 90, "ISOUSC": 30}


def test_standard_mode_shows_supplier_indexes_currents_and_power() -> None:
    simulated, stage = fake("standard", "TEMPO", phases=3), Stage(checksum_method=2)
    simulated.advance(1_750_000_000)
    for frame in Assembler().feed(Decoder().feed(simulated.frame())):
        stage.take(readings(frame))
    shown = stage.values()
    assert {key[2] for key in shown if key[0] == "linky_index_total"} == {f"EASF{n:02d}" for n in range(1, 11)}
    assert {key[2] for key in shown if key[0] == "linky_intensity"} == {"IRMS1", "IRMS2", "IRMS3"}
    assert ("linky_ac_power", simulated.address) in shown
    text = stage.page.text()
    assert 'ngtf="TEMPO"' in text
    assert "prm=" not in text
    assert f'njourf_1="00",ntarf="{simulated.index:02d}"' in text


def test_after_silence_the_meters_series_vanish_and_rates_stay() -> None:
    stage = Stage()
    stage.take(*[base(1_000_000)] * 5)
    stage.now += 11
    names = {key[0] for key in stage.values()}
    assert {name for name in names if name.startswith("linky_")} == {"linky_rate"}
    assert stage.values()["daemon", "linky-exporter", "items-ko"] == 1
    stage.take(*[base(1_000_000)] * 2)
    assert ("linky_cost_total", ADDRESS, "BASE") in stage.values()


def test_a_register_that_is_not_believed_is_neither_shown_nor_billed() -> None:
    stage = Stage()
    stage.take(*[base(1_000_000)] * 5, base(901_000_000))
    shown = stage.values()
    assert shown["linky_index_total", ADDRESS, "BASE"] == 1_000_000
    assert shown["linky_cost_total", ADDRESS, "BASE"] == 0


def test_rounds_last_until_the_next_frame_and_come_every_interval() -> None:
    stage = Stage(interval=60.0)
    stage.take(*[base(1_000_000)] * 130)
    shown = stage.values()
    assert shown["daemon_time_count", "linky-exporter", "loop-time"] == 3
    assert shown["daemon_time_sum", "linky-exporter", "loop-time"] == 1
    assert [key[1] for key in shown if key[0] == "daemon_time_bucket"] == [*map(str, ROUNDS), "+Inf"]


def reference(stage: Stage) -> CollectorRegistry:
    """The same values in prometheus_client: daemon-metrics' declarations, and a collector for the meter's."""
    registry, name = CollectorRegistry(), "linky-exporter"
    Info("daemon_config", "", ["name"], registry=registry).labels(name).info({"version": __version__})
    rounds = HistogramMetricFamily("daemon_time", "", labels=["name", "status"])
    buckets = [*((str(limit), 1) for limit in ROUNDS), ("+Inf", 1)]
    rounds.add_metric([name, "loop-time"], buckets, 1.0)
    rounds.add_sample("daemon_time_created", {"name": name, "status": "loop-time"}, A_DAY_IN_2026)

    index = CounterMetricFamily(
        "linky_index", "Cumulative energy consumption in Wh per tariff index", labels=["address", "index"]
    )
    index.add_metric([ADDRESS, "BASE"], 1_000_000, created=1735686000.0)
    power = GaugeMetricFamily("linky_ac_power", "Apparent power in VA", labels=["address"])
    power.add_metric([ADDRESS], 420)
    amperes = GaugeMetricFamily("linky_intensity", "Current intensity in A", labels=["address", "label"])
    for label, value in {"IINST": 2, "IMAX": 90, "ISOUSC": 30}.items():
        amperes.add_metric([ADDRESS, label], value)
    rate = GaugeMetricFamily("linky_rate", "Configured tariff rate in euros", labels=["address", "index"])
    rate.add_metric([ADDRESS, "BASE"], 0.2516)
    rate.add_metric([ADDRESS, MONTHLY], 15.48)
    cost = CounterMetricFamily("linky_cost", "Accumulated cost in euros per tariff index", labels=["address", "index"])
    for name_, billed in {MONTHLY: 0.516, "BASE": 0.0}.items():
        cost.add_metric([ADDRESS, name_], billed, created=A_DAY_IN_2026 + SURE_AFTER)
    status = InfoMetricFamily("linky_status", "Remaining TIC fields")
    fields = {"adco": ADDRESS, "optarif": "BASE", "ptec": "TH..", "hhphc": "A", "motdetat": "000000"}
    status.add_metric([], fields)

    class Given(Collector):
        def __init__(self, families: Iterable[Metric]) -> None:
            self.families = families

        def collect(self) -> Iterable[Metric]:
            return self.families

    registry.register(Given([rounds]))
    daemon = Gauge("daemon", "", ["name", "status"], registry=registry)
    daemon.labels(name, "items-ok").set(1)
    daemon.labels(name, "items-ko").set(0)
    registry.register(Given([index, power, amperes, rate, cost, status]))
    return registry


def test_the_page_is_what_prometheus_client_prints_of_the_same_values_byte_for_byte() -> None:
    stage = Stage(timestart=1735686000.0)
    stage.take(*[base(1_000_000)] * (SURE_AFTER + 2))
    registry = reference(stage)
    assert stage.page.text() == generate_latest(registry).decode()
    assert stage.page.text(openmetrics=True) == generate_openmetrics(registry).decode()


def test_a_page_without_a_meter_is_what_prometheus_client_prints_of_metrics_without_values() -> None:
    registry, two = CollectorRegistry(), ["address", "index"]
    Histogram("daemon_time", "", ["name", "status"], registry=registry)
    Counter("linky_index", "Cumulative energy consumption in Wh per tariff index", two, registry=registry)
    Info("linky_status", "Remaining TIC fields", ["any"], registry=registry)
    text, openmetrics = Stage().page.text(), Stage().page.text(openmetrics=True)
    for headers in re.findall("# HELP.*\n# TYPE.*\n", generate_latest(registry).decode()):
        assert headers in text
    for headers in re.findall("# HELP.*\n# TYPE.*\n", generate_openmetrics(registry).decode()):
        assert headers in openmetrics


# The settings


def test_defaults_are_those_of_the_readme_and_its_default_file_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meterline.compat.linky_exporter.JSON_FILE", "/nowhere/linky-exporter.json")
    found = adapt((), {})
    (meter,) = found.config.meters
    assert (meter.link, meter.name, found.address, found.level) == ("/dev/serial0", "linky-exporter", ":9100", "warn")
    assert meter.options == Options(baud=1200)
    assert found.taken[0] == "/nowhere/linky-exporter.json: not there"
    for key, (default, _) in SEED_TABLE.items():
        assert str(KEYS[key].default) == default
        assert key.startswith("indexwhrates.") or f"{key}={default} (default)" in found.taken
    assert {index for key in KEYS if (index := key.removeprefix("indexwhrates.")) != key} >= {
        *("BASE", "HCHC", "HCHP", "EJPHN", "EJPHPM"),
        *(f"BBR{hours}J{day}" for hours in ("HC", "HP") for day in "BWR"),
    }


@pytest.mark.parametrize("key", [*SEED_TABLE, "rateunit"])
def test_every_parameter_of_the_table_is_overridden_by_its_variable(key: str, tmp_path: Path) -> None:
    value = SEED_TABLE.get(key, ("", "wh"))[1]
    variable = key.upper().replace(".", "_")
    found = drop(tmp_path / "x.json", **{variable: value})
    (taken,) = [line for line in found.taken if line.startswith(f"{key}=")]
    assert taken.lower() == f"{key}={value} (variable {variable})".lower()
    blank = drop(tmp_path / "x.json", **{variable: "  "})
    assert not any("variable" in line for line in blank.taken)


def test_the_adapter_says_what_would_do_the_same_and_takes_links_of_ours(tmp_path: Path) -> None:
    found = drop(tmp_path / "x.json", SEED.replace("/dev/serial0", "tcp://bridge:2000").replace("WARNING", "Debug"))
    assert "    link: tcp://bridge:2000\n    protocol: tic\n    options: {baud: 1200}\n" in found.native
    assert found.level == "debug"
    (advice,) = found.advice
    assert advice.startswith("indexwhrates: BASE, HCHC, HCHP: taken as euros per kWh")
    assert not drop(tmp_path / "x.json", RATEUNIT="kWh").advice


def test_an_unknown_key_is_one_warning_that_names_it(tmp_path: Path) -> None:
    path, text = tmp_path / "x.json", SEED.replace('"interval"', '"intervall"').replace('"device"', '"devices"')
    unknown = [line for line in drop(path, text, INDEXWHRATES_BASS="1").advice if "unknown" in line]
    assert len(unknown) == 3
    assert unknown[0].startswith(f"{path}: devices: unknown key, not used; known: device, ")
    assert unknown[1] == f"{path}: loop.intervall: unknown key, not used; known: loop.interval"
    assert unknown[2].startswith("INDEXWHRATES_BASS: unknown index")


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ({"device": "ttyUSB0"}, "device: "),
        ({"device": None}, "device: expected text, found null"),
        ({"baudrate": "1200"}, "baudrate: expected a number"),
        ({"baudrate": 1201}, "baudrate: 1201 is not allowed"),
        ({"loop": 240}, "loop: expected keys"),
        ({"loop": {"interval": 0}}, "loop.interval: 0 is not allowed"),
        ({"indexwhrates": {"BASE": True}}, "indexwhrates.BASE: expected a number, found true"),
        ({"indexwhrates": {"BASE": -0.1}}, "indexwhrates.BASE: -0.1 is not allowed"),
        ({"prometheus": {"port": 65536}}, "prometheus.port: 65536 is not allowed"),
        ({"prometheus": {"port": 91.5}}, "prometheus.port: 91.5 is not allowed"),
        ({"prometheus": {"namespace": "my linky"}}, 'prometheus.namespace: "my linky" is not allowed'),
        ({"linky": {"checksummethod": 3}}, "linky.checksummethod: 3 is not allowed"),
        ({"logging": {"level": "LOUD"}}, 'logging.level: "LOUD" is not known'),
        ({"rateunit": "MWh"}, 'rateunit: "MWh" is not known'),
        ({"contract": {"timestart": "2025-01-01"}}, "contract.timestart: expected a number"),
        ([1], "expected keys and values"),
        ("[1", "line 1: not JSON"),
        ('{"loop": {"interval": NaN}}', "not JSON: NaN"),
        ("[" * 100_000, "not JSON: "),
        ('{"baudrate": 1e99999999999999999999}', "not JSON: "),
        ("\udcff", "not a text file"),
    ],
)
def test_what_is_wrong_in_the_file_is_one_line_with_file_key_and_reason(document: object, where: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    text = document if isinstance(document, str) else json.dumps(document)
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(UserError) as caught:
        adapt((f"--config={path}",), {})
    assert str(caught.value).startswith(f"{path}: {where}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "environment", "start"),
    [
        (["--config", "/nowhere/x.json"], {}, "/nowhere/x.json: No such file"),
        (["--config", "/"], {}, "/: Is a directory"),
        (["--config"], {}, "--config: needs a file"),
        (["--config", "/dev/null", "more"], {}, "'more': not known"),
        ([], {"PROMETHEUS_PORT": "http"}, 'PROMETHEUS_PORT: expected a number, found "http"'),
        ([], {"PROMETHEUS_PORT": "65536"}, "PROMETHEUS_PORT: 65536 is not allowed"),
        ([], {"PROMETHEUS_PORT": "1", "INDEXWHRATES_BASE": "0,25"}, 'INDEXWHRATES_BASE: expected a number, found "0,25"'),
    ],
)
def test_an_error_ends_the_program_with_status_2_and_one_line(
    words: list[str], environment: dict[str, str], start: str, tmp_path: Path
) -> None:
    answer = subprocess.run(
        [SCRIPT, *words], env=clean(tmp_path, **environment), capture_output=True, text=True, check=False, timeout=LIMIT
    )
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
    assert answer.stderr.startswith(f"linky-exporter: {start}")
