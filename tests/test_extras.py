"""The advice how to install an extra works where it is typed."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
from importlib import metadata, util
from pathlib import Path

import pytest

from meterline import extras

ROOT = Path(__file__).parents[1]


def advice() -> str:
    return extras.how_to_install("auth", "bcrypt", "python3-bcrypt")


def test_in_a_copy_of_the_project_it_names_this_python_and_the_pinned_file() -> None:
    assert advice() == f"{sys.executable} -m pip install --require-hashes -r {ROOT}/requirements/auth.txt"
    dry = subprocess.run([*shlex.split(advice()), "--dry-run", "--no-deps"], capture_output=True, timeout=120, check=False)
    assert dry.returncode == 0, dry.stderr


def test_where_it_was_installed_it_names_the_extra_of_the_installed_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(extras, "SOURCE", tmp_path)
    assert advice() == f"{sys.executable} -m pip install 'meterline[auth]'"
    dry = subprocess.run([*shlex.split(advice()), "--dry-run"], capture_output=True, timeout=120, check=False)
    assert dry.returncode == 0, dry.stderr


def test_where_pip_knows_nothing_of_us_it_names_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(extras, "SOURCE", tmp_path)

    def unknown(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", unknown)
    assert advice() == f"{sys.executable} -m pip install bcrypt"


def test_a_folder_of_root_needs_sudo_and_a_name_with_a_space_quotes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: path != sysconfig.get_path("purelib"))
    monkeypatch.setattr(sys, "executable", "/opt/my meter/bin/python")
    assert advice().startswith("sudo '/opt/my meter/bin/python' -m pip install ")


def test_the_python_of_the_system_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "EXTERNALLY-MANAGED").touch()
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    assert advice().startswith("sudo apt install python3-bcrypt; or run meterline from a virtual environment")
    assert "pip install" not in extras.how_to_install("completion", "shtab")


def test_an_environment_without_pip_is_one_of_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    assert advice().startswith(f"uv pip install --python {sys.executable} ")
