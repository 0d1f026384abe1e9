"""No diagnosis depends on the wording of a message: with all of them rewritten, each is as before."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.rewording import is_reworded, plain, reworded

TESTS = Path(__file__).parents[1]


def diagnoses(*words: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "support.diagnoses", *words]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def comparable(found: Any) -> str:
    """Levels, kinds of ends and messages, without their numbers."""
    return re.sub(r"\d+", "0", plain(json.dumps(found, ensure_ascii=False)))


def test_a_rewording_of_every_message_changes_no_diagnosis() -> None:
    before, after = diagnoses(), diagnoses("reworded")
    assert before.keys() == after.keys()
    for scenario, found in before.items():
        assert comparable(after[scenario]) == comparable(found), scenario
    # A name that is not known is told in the words of the system, and a good setting in none.
    untouched = [scenario for scenario, found in after.items() if not is_reworded(json.dumps(found, ensure_ascii=False))]
    assert untouched == ["LINKY_SOCAT_HOST=bridge:2000", "run on an unknown name"]


PARSERS = {
    "startswith": 'diagnosis = "stop it" if problem().startswith("in use by process") else "no idea"',
    "in": 'diagnosis = "stop it" if "use" in problem() else "no idea"',
    "partition": 'diagnosis = problem().partition("; ")[2]',
    "a pattern": 'import re; diagnosis = "stop it" if re.search("process ([0-9]+)", problem()) else "no idea"',
    "removeprefix": 'diagnosis = "stop it" if problem().removeprefix("in use") != problem() else "no idea"',
}


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
def test_code_that_parses_a_message_is_found(parser: str) -> None:
    source = f'def problem(pid=7): return f"in use by process {{pid}}; stop it"\n{parser}\n'
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    exec(source, before)
    exec(reworded(source, "parser"), after)
    assert before["diagnosis"] == "stop it"
    assert plain(after["problem"]()) == before["problem"]()
    assert plain(after["diagnosis"]) != "stop it"
