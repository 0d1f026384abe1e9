"""What the documentation must not forget, and must not get wrong."""

from __future__ import annotations

import dataclasses
import json
import re
import runpy
import shutil
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest

from meterline.billing.tariff import Levy, Period, Rate, Standing, Tariffs, Tier
from meterline.cli.arguments import parser
from meterline.config.mqtt import Mqtt
from meterline.config.schema import Config, MeterConfig, load
from meterline.history import export
from meterline.meter.families import CATALOGUE, FAMILIES
from meterline.protocols import PROTOCOLS
from meterline.simulation.line import Faults

ROOT = Path(__file__).parents[2]
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
    keys += [field.name for protocol in PROTOCOLS.values() for field in dataclasses.fields(protocol.options)]
    for key in keys:
        assert f"`{key}`" in PAGES["configure.md"] or f"{key}:" in PAGES["configure.md"], key


def test_every_option_of_mqtt_is_documented_and_its_default_is_said() -> None:
    (section,) = re.findall(r"^## Options of `mqtt`\n(.*?)^##", PAGES["mqtt.md"], re.DOTALL | re.MULTILINE)
    rows = {
        name: default
        for names, default in re.findall(r"^\| (`.*?`) \| (.*?) \|", section, re.MULTILINE)
        for name in names.split(", ")
    }
    for field in dataclasses.fields(Mqtt):
        if field.init:
            default = rows[f"`{field.name}`"]
            is_said = isinstance(field.default, str | bool | float) and field.default != ""
            word = (
                f"{field.default:g}"
                if isinstance(field.default, float)
                else f"`{str(field.default).replace('True', 'true').replace('False', 'false')}`"
            )
            assert not is_said or default == word, field.name


COST_SECTIONS = {
    Tariffs: "`tariffs`",
    Period: "A period",
    Rate: "A rate of `times`",
    Tier: "A tier",
    Standing: "`standing`",
    Levy: "A levy",
}


@pytest.mark.parametrize("kind", COST_SECTIONS, ids=lambda kind: kind.__name__)
def test_every_key_of_a_tariff_is_in_its_table_and_said_to_be_required_where_it_is(kind: type[Any]) -> None:
    (section,) = re.findall(rf"^### {re.escape(COST_SECTIONS[kind])}\n(.*?)^##", PAGES["costs.md"], re.DOTALL | re.MULTILINE)
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", section, re.MULTILINE))
    fields = dataclasses.fields(kind)
    assert list(rows) == [field.name for field in fields]
    for field in fields:
        assert (rows[field.name] == "–") == (field.default is dataclasses.MISSING), field.name


def test_every_family_that_is_booked_is_explained() -> None:
    assert "- *billing*:" in PAGES["metrics.md"]
    for family in CATALOGUE:
        if family.origin == "billing":
            assert f"`{family.name}`" in PAGES["costs.md"], family.name


OF_ANOTHER = {"smartmeter_last_scrape_timestamp_seconds", "smartmeter_scrape_errors_total"}
"""Families of an exporter that we stand in for."""


def test_every_family_that_a_page_names_exists() -> None:
    for name, text in PAGES.items():
        known = {*FAMILIES, *export.FAMILIES.values()} | (OF_ANOTHER if name == "migrate.md" else set())
        for found in re.findall(r"(?<!:)\bsmartmeter_[a-z0-9_]+[a-z0-9]\b", text):
            assert found in known, f"{name}: {found}"


def test_promtool_parses_every_expression_of_the_docs(tmp_path: Path) -> None:
    if not (promtool := shutil.which("promtool")):
        pytest.skip("no promtool here: it is in Debian's package prometheus")
    blocks = [block for page in PAGES.values() for block in re.findall(r"```promql\n(.*?)```", page, re.DOTALL)]
    rules = [{"record": "expression", "expr": line} for block in blocks for line in block.splitlines()]
    assert len(rules) >= 5
    file = tmp_path / "rules.json"  # JSON is YAML
    groups = [{"name": f"docs{number}", "rules": [rule]} for number, rule in enumerate(rules)]
    file.write_text(json.dumps({"groups": groups}), encoding="utf-8")
    answer = subprocess.run([promtool, "check", "rules", str(file)], capture_output=True, text=True, timeout=300, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


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
    tariffs = [block for page in PAGES.values() for block in re.findall(r"```yaml\n(tariffs:.*?)```", page, re.DOTALL)]
    meter = "meters:\n  - name: home\n    link: /dev/ttyUSB0\n"
    examples += [meter + textwrap.indent(block, "    ") for block in tariffs]
    assert len(examples) >= 4
    for example in examples:
        file = tmp_path / "meterline.yml"
        file.write_text(example, encoding="utf-8")
        assert load(str(file)).meters


def test_every_link_between_pages_leads_somewhere() -> None:
    for name, text in PAGES.items():
        folder = ROOT / "docs" if (ROOT / "docs" / name).exists() else ROOT
        for target in re.findall(r"\]\((?!http)([^)#]+)", text):
            assert (folder / target).exists(), f"{name}: {target}"


def test_pictures_are_there_and_small() -> None:
    pictures = sorted((ROOT / "docs").glob("*.png"))
    assert [file.stem for file in pictures] == [
        *("home-assistant-device", "home-assistant-energy", "home-assistant-settings", "page-desktop", "page-phone"),
    ]
    for file in pictures:
        picture = file.read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < 150_000
