"""The shape of the code: which room may import which, and how long things may get."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "meterline"
FILES = sorted(SOURCE.rglob("*.py"))

FLOORS: tuple[dict[str, set[str]], ...] = (
    # from the ground up: room → the rooms of its own floor that it may import; every lower floor is open to it
    {"__init__": set(), "errors": set(), "extras": set(), "locale": set(), "logs": set(), "world": set()},
    {"link": set(), "meter": set(), "simulation": set(), "store": set()},
    {"protocols": set(), "history": set()},
    {"billing": set()},
    {"config": set()},
    {"service": set()},
    {"web": set()},
    {"outputs": set()},
    {"compat": set(), "diagnostics": set()},
    {"cli": set()},
    {"__main__": set()},
)
CLOSED: dict[str, set[str]] = {
    # room → lower rooms that are none of its business
    "meter": {"errors", "locale", "logs"},
    "link": {"errors", "locale", "logs"},
    "protocols": {"errors", "locale", "logs", "store"},
    "history": {"link", "locale", "simulation"},
    "billing": {"link", "protocols", "simulation"},
    "config": {"logs", "simulation", "store"},
    "service": {"simulation"},
    "web": {"protocols", "simulation", "store"},
    "outputs": {"link", "protocols", "simulation", "store"},
    "diagnostics": {"simulation", "store"},
    "compat": {"simulation", "store"},
}
SIMULATED = "simulator"
"""The room of a protocol in which its meter is played; what decodes real meters imports nothing of it."""
LINE_FILES = {"__init__", "driver", "driver_metrics", "session", "poller", "adapter", "listener", "options", "scan", "simulate"}
"""Files of a protocol that hold a conversation on a link, measure it, or read its secrets. Every other file of its folder
decodes or encodes, without I/O.
"""
ONLY_THERE = {
    "prometheus_client": ("meter/exposition", "web"),
    "serialx": ("link",),
    "tornado": ("web",),
    "yaml": ("config",),
    "cattrs": ("config", "web"),
    "bcrypt": ("web",),
    "holidays": ("billing/public_holidays",),
    "aiomqtt": ("outputs/mqtt/connection",),
}
MODULES = ("time", "random", "concurrent.futures")
"""What world.py alone may use: all of these modules but what GIVEN names ..."""
OF_THE_WORLD = (
    "asyncio.sleep",
    "asyncio.to_thread",
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "socket.getaddrinfo",
    "socket.gethostby",
    "threading.Thread",
    "threading.Timer",
)
"""... and what has these full names, or a name that begins so."""
GIVEN = {"time.gmtime": 1, "time.localtime": 1, "time.strftime": 2, "random.Random": 1}
"""Free of clock and chance where they are called with at least so many arguments."""
OF_THE_LOOP = {"run_in_executor", "getaddrinfo"}
"""Methods of an event loop, whatever the loop is called."""
CODE_LINES = 400
"""The longest file, in lines of code: blank lines, comments and docstrings explain, and cost nothing."""
TABLES = {"meter/families.py"}
"""Files that are a table and nothing else may be longer."""


def runtime_nodes(file: Path) -> Iterator[ast.AST]:
    """Every node of a file but those that only the type checker sees."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    typing_only = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    return (node for node in ast.walk(tree) if id(node) not in typing_only)


