"""Captures: our simulator's with the page that each must give, and real ones read by the real command."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from make_captures import CAPTURES, FOLDER, page
from prometheus_client.parser import text_string_to_metric_families
from support.decoder_contract import cut
from support.tic_bytes import groups_of, is_text
from support.tic_frames import WINTER_EVENING, simulated, stream
from support.tic_values import DATED, NUMBERS

from meterline.meter.families import FAMILIES
from meterline.meter.meter import Meter
from meterline.meter.readings import Series
from meterline.protocols.tic.derived import readings
from meterline.protocols.tic.frames import Assembler, Decoder, Frame
from meterline.simulation.line import Faults

Accepted: TypeAlias = tuple[str, str | None, str]


class TestOurs:
    @pytest.mark.parametrize("name", CAPTURES)
    def test_a_capture_gives_exactly_its_page(self, name: str) -> None:
        data = (FOLDER / f"{name}.bin").read_bytes()
        assert page(data) == (FOLDER / f"{name}.prom").read_text(encoding="utf-8")

    @pytest.mark.parametrize("name", CAPTURES)
    def test_the_simulator_still_makes_the_capture(self, name: str) -> None:
        assert CAPTURES[name]() == (FOLDER / f"{name}.bin").read_bytes(), "run python tests/tic/make_captures.py, and review"

    @pytest.mark.parametrize("name", CAPTURES)
    def test_the_page_holds_the_last_value_of_every_number_that_was_sent(self, name: str) -> None:
        text = (FOLDER / f"{name}.prom").read_text(encoding="utf-8")
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        shown = {(sample.name, *sorted(sample.labels.items())): sample.value for sample in samples}
        assert len(shown) == len(samples) == len([line for line in text.splitlines() if not line.startswith("#")])
        expected = {
            (series[0], *sorted([("meter", "home"), *zip(FAMILIES[series[0]].labels, series[1:], strict=True)])): value
            for series, value in last_numbers((FOLDER / f"{name}.bin").read_bytes()).items()
        }
        assert len(expected) >= 5
        assert expected.items() <= shown.items()

    def test_there_is_no_capture_without_its_expectation(self) -> None:
        assert {file.name for file in FOLDER.iterdir()} == {f"{name}.{kind}" for name in CAPTURES for kind in ("bin", "prom")}

    def test_damage_adds_nothing_to_what_was_sent(self) -> None:
        sent = stream(simulated("standard", "HC", WINTER_EVENING), 40)
        for seed in range(5):
            faults = Faults(bit_errors=0.001, lost_bytes=0.001, seed=seed)
            arrived = groups_of(faults.damage(sent))
            assert len(arrived) > 500
            assert {group for group in arrived if not is_text(group)} <= set(groups_of(sent))


REFUSED: dict[str, dict[Accepted, str]] = {
    "hist-tri-ejp-openhab_cbetm": {
        ("ADCO", None, "XXXXXXXXXX"): "the publisher's mask, with a right checksum: an address has twelve digits",
    },
    "std-mono-base-tinfo_replay_stand_base_DAMAGED": {
        ("NGTF", None, "BASE"): "its publisher trimmed it: an even number of lost spaces leaves the checksum right",
        ("LTARF", None, "BASE"): "trimmed likewise",
        ("MSG1", None, "PAS DE MESSAGE"): "trimmed likewise",
    },
    "std-mono-producer-openhab": {
        ("NGTF", None, "PRODUCTEUR"): "trimmed likewise",
    },
}
"""Groups that an independent reader, which looks at the checksum alone, calls right, and why we refuse them all the same."""

RECOVERED: dict[str, set[Accepted]] = {
    "std-mono-tempo-ticmeter_debug_buffer_bad_DAMAGED": {
        ("EAST", None, "013585791"),
        ("EASF06", None, "000339533"),
        ("EASF02", None, "002270684"),
        ("EASF04", None, "000590067"),
    },
}
"""Whole groups whose CR arrived as another control character, so that the independent reader does not see where they end."""

NAMES = (
    "hist-mono-base-enedis_ticFrameHistoric",
    "hist-mono-hc-adps-linkey_SYNTH",
    "hist-mono-hc-pyteleinfo_conftest",
    "hist-mono-hc-teleinfod_trame_historique",
    "hist-mono-hc-tinfo_replay_histo_base",
    "hist-mono-tempo-pyteleinfo_captured_frames",
    "hist-tri-base-ticdecodecpp_3P_historical",
    "hist-tri-base-tinfo_replay_histo_base_tri",
    "hist-tri-ejp-openhab_cbetm",
    "hist-tri-hc-adir-gotests_SYNTH",
    "std-mono-base-ticdecodecpp_1P_standard",
    "std-mono-base-tinfo_replay_stand_base_DAMAGED",
    "std-mono-hc-enedis_ticFrameStandard",
    "std-mono-hc-enedis_ticFrameStandard_PCOUP_Invalid",
    "std-mono-producer-openhab",
    "std-mono-producer-teleinfod_trame_standard",
    "std-mono-tempo-red-linkytic_pr19",
    "std-mono-tempo-ticmeter_debug_buffer_bad_DAMAGED",
    "std-tri-base-tinfo_replay_stand_base_tri",
    "std-tri-tempo-teleinfo_nom_message_standard",
)


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    path = shared / "captures" / "tic"
    if not path.is_dir():
        pytest.skip("no captures/tic/ in the shared folder")
    return path


@cache
def decoded(capture: Path) -> tuple[list[dict[str, Any]], str]:
    """What the command prints, and what it complains of."""
    done = subprocess.run(
        [sys.executable, "-m", "meterline", "decode", str(capture)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def frames_of(data: bytes) -> Iterator[Frame]:
    decoder, assembler = Decoder(), Assembler()
    for piece in cut(data, 100):
        yield from assembler.feed(decoder.feed(piece))
    if frame := assembler.close():
        yield frame


def last_numbers(data: bytes) -> dict[Series, int]:
    """The last number that was sent for each series, by the tables of the label tests."""
    found: dict[Series, int] = {}
    for label, timestamp, number in groups_of(data):
        if label in NUMBERS:
            _, series, unit = NUMBERS[label]
            found[series] = int(number) * unit
        elif label in DATED:
            _, series, when = DATED[label]
            found |= {series: int(number), when: unix(timestamp or "")}
    return found


def unix(timestamp: str) -> int:
    offset = timezone(timedelta(hours={"H": 1, "E": 2}[timestamp[0].upper()]))
    return int(datetime.strptime(timestamp[1:], "%y%m%d%H%M%S").replace(tzinfo=offset).timestamp())


def test_every_real_capture_is_tested(folder: Path) -> None:
    assert sorted(file.name.removesuffix(".bin") for file in folder.glob("*.bin")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
class TestReal:
    def test_the_command_accepts_exactly_what_an_independent_reader_does(self, folder: Path, name: str) -> None:
        lines, complaints = decoded(folder / f"{name}.bin")
        assert complaints == ""
        for line in lines:
            assert set(line) in ({"label", "timestamp", "data"}, {"rejected", "data"})
        accepted = [(line["label"], line["timestamp"], line["data"]) for line in lines if "label" in line]
        expected = json.loads((folder / f"{name}.bin.expected.json").read_text(encoding="utf-8"))["groups"]
        right = [(label, timestamp, data) for label, timestamp, data, verdict in expected if verdict == "ok"]
        refused = REFUSED.get(name, {})
        assert refused.keys() <= set(right)
        expected_here = [group for group in right if group not in refused]
        assert Counter(accepted) - Counter(expected_here) == Counter(RECOVERED.get(name, ()))
        rest = iter(accepted)
        assert [group for group in expected_here if group not in rest] == []  # each of them, in its order

    def test_every_refusal_is_reported(self, folder: Path, name: str) -> None:
        lines, _ = decoded(folder / f"{name}.bin")
        reported = Counter(line["data"] for line in lines if line.get("rejected") == "malformed")
        for label, timestamp, data in REFUSED.get(name, {}):
            assert timestamp is None
            assert any(label in body and data in body for body in reported)

    def test_the_last_value_of_every_number_that_was_sent_is_shown(self, folder: Path, name: str) -> None:
        data = (folder / f"{name}.bin").read_bytes()
        meter = Meter("home", clock=lambda: 0.0)
        for frame in frames_of(data):
            meter.take(readings(frame), timed=False)
        expected = last_numbers(data)
        assert len(expected) >= 5
        assert {series: meter.value(*series) for series in expected} == expected
        assert meter.counters.rejected["implausible"] == 0

    def test_the_total_is_the_sum_of_its_registers(self, folder: Path, name: str) -> None:
        meter = Meter("home", clock=lambda: 0.0)
        for frame in frames_of((folder / f"{name}.bin").read_bytes()):
            meter.take(readings(frame), timed=False)
        total = meter.value("smartmeter_energy_import_watthours_total")
        registers = meter.text.blocks.get("smartmeter_energy_import_tariff_watthours_total", "").splitlines()
        if total is not None and len(registers) in (1, 2, 6, 10):  # none was lost to damage
            assert sum(float(line.rpartition(" ")[2]) for line in registers) == total


def test_the_white_day_announced_by_a_red_one_is_white_though_its_profile_is_blue(folder: Path) -> None:
    meter = Meter("home", clock=lambda: 0.0)
    for frame in frames_of((folder / "std-mono-tempo-red-linkytic_pr19.bin").read_bytes()):
        assert frame.groups["PJOURF+1"].data.startswith("00004001 06004002 22004001")
        meter.take(readings(frame))
    assert [meter.value("smartmeter_tempo_colour", colour, "tomorrow") for colour in ("blue", "white", "red")] == [0, 1, 0]
    assert [meter.value("smartmeter_tempo_colour", colour, "today") for colour in ("blue", "white", "red")] == [0, 0, 1]


def test_what_is_no_capture_of_a_meter_is_an_error_and_what_is_rejected_is_shown_on_request(tmp_path: Path) -> None:
    (tmp_path / "noise.bin").write_bytes(b"\xff\x00" * 500)
    words = [sys.executable, "-m", "meterline", "decode", "--protocol", "tic", str(tmp_path / "noise.bin")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert {json.loads(line)["rejected"] for line in done.stdout.splitlines()} == {"malformed"}
    assert "not a capture of a meter: no data of tic" in done.stderr
