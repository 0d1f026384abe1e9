"""The rules for Prometheus: what they ask exists, each alert is tried and explained, and a silenced meter raises its alert."""

from __future__ import annotations

import glob
import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.live_meters import free_port, page, program
from support.prometheus_server import Database, prometheus, tool

from meterline.meter.exposition import Page, Reloads
from meterline.meter.families import FAMILIES
from meterline.meter.program_health import BrokerCounts
from meterline.protocols.tic.stge import BREAKER, COLOURS
from meterline.store import State

ROOT = Path(__file__).parents[2]
FILE = ROOT / "prometheus" / "rules" / "meterline.yml"
TESTS = sorted((FILE.parent / "tests").glob("*.yml"))
GROUPS: list[dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDS = {rule["record"]: rule for rule in RULES if "record" in rule}
RUNBOOK = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")

WORDS = {
    "result": {"joined", "failed", "found", "empty"},
    "reason": {"implausible"},
    "state": set(BREAKER),
    "colour": set(COLOURS),
    "day": {"today", "tomorrow"},
}
"""Label → values that a rule may ask for."""


def expressions() -> list[str]:
    return [rule["expr"] for rule in RULES]


def without_labels(expression: str) -> str:
    """The expression without what stands in braces and after on, ignoring and without."""
    return re.sub(r"\{[^}]*\}|\b(?:on|ignoring|without|group_left)\s*\([^)]*\)", "", expression)


# What can be said without a Prometheus.


def test_every_metric_that_a_rule_asks_for_exists() -> None:
    page = Page([], reloads=Reloads(), writable=State().writable, broker=BrokerCounts).text()
    ours = set(re.findall(r"^# TYPE (\S+)", page, re.MULTILINE))
    known = {*FAMILIES, *RECORDS, *ours, "smartmeter_poll_duration_seconds_count", "up"}
    for expression in expressions():
        names = re.findall(r"\b(?:meter\w*:)?(?:smartmeter|meterline|process)_[\w:]+|\bup\b", without_labels(expression))
        assert names, expression
        assert set(names) <= known, expression


def test_every_label_and_value_that_a_rule_asks_for_exists() -> None:
    for expression in expressions():
        for name, matchers in re.findall(r"(smartmeter_\w+)\{([^}]*)\}", expression):
            for label, value in re.findall(r'(\w+)!?="([^"]*)"', matchers):
                assert label in FAMILIES[name].labels, expression
                assert value in WORDS[label], expression


def test_records_are_named_by_level_metric_and_operation() -> None:
    for name in RECORDS:
        assert re.fullmatch(r"meter(_\w+)?:smartmeter_[a-z_]+:(ratio(_rate\w+)?|day|period|(avg|rate|increase)\d+[mhd])", name)
        assert "_total:" not in name


def test_no_series_loses_the_labels_of_its_target() -> None:
    for rule in RULES:
        assert not re.search(r"\bby\s*\(", rule["expr"]), "without keeps what a target is labelled with"
        if rule.get("alert") not in ("MeterlineDown", "MeterlineRestarting"):
            assert not re.search(r"\bon\s*\(", rule["expr"]), "ignoring keeps several jobs apart"


OF_THE_PROGRAM = (
    *("MeterlineDown", "MeterlineRestarting", "MeterlineReloadFailed", "MeterlineStateUnwritable", "MeterlineBrokerLost"),
)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_whom_it_is_about_how_bad_it_is_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in ("info", "warning", "critical")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    whom = "instance" if name in OF_THE_PROGRAM else "meter"
    for text in (rule["annotations"]["summary"], rule["annotations"]["description"]):
        assert f"{{{{ $labels.{whom} }}}}" in text
    assert rule["annotations"]["runbook_url"] == f"docs/alerts.md#{name.lower()}"


def test_every_alert_is_explained_and_every_explanation_has_its_alert() -> None:
    sections = re.split(r"^## ", RUNBOOK, flags=re.MULTILINE)[1:]
    explained = {section.split("\n", 1)[0]: section for section in sections if not section.startswith("What is recorded")}
    assert list(explained) == list(ALERTS), "in the order of the file"
    for name, section in explained.items():
        points = re.findall(r"^- \*\*([^*]+)\*\*", section, re.MULTILINE)
        assert points == ["Means", "Why it matters", "Do", "Silence it"], name
        assert "`meterline doctor" in section.split("**Do**")[1], name


def test_every_record_is_in_the_documentation() -> None:
    assert set(re.findall(r"`(meter\w*:[\w:]+)`", RUNBOOK)) == set(RECORDS)


def cases(kind: str) -> Iterator[dict[str, Any]]:
    """Every case of the unit tests: alert_rule_test or promql_expr_test."""
    for file in TESTS:
        for test in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]:
            yield from test.get(kind, [])


def test_every_alert_is_tried_where_it_must_fire_and_where_it_must_not() -> None:
    fires = {case["alertname"] for case in cases("alert_rule_test") if case["exp_alerts"]}
    quiet = {case["alertname"] for case in cases("alert_rule_test") if not case["exp_alerts"]}
    assert fires == quiet == set(ALERTS)


def test_every_record_is_tried() -> None:
    asked = " ".join(case["expr"] for case in cases("promql_expr_test") if case["exp_samples"])
    assert set(re.findall(r"meter\w*:[\w:]+", asked)) == set(RECORDS)