def imports(file: Path, only_at_start: bool = False) -> set[str]:
    """Full names of everything that a file imports while the program runs; `only_at_start`: when it is imported itself."""
    names: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body if only_at_start else runtime_nodes(file):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def uses_of_the_world(file: Path) -> Iterator[str]:
    """Whatever goes past `meterline.world`, by its full name."""
    nodes, bound, calls = list(runtime_nodes(file)), dict[str, str](), dict[int, int]()
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.split(".")[0]
                bound[alias.asname or root] = alias.name if alias.asname else root
        elif isinstance(node, ast.ImportFrom):
            bound |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call):
            calls[id(node.func)] = len(node.args)

    def full_name(node: ast.AST) -> str | None:
        if isinstance(node, ast.Attribute):
            owner = full_name(node.value)
            return owner and f"{owner}.{node.attr}"
        return bound.get(node.id) if isinstance(node, ast.Name) else None

    for node in nodes:
        name = full_name(node)
        if name in GIVEN:
            is_good = calls[id(node)] >= GIVEN[name] if id(node) in calls else name == "random.Random"  # as a type
        else:
            is_good = not name or name in MODULES or not name.startswith((*OF_THE_WORLD, *(f"{module}." for module in MODULES)))
        if not is_good or (isinstance(node, ast.Attribute) and node.attr in OF_THE_LOOP):
            yield name or ast.unparse(node)


def room(file: Path) -> str:
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


def reachable(here: str) -> set[str]:
    """The rooms that a room may import: its own, those of lower floors that are not closed to it."""
    lower: set[str] = set()
    for floor in FLOORS:
        if here in floor:
            return (lower | floor[here] | {here}) - CLOSED.get(here, set())
        lower |= floor.keys()
    raise AssertionError(f"{here} stands on no floor")


def code_lines(tree: ast.Module, text: str) -> set[int]:
    """Numbers of the lines that hold code: no blank line, comment or docstring."""
    explained = {
        number
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for number in range(node.lineno, (node.end_lineno or 0) + 1)
    }
    lines = enumerate(text.splitlines(), 1)
    return {number for number, line in lines if number not in explained and line.strip() and not line.lstrip().startswith("#")}


def named(file: Path) -> str:
    return str(file.relative_to(SOURCE))


@pytest.mark.parametrize("file", FILES, ids=named)
def test_imports_point_down(file: Path) -> None:
    ours = {name.split(".")[1] for name in imports(file) if name.startswith("meterline.")}
    assert ours - {"__version__"} <= reachable(room(file))


@pytest.mark.parametrize("file", [file for file in FILES if file != SOURCE / "world.py"], ids=named)
def test_only_the_world_has_clocks_sleep_chance_names_and_threads(file: Path) -> None:
    """Simulated time holds where this does.

    Allowed of `time` is what formats a moment that is given, of `random` a generator with a seed. The keys and tokens of
    `secrets` and `os.urandom` are no part of the world: no simulation may foresee them.
    """
    assert not list(uses_of_the_world(file))
    assert "meterline.world.current" not in imports(file), "an import by name keeps the world of the import"


@pytest.mark.parametrize("file", FILES, ids=named)
def test_each_library_is_used_in_one_place(file: Path) -> None:
    for library, places in ONLY_THERE.items():
        if any(name.split(".")[0] == library for name in imports(file)):
            assert named(file).startswith(places), f"{library} belongs to {places}"


KNOWN_BY_NAME = ("protocols/tic/", "protocols/broute/", "protocols/__init__", "compat/")
"""Where a protocol may be named: its own folder, `PROTOCOLS`, the exporters that are replaced, and the texts of the page."""
HELP_TEXTS = "meter/families.py"
"""Help texts are part of /metrics, and name meters."""
NAMES_OF_METERS = re.compile(r"\b(tic|broute|b-route|wi-?sun|skstack|linky(?!-(exporter|env|json)\b))\b", re.IGNORECASE)


@pytest.mark.parametrize("file", [file for file in FILES if not named(file).startswith(KNOWN_BY_NAME)], ids=named)
def test_only_its_own_folder_knows_a_protocol_by_name(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    explained = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in explained
    }
    imported = {name for name in imports(file) if name.startswith("meterline.protocols.")}
    if named(file) != HELP_TEXTS:
        assert not [text for text in texts if NAMES_OF_METERS.search(text)]
    assert not [name for name in imported if NAMES_OF_METERS.search(name)]


