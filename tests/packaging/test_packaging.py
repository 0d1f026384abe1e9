"""What is built and shipped: wheel, sdist, the unit of systemd, the rules of udev, the hooks of pre-commit."""

from __future__ import annotations

import email
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

from meterline import __version__

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "packaging" / "systemd" / "meterline.service"
RULES = ROOT / "packaging" / "udev" / "99-meterline.rules"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def make(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """As a developer would type it: not as a part of the `make test` that runs us."""
    hidden = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYPI_TOKEN"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden} | variables
    return subprocess.run(["make", *words], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make build` makes."""
    if not shutil.which("make") or not (ROOT / ".venv" / "ready").exists():
        pytest.skip("no .venv here: make setup makes it")
    folder = tmp_path_factory.mktemp("dist")
    (folder / "meterline-0.0.0.tar.gz").touch()
    (folder / "other").touch()
    built = make("build", f"DIST={folder}")
    assert built.returncode == 0, built.stderr
    names = [f"meterline-{__version__}-py3-none-any.whl", f"meterline-{__version__}.tar.gz", "other"]
    assert sorted(file.name for file in folder.iterdir()) == names, "what was built before is gone, what is not ours is not"
    return folder


def test_the_wheel_holds_the_package_and_its_metadata(dist: Path) -> None:
    source = {str(file.relative_to(ROOT / "src")) for file in (ROOT / "src" / "meterline").rglob("*") if file.is_file()}
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
        info = f"meterline-{__version__}.dist-info"
        metadata = email.message_from_bytes(wheel.read(f"{info}/METADATA"))
        scripts = wheel.read(f"{info}/entry_points.txt").decode()
    manual = f"meterline-{__version__}.data/data/share/man/man1/meterline.1"
    assert {name for name in source if not name.endswith(".pyc")} | {manual} == {
        name for name in names if not name.startswith(info)
    }
    assert "meterline/py.typed" in names
    assert f"{info}/licenses/LICENSE" in names
    assert (metadata["Name"], metadata["Version"], metadata["License-Expression"]) == ("meterline", __version__, "MIT")
    assert metadata["Requires-Python"] == PROJECT["project"]["requires-python"]
    required = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert len(required) == len(PROJECT["project"]["dependencies"])
    for name, target in PROJECT["project"]["scripts"].items():
        assert f"{name} = {target}\n" in scripts


def test_the_sdist_holds_all_that_it_promises_and_builds_the_same_wheel(dist: Path, tmp_path: Path) -> None:
    top = f"meterline-{__version__}"
    with tarfile.open(next(dist.glob("*.tar.gz"))) as sdist:
        names = {name.removeprefix(f"{top}/") for name in sdist.getnames()}
        if hasattr(tarfile, "data_filter"):  # not in Debian's 3.11
            sdist.extraction_filter = tarfile.data_filter
        sdist.extractall(tmp_path)
    for included in [*PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"], "/pyproject.toml"]:
        path = ROOT / included.strip("/")
        wanted = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        wanted = [file for file in wanted if not {"__pycache__", ".hypothesis"} & set(file.parts)]
        assert wanted, f"{included}: nothing is there"
        assert {str(file.relative_to(ROOT)) for file in wanted} <= names
    hatchling = ROOT / ".venv" / "bin" / "hatchling"
    subprocess.run([hatchling, "build", "-t", "wheel"], cwd=tmp_path / top, check=True, capture_output=True, timeout=60)
    with (
        zipfile.ZipFile(next((tmp_path / top / "dist").glob("*.whl"))) as again,
        zipfile.ZipFile(next(dist.glob("*.whl"))) as wheel,
    ):
        assert again.namelist() == wheel.namelist()


def test_the_wheel_installs_without_a_network_and_its_program_says_its_version(dist: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    # The pip of this environment installs into the new one: making one there takes longer than all the rest.
    install = [sys.executable, "-m", "pip", f"--python={python}", "install", "--no-index", "--no-deps", "--quiet"]
    wheel = str(next(dist.glob("*.whl")))
    subprocess.run([*install, wheel], check=True, capture_output=True, timeout=60)
    for name in PROJECT["project"]["scripts"]:
        assert (tmp_path / "venv" / "bin" / name).exists()
    assert (tmp_path / "venv" / "share" / "man" / "man1" / "meterline.1").exists(), "where man looks beside bin"
    # What meterline depends on is not installed there; --version needs none of it that is not in this environment.
    site = next(path for path in sys.path if path.endswith("site-packages"))
    said = subprocess.run(
        [tmp_path / "venv" / "bin" / "meterline", "--version"],
        env={"PYTHONPATH": site, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (said.stdout, said.stderr, said.returncode) == (f"meterline {__version__}\n", "", 0)


@pytest.mark.skipif(not shutil.which("make"), reason="no make here")
def test_publish_without_a_token_refuses_in_one_line() -> None:
    answer = make("publish")
    assert answer.returncode != 0
    assert answer.stdout == ""
    assert re.fullmatch(r"[^\n]*no token; put one into PYPI_TOKEN[^\n]*\n", answer.stderr)


@pytest.mark.skipif(not shutil.which("make"), reason="no make here")
def test_publish_without_twine_refuses_in_one_line_and_never_shows_the_token() -> None:
    answer = make("publish", "TWINE=", PYPI_TOKEN="pypi-secret")
    assert answer.returncode != 0
    assert answer.stdout == ""
    assert re.fullmatch(r"[^\n]*no twine[^\n]*\n", answer.stderr)
    assert "secret" not in answer.stderr


@pytest.mark.skipif(not shutil.which("make"), reason="no make here")
def test_publish_hands_the_token_to_twine_in_the_environment_only(dist: Path, tmp_path: Path) -> None:
    twine = tmp_path / "twine"
    twine.write_text('#!/bin/sh\necho "$TWINE_USERNAME $(test "$TWINE_PASSWORD" = pypi-secret && echo had it)" "$@"\n')
    twine.chmod(0o755)
    answer = make("publish", f"TWINE={twine}", f"DIST={tmp_path}/dist", PYPI_TOKEN="pypi-secret")
    assert answer.returncode == 0, answer.stderr
    last = answer.stdout.splitlines()[-1]
    assert last.startswith("__token__ had it upload --non-interactive ")
    assert last.count(f"/dist/meterline-{__version__}") == 2
    assert "pypi-secret" not in answer.stdout + answer.stderr


def unit() -> list[tuple[str, str]]:
    rows = [row for row in UNIT.read_text(encoding="utf-8").splitlines() if "=" in row and not row.startswith("#")]
    return [(key, value) for key, _, value in (row.partition("=") for row in rows)]


def test_the_unit_is_as_shut_as_the_design_says() -> None:
    said = dict(unit())
    assert said["Type"] == "notify"
    assert int(said["WatchdogSec"]) > 0
    assert (said["DynamicUser"], said["SupplementaryGroups"], said["StateDirectory"]) == ("yes", "dialout", "meterline")
    assert (said["DevicePolicy"], said["ProtectSystem"], said["ProtectHome"]) == ("closed", "strict", "yes")
    assert (said["NoNewPrivileges"], said["PrivateTmp"], said["MemoryDenyWriteExecute"]) == ("yes", "yes", "yes")
    assert said["RestrictAddressFamilies"] == "AF_INET AF_INET6 AF_UNIX AF_NETLINK"
    assert (said["Restart"], said["StartLimitIntervalSec"], said["RestartPreventExitStatus"]) == ("always", "0", "2")
    assert ("SystemCallFilter", "@system-service") in unit()
    devices = [value for key, value in unit() if key == "DeviceAllow"]
    assert devices == ["char-ttyUSB rw", "char-ttyACM rw", "char-ttyAMA rw"]


@pytest.fixture
def analyze(tmp_path: Path) -> list[str]:
    """systemd-analyze, and our unit with a program that is there."""
    tool = shutil.which("systemd-analyze")
    if not tool:
        pytest.skip("no systemd-analyze here")
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(encoding="utf-8"), flags=re.M)
    (tmp_path / UNIT.name).write_text(text, encoding="utf-8")
    return [tool, str(tmp_path / UNIT.name)]


def test_systemd_finds_nothing_to_say_about_the_unit(analyze: list[str]) -> None:
    tool, file = analyze
    answer = subprocess.run([tool, "verify", file], capture_output=True, text=True, timeout=300, check=False)
    if "Failed to initialize manager" in answer.stderr:
        pytest.skip("systemd-analyze verify does not run on this machine")
    ours = [line for line in answer.stderr.splitlines() if UNIT.name in line]
    assert ours == []


def test_systemd_finds_the_unit_shut(analyze: list[str]) -> None:
    tool, file = analyze
    words = [tool, "security", "--offline=true", "--no-pager", "--threshold=20", file]
    answer = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    if "unrecognized option" in answer.stderr or "Unknown option" in answer.stderr:
        pytest.skip("this systemd-analyze cannot look at a file: systemd 250 can")
    assert answer.returncode == 0, answer.stdout


def test_each_rule_of_udev_has_the_form_of_one() -> None:
    term = r'(?:ENV\{\w+\}|ATTRS?\{\w+\}|[A-Z]+)(?:==|!=|\+=|=)"[^"]*"'
    rules = [row for row in RULES.read_text(encoding="utf-8").splitlines() if row and not row.startswith("# ")]
    assert len([row for row in rules if row.startswith("#")]) == 2, "two examples"
    for row in rules:
        assert re.fullmatch(rf"#?{term}(?:, {term})*", row), row
    labels = set(re.findall(r'GOTO="(\w+)"', "\n".join(rules)))
    assert labels == set(re.findall(r'LABEL="(\w+)"', "\n".join(rules))) == {"meterline_end"}
    named = next(row for row in rules if "SYMLINK" in row)
    for wanted in ('SYMLINK+="meterline-$env{METERLINE_NAME}"', 'GROUP="dialout"', 'MODE="0660"', 'TAG+="systemd"'):
        assert wanted in named


def test_udev_finds_nothing_to_say_about_the_rules() -> None:
    tool = shutil.which("udevadm")
    if not tool:
        pytest.skip("no udevadm here")
    answer = subprocess.run([tool, "verify", str(RULES)], capture_output=True, text=True, timeout=300, check=False)
    if "Unknown command" in answer.stderr:
        pytest.skip("this udevadm cannot verify: that of systemd 254 can")
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_hooks_of_pre_commit_are_those_of_make_and_need_no_address() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert "://" not in text
    repositories = yaml.safe_load(text)["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    hooks = repositories[0]["hooks"]
    assert [hook["entry"] for hook in hooks] == [".venv/bin/ruff format", ".venv/bin/ruff check", ".venv/bin/mypy"]
    assert {hook["language"] for hook in hooks} == {"system"}


@pytest.mark.skipif(not shutil.which("make"), reason="no make here")
def test_the_demo_needs_the_pins_of_the_program_alone_and_the_tests_need_all() -> None:
    def would_do(target: str) -> str:
        planned = make("--always-make", "--dry-run", target)
        assert planned.returncode == 0, planned.stderr
        return planned.stdout

    demo, tests = would_do("demo"), would_do("test")
    assert re.findall(r"-r (\S+)", demo) == ["requirements/run.txt"]
    assert "--editable" not in demo
    assert re.findall(r"-r (\S+)", tests) == ["requirements/run.txt", "requirements/dev.txt"]
    assert "meterline demo --web.listen-address :10230" in demo
    assert "--web.listen-address :10231" in make("--dry-run", "demo", "ADDRESS=:10231").stdout


def test_the_pins_of_the_program_are_all_that_it_imports(tmp_path: Path) -> None:
    pins = re.findall(r"^([a-z-]+)==", (ROOT / "requirements" / "run.txt").read_text(encoding="utf-8"), re.M)
    modules = {"pyyaml": "yaml", "prometheus-client": "prometheus_client", "typing-extensions": "typing_extensions"}
    allowed = {modules.get(pin, pin) for pin in pins} | {"attr", "cattr"}
    code = (
        "import sys, meterline.cli.demo, meterline.cli.main, meterline.web.page.routes, meterline.config.schema, cattrs, yaml;"
        "found = {name.partition('.')[0] for name, module in sys.modules.items()"
        " if 'site-packages' in (getattr(module, '__file__', None) or '')};"
        "print(*sorted(found))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    ours = {name for name in done.stdout.split() if not name.startswith(("_", "meterline"))}
    assert ours <= allowed
