"""The shape of the code: which layer may import which, and how long things may get."""

from __future__ import annotations

import ast
import re
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "meterline"
FILES = sorted(SOURCE.rglob("*.py"))

LAYERS: dict[str, set[str]] = {
    # file or folder → what of ours it may import
    "model": set(),
    "errors": set(),
    "extras": set(),
    "parser": set(),
    "house": set(),
    "holders": set(),
    "logs": set(),
    "metrics": set(),
    "samples": {"metrics", "model"},
    "registers": {"model"},
    "said": {"model"},
    "reach": set(),
    "line": {"model"},
    "meter": {"line", "metrics", "model", "reach", "registers", "said", "samples"},
    "reasons": {"holders"},
    "hosts": set(),
    "link": {"hosts", "reasons"},
    "protocols": {"link", "model", "protocols", "house"},
    "detect": {"link", "model", "protocols"},
    "cost": {"cost", "logs", "meter", "metrics", "model", "registers", "state"},
    "document": {"errors"},
    "typed": {"cost", "errors"},
    "config": {"cost", "document", "errors", "protocols", "typed"},
    "state": set(),
    "runtime": {"config", "cost", "detect", "line", "link", "logs", "meter", "metrics", "model", "protocols", "reach", "state"},
    "systemd": set(),
    "simulator": set(),
    "asked": {"simulator"},
    "exposition": {"meter", "metrics", "model"},
    "web": {
        *("cost", "document", "errors", "exposition", "extras", "holders", "line", "meter", "metrics", "model", "runtime"),
        *("typed", "web"),
    },
    "doctor": {
        *("config", "doctor", "errors", "holders", "hosts", "line", "link", "meter", "model", "protocols", "reasons"),
        *("samples", "web"),
    },
    "commands": {
        *("asked", "commands", "config", "cost", "detect", "doctor", "document", "errors", "exposition", "extras", "house"),
        *("link", "logs", "meter", "model", "parser", "protocols", "runtime", "simulator", "state", "systemd", "typed", "web"),
    },
    "dropin": {
        *("commands", "config", "cost", "dropin", "errors", "logs", "meter", "metrics", "model", "protocols", "runtime"),
        *("samples", "state", "web"),
    },
    "arguments": {"dropin", "logs", "parser", "protocols"},
    "health": {"dropin"},
    "cli": {"arguments", "dropin", "commands", "config", "errors", "house", "logs", "protocols", "state"},
    "__main__": {"cli"},
    "__init__": set(),
}
SANS_IO = (
    "frames",
    "labels",
    "readings",
    "readers",
    "status",
    "moments",
    "redact",
    "symptoms",
    "diagnosis",
    "heard",
    "fake",
    "fake_groups",
    "fake_state",
    "fake_air",
    "fake_faults",
    "fake_meter",
    "fake_pana",
    "fake_port",
    "fake_properties",
    "fake_session",
)
ONLY_THERE = {
    "prometheus_client": ("exposition", "web"),
    "serialx": ("link",),
    "tornado": ("web",),
    "yaml": ("document",),
    "bcrypt": ("web",),
}


def imports(file: Path) -> set[str]:
    """Full names of everything that a file imports, but for what only the type checker sees."""
    names: set[str] = set()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    typing_only = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def place(file: Path) -> str:
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_imports_point_one_way(file: Path) -> None:
    ours = {name.split(".")[1] for name in imports(file) if name.startswith("meterline.")}
    assert ours - {"__version__"} <= LAYERS[place(file)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_each_library_is_used_in_one_place(file: Path) -> None:
    for library, places in ONLY_THERE.items():
        if any(name.split(".")[0] == library for name in imports(file)):
            assert place(file) in places, f"{library} belongs to {places}"


@pytest.mark.parametrize("file", [file for file in FILES if file.stem in SANS_IO], ids=lambda file: file.stem)
def test_a_decoder_knows_no_clock_no_log_and_no_line(file: Path) -> None:
    forbidden = {"asyncio", "time", "logging", "socket", "os", "serialx"}
    assert not {name.split(".")[0] for name in imports(file)} & forbidden
    assert not any(name.startswith("meterline.link") for name in imports(file))


def test_a_protocol_never_imports_another() -> None:
    for folder in (SOURCE / "protocols").iterdir():
        for file in folder.glob("*.py"):
            others = {name.split(".")[2] for name in imports(file) if name.startswith("meterline.protocols.")}
            assert others <= {folder.name}


def code_lines(tree: ast.Module, text: str) -> set[int]:
    """Numbers of the lines that hold code: blank lines, comments and docstrings explain, and cost nothing."""
    explained = {
        number
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for number in range(node.lineno, (node.end_lineno or 0) + 1)
    }
    lines = enumerate(text.splitlines(), 1)
    return {number for number, line in lines if number not in explained and line.strip() and not line.lstrip().startswith("#")}


def test_files_and_functions_keep_to_their_budget() -> None:
    tables = {SOURCE / "metrics.py"}
    functions: list[int] = []
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        tree = ast.parse(text)
        code = code_lines(tree, text)
        assert len(code) <= 400 or file in tables, f"{file.name}: {len(code)} lines of code"
        functions += (
            sum(node.lineno <= number <= (node.end_lineno or 0) for number in code)
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        )
    assert max(functions) <= 60
    assert statistics.quantiles(functions, n=10)[-1] <= 20


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert not [file for file in FILES if re.fullmatch(r"(utils?|helpers?|base|manager|handlers?|common|misc)", file.stem)]


def test_requirements_are_pinned_hashed_and_name_no_index() -> None:
    for file in (ROOT / "requirements").glob("*.txt"):
        text = file.read_text(encoding="utf-8")
        assert "http" not in text
        assert "--index" not in text
        pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
        assert pins
        assert all(re.match(r"[A-Za-z0-9_.-]+==\S+ \\$", pin) for pin in pins)
        assert text.count("--hash=sha256:") >= len(pins)