PROTOCOL_FILES = [file for file in FILES if room(file) == "protocols" and len(file.relative_to(SOURCE).parts) > 2]


@pytest.mark.parametrize("file", [file for file in PROTOCOL_FILES if file.stem not in LINE_FILES], ids=named)
def test_a_codec_knows_no_clock_no_log_and_no_line(file: Path) -> None:
    forbidden = {"asyncio", "time", "logging", "socket", "os", "serialx"}
    assert not {name.split(".")[0] for name in imports(file)} & forbidden
    assert not any(name.startswith(("meterline.link", "meterline.world")) for name in imports(file))


@pytest.mark.parametrize("file", PROTOCOL_FILES, ids=named)
def test_a_protocol_imports_no_other_and_a_decoder_no_simulator(file: Path) -> None:
    own = file.relative_to(SOURCE / "protocols").parts
    for name in imports(file):
        if name.startswith("meterline.protocols."):
            _, _, protocol, *rest = name.split(".")
            assert protocol in (own[0], "api", "trial", "talking")
            late = file.stem == "__init__" and name not in imports(file, only_at_start=True)
            assert SIMULATED in own or rest[:1] != [SIMULATED] or late
        if name.startswith("meterline.simulation"):
            assert SIMULATED in own


@pytest.mark.parametrize(
    "line",
    [
        "import time; time.time()",
        "import time as t; t.monotonic_ns()",
        "from time import perf_counter; perf_counter()",
        "import time; clock = time.localtime",
        "import time; time.strftime('%H')",
        "import random; random.random()",
        "from random import Random; Random()",
        "from datetime import datetime as d; d.now()",
        "import datetime; datetime.date.today()",
        "import asyncio; asyncio.sleep(0)",
        "from asyncio import to_thread; to_thread(print)",
        "loop.run_in_executor(None, print)",
        "import socket; socket.gethostbyname_ex('a')",
        "import threading; threading.Thread()",
        "import concurrent.futures; concurrent.futures.ThreadPoolExecutor()",
    ],
)
def test_the_rule_about_the_world_sees_each_way_past_it(line: str, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(line, encoding="utf-8")
    assert list(uses_of_the_world(tmp_path / "module.py"))


def test_the_root_of_the_package_is_folders() -> None:
    folders = [path.name for path in SOURCE.iterdir() if any(path.glob("*.py"))]
    modules = [path.stem for path in SOURCE.glob("*.py") if path.stem not in ("__init__", "__main__")]
    assert len(folders) <= 15
    assert len(modules) <= 5
    assert {*folders, *modules} <= {name for floor in FLOORS for name in floor}


def test_files_and_functions_keep_to_their_budget() -> None:
    functions: list[int] = []
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        tree = ast.parse(text)
        code = code_lines(tree, text)
        assert len(code) <= CODE_LINES or named(file) in TABLES, f"{named(file)}: {len(code)} lines of code"
        functions += (
            sum(node.lineno <= number <= (node.end_lineno or 0) for number in code)
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        )
    assert max(functions) <= 60
    assert statistics.quantiles(functions, n=10)[-1] <= 20


def test_no_test_imports_a_test() -> None:
    for file in (ROOT / "tests").rglob("test_*.py"):
        assert not [name for name in imports(file) if name.startswith("test_")], f"{file}: what tests share lies in support/"


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert not [file for file in FILES if re.fullmatch(r"(utils?|helpers?|base|manager|handlers?|common|misc)", file.stem)]


def test_requirements_are_pinned_hashed_and_name_no_index() -> None:
    files = [*(ROOT / "requirements").glob("*.txt"), *(ROOT / "tests" / "home_assistant").glob("requirements-*.txt")]
    assert len(files) > 4
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert "://" not in text
        assert "--index" not in text
        pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
        assert pins
        assert all(re.match(r"[A-Za-z0-9_.-]+==\S+ \\$", pin) for pin in pins)
        assert text.count("--hash=sha256:") >= len(pins)
