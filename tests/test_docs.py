"""What the documentation must not forget, and must not get wrong."""

from __future__ import annotations

import dataclasses
import re
import runpy
from pathlib import Path

from meterline.cli import parser
from meterline.config import Config, MeterConfig, load
from meterline.metrics import CATALOGUE
from meterline.protocols import PROTOCOLS
from meterline.simulator import Faults

ROOT = Path(__file__).parents[1]
PAGES = {file.name: file.read_text(encoding="utf-8") for file in [*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")]}


def test_the_generated_pages_are_what_the_code_says() -> None:
    generate = runpy.run_path(str(ROOT / "docs" / "generate.py"))
    assert PAGES["metrics.md"] == generate["metrics"](), "run make docs"
    assert PAGES["meters.md"] == generate["meters"](), "run make docs"


def test_every_family_is_documented() -> None:
    for family in CATALOGUE:
        assert f"| `{family.name}` |" in PAGES["metrics.md"]


def test_every_key_and_option_is_documented() -> None:
    keys = [field.name for kind in (Config, MeterConfig) for field in dataclasses.fields(kind)]
    keys += [field.name for protocol in PROTOCOLS.values() for field in dataclasses.fields(protocol.Options)]
    for key in keys:
        assert f"`{key}`" in PAGES["configure.md"] or f"{key}:" in PAGES["configure.md"], key


def test_every_command_and_flag_of_run_is_documented() -> None:
    commands = next(action.choices for action in parser()._actions if isinstance(action.choices, dict))
    for name, command in commands.items():
        assert f"meterline {name}" in PAGES["configure.md"], name
        for action in command._actions:
            for flag in action.option_strings:
                if name == "run" and flag not in ("-h", "--help"):
                    assert f"`{flag} " in PAGES["configure.md"], flag


def test_every_fault_is_in_the_help_of_simulate() -> None:
    commands = next(action.choices for action in parser()._actions if isinstance(action.choices, dict))
    kinds = next(action.choices for action in commands["simulate"]._actions if isinstance(action.choices, dict))
    text = re.sub(r"\s+", " ", kinds["tic"].format_help())
    for field in dataclasses.fields(Faults):
        assert f"{field.name.replace('_', '-')}=" in text


def test_every_configuration_in_the_docs_is_good(tmp_path: Path) -> None:
    examples = [block for page in PAGES.values() for block in re.findall(r"```yaml\n(meters:.*?)```", page, re.DOTALL)]
    assert len(examples) >= 2
    for example in examples:
        file = tmp_path / "meterline.yml"
        file.write_text(example, encoding="utf-8")
        assert load(str(file)).meters


def test_every_link_between_pages_leads_somewhere() -> None:
    for name, text in PAGES.items():
        folder = ROOT / "docs" if (ROOT / "docs" / name).exists() else ROOT
        for target in re.findall(r"\]\((?!http)([^)#]+)", text):
            assert (folder / target).exists(), f"{name}: {target}"


def test_the_pictures_of_the_page_are_there_and_small() -> None:
    for name in ("page-phone.png", "page-desktop.png"):
        picture = (ROOT / "docs" / name).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < 150_000
