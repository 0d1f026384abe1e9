"""A report for strangers: whatever names the household, opens its meter or names its machine is not in it."""

from __future__ import annotations

import asyncio
import io
import re
import socket
import time
import zipfile
from pathlib import Path

import pytest
from support.live_meters import command, free_port, program, shows

from meterline.cli.arguments import parser
from meterline.cli.doctor import doctor
from meterline.config.labels import Labels
from meterline.config.schema import Config, MeterConfig
from meterline.diagnostics import report as bundle
from meterline.diagnostics.link_check import Case
from meterline.diagnostics.running_instance import Instance
from meterline.meter.families import CATALOGUE, LABELS, privacy
from meterline.protocols import broute, tic
from meterline.protocols.api import ok
from meterline.protocols.broute.simulator.commands import FakeMeter, FakeModule
from meterline.protocols.broute.skstack import link_local
from meterline.protocols.tic.speed_probe import SpeedProbe
from meterline.simulation import responder


def files(path: Path | io.BytesIO) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as report:
        return {name: report.read(name) for name in report.namelist()}


def everything(path: Path) -> str:
    """Every byte of the report, packed and unpacked, names of its files too."""
    unpacked = files(path)
    return "\n".join([*unpacked, *(data.decode("latin-1") for data in [path.read_bytes(), *unpacked.values()])]).upper()


def report(config: Config, own: Instance | None = None, *cases: Case) -> dict[str, bytes]:
    file = io.BytesIO()
    bundle.write(file, config, [ok("fine")], list(cases), own)
    return files(file)


def test_a_report_holds_nothing_of_a_french_household(tmp_path: Path) -> None:
    link, out, config = tmp_path / "Dupont-meter", tmp_path / "report.zip", tmp_path / "meterline.yml"
    config.write_text(f"meters: [{{name: Dupont, link: '{link}', protocol: tic, options: {{prm: true, baud: 9600}}}}]")
    with program("simulate", "tic", "--mode", "standard", "--seed", "987654", "--pty", str(link)) as simulator:
        assert simulator.stdout
        simulator.stdout.readline()
        port = f"127.0.0.1:{free_port()}"
        answer = command(
            "doctor", "--config.file", str(config), "--seconds", "3", "--bundle", str(out), "--web.listen-address", port
        )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert answer.stderr == f"{out}: written; read its files before you send it\n"
    text = everything(out)
    for secret in ("987654", "DUPONT", str(link).upper(), str(tmp_path).upper()):
        assert secret not in text, secret
    found = files(out)
    for name, data in found.items():
        assert not re.search(rf"\b{re.escape(socket.gethostname())}\b", data.decode()), name
    assert sorted(found) == ["configuration.txt", "findings.txt", "link1.bin", "versions.txt"]
    assert b"ADSC\t042175000000\t" in found["link1.bin"]
    assert b"PRM\t00000000000000\t" in found["link1.bin"]
    assert b"baud: 9600" in found["configuration.txt"]
    assert b"groups, none damaged" in found["findings.txt"]
    assert found["versions.txt"].startswith(b"meterline ")
    assert b"\ntornado " in found["versions.txt"]


