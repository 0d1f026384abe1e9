"""Standing in for another exporter by a word: `run --like`, `migrate --like`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from stage import command, free_port, page, program, shows

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
