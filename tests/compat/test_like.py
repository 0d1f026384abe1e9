"""Standing in for another exporter by a word: `run --like`, `migrate --like`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.live_meters import command, free_port, page, program, shows

from meterline.cli.replacements import adapter
from meterline.errors import UserError

CREDENTIALS = {"SMARTMETER_ID": f"{1:032X}", "SMARTMETER_PASSWORD": "0123456789AB"}


def test_migrate_prints_a_good_configuration_without_secrets(tmp_path: Path) -> None:
    file = tmp_path / "meterline.yml"
    for like in ("linky-env", "smartmeter"):
        answer = command("migrate", "--like", like, env=os.environ | CREDENTIALS)
        assert answer.returncode == 0, answer.stderr
        assert CREDENTIALS["SMARTMETER_ID"] not in answer.stdout
        file.write_text(answer.stdout)
        assert command("check", str(file), env=os.environ | CREDENTIALS).returncode == 0


def test_migrate_takes_the_flags_of_the_other_after_two_dashes() -> None:
    answer = command(
        "migrate", "--like", "smartmeter", "--", "-device=/dev/ttyUSB3", "-interval", "20", env=os.environ | CREDENTIALS
    )
    assert "link: /dev/ttyUSB3" in answer.stdout
    assert "interval: 20" in answer.stdout


def test_run_like_serves_the_others_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, port = tmp_path / "linky", free_port()
    monkeypatch.setenv("LINKY_EXPORTER_INTERFACE", str(path))
    monkeypatch.setenv("LINKY_EXPORTER_PORT", str(port))
    with program("simulate", "tic", "--contract", "base", "--pty", str(path)) as simulator:
        assert simulator.stdout
        simulator.stdout.readline()
        with program("run", "--like", "linky-env"):
            shows(port, "linky_base{")


def test_run_like_takes_our_web_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("LINKY_EXPORTER_INTERFACE", str(tmp_path / "nowhere"))
    monkeypatch.setenv("LINKY_EXPORTER_PORT", str(port))
    web = tmp_path / "web.yml"
    web.write_text("basic_auth_users: {alice: $2b$04$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze}")
    with program("run", "--like", "linky-env", "--web.config.file", str(web)):
        for path in ("/metrics", "/", "/-/healthy"):
            assert page(port, path) == "401 Unauthorized\n"


def test_like_and_a_file_of_ours_exclude_each_other() -> None:
    answer = command("run", "--like", "linky-env", "--config.file", "meterline.yml")
    assert answer.returncode == 2
    assert answer.stderr.count("\n") == 1


def migrated(like: str, *words: str, **settings: str) -> tuple[str, dict[str, Any]]:
    """What `migrate` prints, and what it is as YAML; `check` takes it."""
    known = ("LINKY_", "SMARTMETER_", "PROMETHEUS_", "LOOP_", "CONTRACT_")
    clean = {name: text for name, text in os.environ.items() if not name.startswith(known)}
    environment = clean | CREDENTIALS | settings
    answer = command("migrate", "--like", like, "--", *words, env=environment)
    assert answer.returncode == 0, answer.stderr
    checked = command("check", "/dev/stdin", input=answer.stdout, env=environment)
    assert checked.returncode == 0, checked.stderr
    return answer.stdout, yaml.safe_load(answer.stdout)


@pytest.mark.parametrize(
    ("like", "words", "port"),
    [
        ("linky-env", ("LINKY_EXPORTER_PORT={port}",), "LINKY_EXPORTER_INTERFACE"),
        ("linky-json", ("--config", "{file}", "PROMETHEUS_PORT={port}"), "DEVICE"),
        ("smartmeter", ("-port={port}",), "SMARTMETER_DEVICE"),
    ],
)
def test_run_like_takes_the_settings_of_the_other_after_two_dashes(
    like: str, words: tuple[str, ...], port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in {port: str(tmp_path / "nowhere"), **CREDENTIALS}.items():
        monkeypatch.setenv(name, text)
    (tmp_path / "x.json").write_text("{}")
    served = free_port()
    filled = [word.format(port=served, file=tmp_path / "x.json") for word in words]
    with program("run", "--like", like, "--", *filled):
        assert "healthy" in page(served, "/-/healthy")


@pytest.mark.parametrize("words", [("run", "--like", "linky-env", "/dev/ttyUSB0"), ("run", "/dev/ttyUSB0", "/dev/ttyUSB1")])
def test_a_link_beside_like_and_a_second_link_are_refused_in_one_line(words: tuple[str, ...]) -> None:
    answer = command(*words)
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)


def test_migrate_keeps_the_address_of_the_meter_levels_and_form_of_the_log_and_paths_with_spaces() -> None:
    text, found = migrated(
        "smartmeter",
        "-device=/dev/serial/by id/a #1: x",
        SMARTMETER_IPADDR="FE80:0000:0000:0000:0214:2244:5566:7788",
        SMARTMETER_CHANNEL="31",
        SMARTMETER_LOG_FORMAT="JSON",
        SMARTMETER_VERBOSITY="2",
    )
    (meter,) = found["meters"]
    assert meter["link"] == "/dev/serial/by id/a #1: x"
    assert (meter["options"]["mac"], meter["options"]["channel"]) == ("0014224455667788", "31")
    assert found["log_level"] == "debug"
    assert text.splitlines()[0].endswith("--web.listen-address :9102 --log.format json")


def test_what_migrate_cannot_express_stands_as_a_comment() -> None:
    text, _ = migrated("smartmeter", "-channel=99", "-dse", "stray")
    for said in ("-channel: '99'", "-dse", "argument 3"):
        assert re.search(rf"(?m)^# .*{re.escape(said)}", text), said
    settings = {"CONTRACT_TIMESTART": "1735686000", "LOOP_INTERVAL": "30", "PROMETHEUS_NAMESPACE": "maison"}
    text, found = migrated("linky-json", LINKY_CHECKSUMMETHOD="2", **settings)
    assert found["log_level"] == "warn"
    for said in ("contract.timestart=1735686000", "loop.interval=30", "prometheus.namespace=maison", "linky.checksummethod=2"):
        assert re.search(rf"(?m)^# .*{re.escape(said)}", text), said
    text, found = migrated("linky-env", TZ="Asia/Tokyo", LINKY_EXPORTER_LOGLEVEL="CRITICAL", LINKY_EXPORTER_NAME="cave: #1")
    assert found["log_level"] == "error"
    assert found["meters"][0]["name"] == "cave: #1"
    assert re.search("(?m)^# .*TZ=Asia/Tokyo", text)


@pytest.mark.parametrize("like", ["linky-env", "linky-json", "smartmeter"])
def test_help_of_the_other_is_printed_and_no_error(like: str) -> None:
    for name in ("run", "migrate"):
        answer = command(name, "--like", like, "--", "--help")
        assert (answer.returncode, answer.stderr) == (0, "")
        assert answer.stdout.startswith("usage: ")


@pytest.mark.parametrize(
    ("like", "variable"),
    [("linky-env", "LINKY_EXPORTER_INTERFACE"), ("linky-json", "DEVICE"), ("smartmeter", "SMARTMETER_DEVICE")],
)
def test_a_device_may_be_named_from_the_folder_of_the_start(
    like: str, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tty0").touch()
    monkeypatch.chdir(tmp_path)
    assert adapter(like)((), CREDENTIALS | {variable: "tty0"}).config.meters[0].link == str(tmp_path / "tty0")
    with pytest.raises(UserError, match="begins with /"):
        adapter(like)((), CREDENTIALS | {variable: "tty1"})
