"""The examples for those who scrape: whole, for our port, and named in the documentation."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
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
    answer = subprocess.run([promtool, "check", "config", file], capture_output=True, text=True, timeout=60, check=False)
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
