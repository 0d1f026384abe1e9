"""What is typed: words that are not known, and help."""

from __future__ import annotations

import pytest
from stage import command

from meterline.arguments import parser

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
        (["check", "a.yml", "b.yml"], "check: one word too many: 'b.yml' (meterline help check)"),
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