def test_both_examples_load_the_rules() -> None:
    plain, docker = ROOT / "examples" / "prometheus" / "prometheus.yml", ROOT / "examples" / "docker" / "prometheus.yml"
    (pattern,) = yaml.safe_load(plain.read_text(encoding="utf-8"))["rule_files"]
    assert [Path(found).resolve() for found in glob.glob(str(plain.parent / pattern))] == [FILE]
    (pattern,) = yaml.safe_load(docker.read_text(encoding="utf-8"))["rule_files"]
    services = yaml.safe_load((docker.parent / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    mounted = {inside: outside for outside, inside, *_ in (volume.split(":") for volume in services["prometheus"]["volumes"])}
    assert pattern == "rules/*.yml"
    assert (docker.parent / mounted["/etc/prometheus/rules"]).resolve() == FILE.parent


# With Debian's Prometheus.


def promtool(*words: str) -> str:
    """What it says, where it is content."""
    answer = subprocess.run([tool("promtool"), *words], capture_output=True, text=True, timeout=300, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def test_promtool_finds_nothing_to_say_about_the_rules() -> None:
    assert f"SUCCESS: {len(RULES)} rules found" in promtool("check", "rules", str(FILE))


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_the_unit_tests_of_the_rules_succeed(file: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", str(file))


def labelled(file: Path) -> dict[str, Any]:
    """The unit tests of a file, with a label more on every series of a meter, and on all that comes of such series."""
    document: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))

    def more(series: str) -> str:
        return re.sub(r'meter="([^"]*)"', r'building="north", flat="of \1", meter="\1"', series)

    for test in document["tests"]:
        for given in test["input_series"]:
            given["series"] = more(given["series"])
        for case in test.get("promql_expr_test", []):
            for sample in case["exp_samples"] or []:
                sample["labels"] = more(sample["labels"])
        for alert in (alert for case in test.get("alert_rule_test", []) for alert in case["exp_alerts"]):
            if meter := alert["exp_labels"].get("meter"):
                alert["exp_labels"] |= {"building": "north", "flat": f"of {meter}"}
    return document | {"rule_files": [str(FILE)]}


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_the_rules_keep_the_labels_that_a_configuration_gives_its_meters(file: Path, tmp_path: Path) -> None:
    copy = tmp_path / file.name
    copy.write_text(json.dumps(document := labelled(file)), encoding="utf-8")
    if file.stem != "program":
        assert "of home" in json.dumps(document)
    assert "SUCCESS" in promtool("test", "rules", str(copy))


# A meter, meterline and Prometheus together.

PATIENCE = 60.0
"""Seconds that may pass until what must happen has."""


def alerts(database: Database) -> dict[tuple[str, str], str]:
    """Alert and meter → pending or firing."""
    found = database.get("alerts")["alerts"]
    return {(alert["labels"]["alertname"], alert["labels"].get("meter", "")): alert["state"] for alert in found}


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def impatient(name: str) -> str:
    """The rules, with that alert after a second; nothing else is changed."""
    text, count = re.subn(
        rf"(- alert: {name}\n.*?\n {{8}}for: )\w+", r"\g<1>1s", FILE.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    assert count == 1
    return text


@contextmanager
def two_meters(folder: Path) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """The port of a meterline that reads two simulated Linkys, and the simulator of the one called home."""
    ports = [free_port() for _ in range(3)]
    meters = [
        {"name": name, "link": f"tcp://127.0.0.1:{port}", "protocol": "tic", "stale_after": "2"}
        for name, port in zip(("home", "farm"), ports, strict=False)
    ]
    (folder / "meterline.yml").write_text(json.dumps({"meters": meters}), encoding="utf-8")
    simulate = ("simulate", "tic", "--mode", "standard", "--tcp")
    run = ("run", "--config.file", str(folder / "meterline.yml"), "--state.dir", str(folder / "state"))
    with (
        program(*simulate, f"127.0.0.1:{ports[0]}") as home,
        program(*simulate, f"127.0.0.1:{ports[1]}"),
        program(*run, "--web.listen-address", f"127.0.0.1:{ports[2]}"),
    ):
        yield ports[2], home


def test_a_meter_that_is_silenced_raises_its_alert_and_no_other_until_it_speaks_again(tmp_path: Path) -> None:
    binary = tool("prometheus")
    (tmp_path / "rules.yml").write_text(impatient("SmartMeterSilent"), encoding="utf-8")
    with two_meters(tmp_path) as (port, home):
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yml"],
            "scrape_configs": [{"job_name": "power", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}],
        }
        until(lambda: page(port).count("smartmeter_apparent_power_import_voltamperes{") == 2, "the meters do not speak")
        with prometheus(binary, tmp_path, json.dumps(config)) as database:
            until(lambda: len(database.now("smartmeter_up == 1")) == 2, "nothing is scraped")
            until(lambda: len(database.now("meter:smartmeter_subscribed_power_used:ratio")) == 2, "nothing is recorded")
            assert alerts(database) == {}
            home.send_signal(signal.SIGSTOP)
            try:
                until(lambda: alerts(database) == {("SmartMeterSilent", "home"): "firing"}, "no alert, or others")
            finally:
                home.send_signal(signal.SIGCONT)
            until(lambda: alerts(database) == {}, "the alert stays")
            rules = [rule for group in database.get("rules")["groups"] for rule in group["rules"]]
            assert len(rules) == len(RULES)
            assert {(rule["health"], rule.get("lastError", "")) for rule in rules} == {("ok", "")}