def test_a_report_holds_nothing_of_a_japanese_household(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meterline.protocols.broute.diagnose._has_a_clock", lambda meter: meter.counters.frames > 2)
    link, out, config = tmp_path / "tanaka", tmp_path / "report.zip", tmp_path / "meterline.yml"
    meter, seed = FakeMeter(number=0x4321), 0x4321
    options = f"{{id: '{meter.id}', password: '{meter.password}', interval: 10}}"
    config.write_text(f"meters: [{{name: Tanaka, link: '{link}', protocol: broute, options: {options}}}]")
    words = ["doctor", "--config.file", str(config), "--bundle", str(out), "--web.listen-address", f"127.0.0.1:{free_port()}"]

    async def test() -> int:
        module = FakeModule([meter], haste=100.0, seed=seed, start_unix=time.time())
        async with responder.on_pty(module, str(link)):
            return await asyncio.to_thread(doctor, parser().parse_args(words))

    assert asyncio.run(test()) == 0
    assert b"lets us in and answers" in files(out)["findings.txt"]
    text = everything(out)
    own = FakeModule([meter], seed=seed).mac
    for secret in (
        meter.id,
        meter.password,
        meter.pairing_id,
        meter.mac,
        own,
        link_local(meter.mac),
        link_local(own),
        "Tanaka",
    ):
        assert secret.upper() not in text, secret
    for secret in (meter.id, meter.password):
        assert secret.encode().hex().upper() not in text
    assert f"{meter.pan_id:04X}" not in files(out)["link1.bin"].decode("latin-1")
    assert b"EPANDESC" in files(out)["link1.bin"]
    assert b"password: (masked)" in files(out)["configuration.txt"]


def test_a_running_instance_gives_its_page_without_the_household(tmp_path: Path) -> None:
    link, out, config = tmp_path / "meter", tmp_path / "report.zip", tmp_path / "meterline.yml"
    config.write_text(f"meters: [{{name: Dupont, link: '{link}', protocol: tic, options: {{prm: true}}}}]")
    with program("simulate", "tic", "--mode", "standard", "--seed", "987654", "--pty", str(link)) as simulator:
        assert simulator.stdout
        simulator.stdout.readline()
        port = free_port()
        serving = ("--web.listen-address", f"127.0.0.1:{port}")
        with program("run", "--config.file", str(config), *serving):
            shows(port, 'prm="00000000987654"')
            shows(port, 'address="042175987654"')
            answer = command("doctor", "--config.file", str(config), "--bundle", str(out), *serving)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "in use by the running meterline, as expected" in answer.stdout
    assert "; online" in answer.stdout
    text = everything(out)
    for secret in ("987654", "DUPONT"):
        assert secret not in text
    metrics = files(out)["metrics.txt"].decode()
    assert 'smartmeter_up{meter="meter1"} 1.0' in metrics
    assert 'address="(masked)"' in metrics
    assert 'prm="(masked)"' in metrics
    assert 'mode="standard"' in metrics
    assert "process_resident_memory_bytes" in metrics


def test_a_setting_that_nobody_called_harmless_is_masked() -> None:
    options = broute.Options(id="0" * 31 + "F", password="0123456789AB", mac="00142244556677AA", channel="31", pan_id="77AA")
    shown = report(Config((MeterConfig("tokyo", "tcp://nas.tanaka.example:2000", "broute", options, 60.0),)))[
        "configuration.txt"
    ]
    assert shown.decode().splitlines() == [
        "meter1:",
        "  link: tcp:(masked)",
        "  protocol: broute",
        "  stale_after: 60.0",
        "  id: (masked)",
        "  password: (masked)",
        "  interval: 30.0",
        "  channel: 31",
        "  pan_id: (masked)",
        "  mac: (masked)",
    ]


def test_an_option_that_is_masked_and_switched_on_leaves_the_word_true_in_the_findings() -> None:
    case = Case("/dev/x", (MeterConfig("home", "/dev/x", "tic", tic.Options(prm=True)),))
    case.find(ok("it is true"))
    shown = report(Config(case.meters), None, case)
    assert b"  prm: (masked)\n" in shown["configuration.txt"]
    assert b"it is true" in shown["findings.txt"]


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("/dev/ttyUSB0", "/dev/ttyUSB0"),
        ("/dev/serial0", "/dev/serial0"),
        ("/dev/serial/by-id/usb-FTDI_FT230X_D307PBVT-if00-port0", "/dev/serial/by-id/(masked)"),
        ("/dev/meterline-D307PBVT", "/dev/(masked)"),
        ("file:/home/alice/x.bin", "file:(masked)"),
        ("/home/alice/meter", "/(masked)"),
    ],
)
def test_a_report_shows_only_the_kind_of_a_link(link: str, shown: str) -> None:
    assert report(Config((MeterConfig("home", link),)))["configuration.txt"].decode() == f"meter1:\n  link: {shown}\n"


