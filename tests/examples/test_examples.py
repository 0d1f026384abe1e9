"""The examples for those who scrape: whole, for our port, and named in the documentation."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from meterline.billing.tariff import Tariffs
from meterline.config.schema import load

ROOT = Path(__file__).parents[2]
FILES = {
    "prometheus/prometheus.yml": "scrape_configs",
    "vmagent/vmagent.yml": "scrape_configs",
    "otel-collector/config.yaml": "receivers",
    "alloy/config.alloy": "prometheus.scrape",
}
"""File → what must stand in it."""

YAML = [name for name in FILES if name.endswith((".yml", ".yaml"))]
LIKE_PROMETHEUS = ["prometheus/prometheus.yml", "vmagent/vmagent.yml"]


def text(name: str) -> str:
    return (ROOT / "examples" / name).read_text(encoding="utf-8")


def targets(content: Any) -> list[str]:
    """Every target of every scrape, wherever it stands."""
    if isinstance(content, dict):
        inner = [target for value in content.values() for target in targets(value)]
        return [*content.get("targets", []), *inner]
    return [target for value in content for target in targets(value)] if isinstance(content, list) else []


@pytest.mark.parametrize("name", FILES)
def test_each_example_names_our_port_and_says_what_it_is(name: str) -> None:
    assert text(name).startswith(("# ", "// "))
    assert FILES[name] in text(name)
    assert "localhost:10230" in text(name)


@pytest.mark.parametrize("name", YAML)
def test_each_yaml_example_scrapes_our_port_and_nothing_else(name: str) -> None:
    assert targets(yaml.safe_load(text(name))) == ["localhost:10230"]


def test_every_pipeline_of_the_collector_uses_what_is_defined() -> None:
    content = yaml.safe_load(text("otel-collector/config.yaml"))
    for pipeline in content["service"]["pipelines"].values():
        for kind in ("receivers", "exporters"):
            assert set(pipeline[kind]) == set(content[kind])


def test_the_alloy_example_closes_what_it_opens_and_forwards_to_what_is_defined() -> None:
    content = text("alloy/config.alloy")
    for opening, closing in ("{}", "[]", "()"):
        assert content.count(opening) == content.count(closing)
    assert 'prometheus.remote_write "metrics_service" {' in content
    assert "forward_to      = [prometheus.remote_write.metrics_service.receiver]" in content


@pytest.mark.parametrize("name", LIKE_PROMETHEUS)
def test_promtool_accepts_the_example(name: str) -> None:
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("no promtool here: it is in Debian's package prometheus")
    file = str(ROOT / "examples" / name)
    answer = subprocess.run([promtool, "check", "config", file], capture_output=True, text=True, timeout=300, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_every_example_is_tested_and_named_in_the_documentation() -> None:
    folder = ROOT / "examples"
    pages = "".join(page.read_text(encoding="utf-8") for page in [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"])
    found = {str(file.relative_to(folder)) for name in FILES for file in (folder / name).parent.iterdir()}
    assert found == set(FILES)
    for name in found:
        assert f"examples/{name}" in pages, name


@pytest.mark.parametrize("kind", ["datasources", "dashboards"])
def test_the_provisioning_files_are_yaml_of_version_one(kind: str) -> None:
    (file,) = (ROOT / "grafana" / "provisioning" / kind).glob("*.yml")
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert content["apiVersion"] == 1
    if kind == "datasources":
        (source,) = content["datasources"]
        assert (source["uid"], source["type"], source["url"]) == ("prometheus", "prometheus", "http://prometheus:9090")
    else:
        assert [provider["type"] for provider in content["providers"]] == ["file"]


# Tariffs.

TARIFFS = {file.name: file for file in sorted((ROOT / "examples" / "tariffs").glob("*.yml"))}
COLLECTED = date(2026, 11, 22)


def tariffs(name: str) -> Tariffs:
    (meter,) = load(str(TARIFFS[name])).meters
    assert meter.tariffs
    return meter.tariffs


@pytest.mark.parametrize("name", TARIFFS)
def test_each_contract_has_a_price_today_or_says_until_when_it_is_known(name: str) -> None:
    found, text = tariffs(name), TARIFFS[name].read_text(encoding="utf-8")
    known_until = re.search(r"^# Known until (\d{4}-\d\d-\d\d)", text, re.MULTILINE)
    if known_until:
        last = date.fromisoformat(known_until[1])
        assert last < COLLECTED
        assert found.change_after(last) == last + timedelta(days=1), "nothing ends then"
    else:
        terms = found.on(COLLECTED)
        assert terms
        assert terms.until is None or terms.until > COLLECTED


@pytest.mark.parametrize("name", TARIFFS)
def test_each_contract_says_where_its_figures_are_from(name: str) -> None:
    text = TARIFFS[name].read_text(encoding="utf-8")
    assert "# Sources: " in text or "EVERY PRICE HERE IS MADE UP" in text


UNCONFIRMED = {
    "france-base.yml": ["amount: 15.65", "19.56"],
    "france-hphc.yml": ["amount: 15.65", "19.56"],
    "france-tempo.yml": ["amount: 19.38", "15.59"],
    "france-ejp.yml": ["amount: 19.20", "EJPHPM: 0.4324", "amount: 19.52"],
    "france-before-taxes.yml": ["BASE: 0.1308", "amount: 13.0417"],
    "france-standard-mode.yml": ["amount: 16.84"],
    "japan-tiered.yml": ["per_kwh: -5.80", "per_kwh: -3.50", "24 for four years, then 8.3"],
}
"""What nobody could confirm."""


@pytest.mark.parametrize("name", UNCONFIRMED)
def test_a_figure_that_could_not_be_confirmed_says_so_beside_it(name: str) -> None:
    lines = TARIFFS[name].read_text(encoding="utf-8").splitlines()
    for figure in UNCONFIRMED[name]:
        (line,) = [line for line in lines if figure in line]
        assert "not confirmed" in line, figure


def test_a_home_that_feeds_in_pays_more_for_the_network() -> None:
    with_roof, without = tariffs("france-standard-mode.yml").on(COLLECTED), tariffs("france-hphc.yml").on(COLLECTED)
    assert with_roof
    assert without
    assert with_roof.period.standing
    assert without.period.standing
    more = 12 * (with_roof.period.standing.amount - without.period.standing.amount)
    assert more == pytest.approx(Decimal("11.81"), abs=Decimal("0.06"))


def test_the_bill_before_taxes_comes_to_the_one_with_taxes() -> None:
    day = date(2026, 3, 1)
    before, after = tariffs("france-before-taxes.yml"), tariffs("france-base.yml")
    terms, printed = before.on(day), after.on(day)
    assert terms
    assert printed
    assert terms.period.standing
    assert printed.period.standing
    assert round(terms.register_price("BASE") or 0, 4) == printed.register_price("BASE")
    assert round(terms.period.standing.amount * terms.standing_factor, 2) == printed.period.standing.amount


def test_the_model_bill_of_the_publisher_comes_out() -> None:
    """TEPCO EP, 6 February 2024: 260 kWh at 30 A, 7,558 yen, with a fuel adjustment of -9.28 and a levy of 364 yen."""
    period = tariffs("japan-tiered.yml").periods[0]
    assert period.standing
    assert period.tiers
    first, second = period.tiers[:2]
    energy = 120 * first.price + 140 * second.price - 260 * Decimal("9.28")
    assert int(period.standing.amount + energy + 364) == 7558


def test_the_table_of_contracts_names_each() -> None:
    text = (ROOT / "examples" / "tariffs" / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\(([a-z-]+\.yml)\)", text)) == set(TARIFFS)
    pages = (ROOT / "docs" / "costs.md").read_text(encoding="utf-8")
    assert "../examples/tariffs/README.md" in pages
