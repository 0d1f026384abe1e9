"""What is typed: words that are not known, help, completion, and the manual page."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.live_meters import command

from meterline.cli.arguments import SHELLS, parser

ROOT = Path(__file__).parents[2]
COMMANDS = parser().commands


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["rnu"], "command 'rnu' is not known; did you mean run? (meterline help)"),
        (["hash_password"], "command 'hash_password' is not known; did you mean hash-password? (meterline help)"),
        (["simulate", "tci"], "simulate: kind 'tci' is not known; did you mean tic? (meterline help simulate)"),
        (["help", "dcode"], "command 'dcode' is not known; did you mean decode? (meterline help)"),
        (
            ["help", "simulate", "brute"],
            "simulate: command 'brute' is not known; did you mean broute? (meterline help simulate)",
        ),
        (
            ["run", "/dev/x", "--web.listen_adress=:1"],
            "run: flag '--web.listen_adress' is not known; did you mean --web.listen-address? (meterline help run)",
        ),
        (
            ["simulate", "tic", "--fualt", "x=1"],
            "simulate tic: flag '--fualt' is not known; did you mean --fault? (meterline help simulate tic)",
        ),
        (
            ["run", "/dev/x", "--log.level", "inof"],
            "run: --log.level: 'inof' is not known; did you mean info? (meterline help run)",
        ),
        (["check", "a.yml", "b.yml"], "check: unexpected argument: 'b.yml' (meterline help check)"),
        (
            ["decode", "--protocol", "xyz", "-"],
            "decode: --protocol: 'xyz' is not known; known: broute, tic (meterline help decode)",
        ),
    ],
)
def test_a_word_that_is_not_known_is_one_line_with_what_was_probably_meant(words: list[str], text: str) -> None:
    answer = command(*words)
    assert (answer.returncode, answer.stdout, answer.stderr) == (2, "", f"meterline: {text}\n")


def test_every_error_of_the_command_line_is_one_line() -> None:
    for words in ([], ["migrate"], ["simulate"], ["capture", "/dev/x"], ["capture", "/dev/x", "-o", "x", "--seconds", "y"]):
        answer = command(*words)
        assert (answer.returncode, answer.stdout, answer.stderr.count("\n")) == (2, "", 1)
        assert "meterline help" in answer.stderr


def test_help_shows_what_the_flag_shows() -> None:
    assert command("help").stdout == command("--help").stdout
    assert command("help", "simulate", "tic").stdout == command("simulate", "tic", "--help").stdout
    for name, one in COMMANDS.items():
        assert one.format_usage()
        assert f"  {name} " in command("help").stdout or f"  {name}\n" in command("help").stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_for_each_shell_knows_every_command_and_flag(shell: str) -> None:
    answer = command("completion", shell)
    assert answer.returncode == 0, answer.stderr
    for name in COMMANDS:
        assert name in answer.stdout
    assert "web.listen-address" in answer.stdout
    if checker := shutil.which(shell):
        checked = subprocess.run([checker, "-n"], input=answer.stdout, capture_output=True, text=True, timeout=60, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
@pytest.mark.parametrize(("typed", "wanted"), [("meterline det", ["detect"]), ("meterline run --web.p", ["--web.page"])])
def test_bash_completes_what_is_typed(typed: str, wanted: list[str], tmp_path: Path) -> None:
    (tmp_path / "script").write_text(command("completion", "bash").stdout)
    words = typed.split()
    asks = (
        f"source {tmp_path}/script; COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _shtab_meterline; echo ${{COMPREPLY[@]}}"
    )
    done = subprocess.run(["bash", "-c", asks], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == wanted


def test_completion_without_its_extra_says_how_to_install_it() -> None:
    hidden = "import sys; sys.modules['shtab'] = None; from meterline.cli.main import main; main(['completion', 'bash'])"
    refused = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True, timeout=60, check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("meterline: completion: the package shtab, which writes the script, is not installed; ")
    assert f"{sys.executable} -m pip install 'meterline[completion]'" in refused.stderr


def test_run_has_no_use_for_what_only_other_commands_need() -> None:
    code = (
        "import sys, threading, signal, os; from meterline.cli.main import main;"
        "threading.Timer(1, lambda: os.kill(os.getpid(), signal.SIGTERM)).start();"
        "sys.exit = lambda status: None;"
        "main(['run', '/dev/none', '--web.listen-address', '127.0.0.1:0']);"
        "print([name for name in ('shtab', 'difflib', 'meterline.cli.read') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


MANUAL = ROOT / "packaging" / "man" / "meterline.1"


def test_the_manual_page_is_what_the_parser_says_and_names_every_command_and_flag() -> None:
    text = MANUAL.read_text(encoding="utf-8")
    assert text == runpy.run_path(str(ROOT / "docs" / "generate.py"))["manual"](), "run make docs"
    plain = text.replace("\\-", "-")
    for name, one in COMMANDS.items():
        assert f".SS meterline {name}\n" in plain
        for flag in one.flags:
            assert flag in ("-h", "--help") or f"\\fB{flag}\\fR" in plain, flag


def test_groff_finds_nothing_to_say_about_the_manual_page() -> None:
    if not (groff := shutil.which("groff")):
        pytest.skip("no groff here")
    done = subprocess.run(
        [groff, "-man", "-Tascii", "-ww", str(MANUAL)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    assert "meterline read" in re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout)