def test_a_label_that_nobody_called_harmless_is_masked_and_every_label_was_thought_of() -> None:
    labels = {label for family in CATALOGUE for label in family.labels}
    private = {"address", "prm", "identification", "name", "calendar", "short", "ultra_short"}
    assert labels <= LABELS.keys()
    assert {label for label in labels if privacy(label) != "public"} == private
    page = (
        "# HELP smartmeter_info x\n"
        'smartmeter_info{address="042175987654",meter="home",mode="standard",new="secret \\" }"} 1.0\n'
        'smartmeter_up{meter="stranger"} 1.0\nprocess_open_fds 9.0\n{what is this\n'
    )
    shown = report(Config((MeterConfig("home", "/dev/ttyUSB0"),)), Instance(1, page, None))["metrics.txt"].decode()
    assert shown.splitlines() == [
        "# HELP smartmeter_info x",
        'smartmeter_info{address="(masked)",meter="meter1",mode="standard",new="(masked)"} 1.0',
        'smartmeter_up{meter="meter2"} 1.0',
        "process_open_fds 9.0",
    ]


@pytest.mark.parametrize(
    "text",
    [
        *("042175987654", "00000000987654", "0014224455667788", "0123456789ABCDEF0123456789ABCDEF"),
        *("192.168.1.20", "fe80::214:2244:5566:7788", "FE80:0000:0000:0000:0214:2244:5566:7788", "00:14:22:44:55:66"),
        *("nas.dupont.example", "NAS.Dupont.example", "/home/alice/meter"),
    ],
)
def test_free_text_loses_what_looks_like_a_number_or_an_address(text: str) -> None:
    case = Case("/dev/x", (MeterConfig("home", "tcp://nas.dupont.example:1"), MeterConfig("b", "/home/alice/meter")))
    case.find(ok(f"it says {text}, and {text}."))
    shown = report(Config(case.meters), None, case)["findings.txt"].decode()
    assert "  ok       it says (masked), and (masked)." in shown


def test_a_label_of_the_configuration_is_masked_wherever_it_stands() -> None:
    case = Case("/dev/x", (MeterConfig("home", "/dev/x", labels=Labels(owner="Dupont", flat="12")),))
    case.find(ok("dupont pays for 12 of them"))
    page = 'smartmeter_up{flat="12",meter="home",owner="Dupont"} 1.0\n'
    found = report(Config(case.meters), Instance(1, page, None), case)
    assert b"DUPONT" not in b"".join(found.values()).upper()
    assert "(masked) pays for 12 of them" in found["findings.txt"].decode()
    assert found["metrics.txt"] == b'smartmeter_up{flat="(masked)",meter="meter1",owner="(masked)"} 1.0\n'
    assert b"labels: owner: (masked)" in found["configuration.txt"]


def test_the_name_of_a_meter_becomes_its_number() -> None:
    case = Case("/dev/x", (MeterConfig("Chez Dupont", "/dev/x"),))
    case.find(ok("meter 'Chez Dupont' lets us in"))
    assert "meter meter1 lets us in" in report(Config(case.meters), None, case)["findings.txt"].decode()


def test_a_line_whose_protocol_is_not_known_is_only_counted() -> None:
    case = Case("/dev/ttyUSB0", (MeterConfig("home", "/dev/ttyUSB0"),))
    heard = SpeedProbe(9600, 5.0)
    heard.take(b"PASSWORD 0123456789AB" * 3, [])
    case.counts = [heard.counts]
    found = report(Config(case.meters), None, case)
    assert "link1.bin" not in found
    text = found["link1.txt"].decode()
    assert text.startswith("63 bytes in 5 s at 9600 baud; valid groups: 0; damaged: 0; commonest bytes: ")
    assert "PASSWORD" not in text
    assert "0123456789AB" not in text


def test_a_secret_file_s_place_is_no_one_s_business(tmp_path: Path) -> None:
    secret = tmp_path / "alices-password"
    secret.write_text("0123456789AB")
    options = broute.Options(id="0" * 32, password_file=str(secret))
    shown = report(Config((MeterConfig("tokyo", "/dev/ttyUSB0", "broute", options),)))
    assert not any(b"alices" in data for data in shown.values())
