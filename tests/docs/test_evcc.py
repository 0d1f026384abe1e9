"""The recipes for evcc: their keys are documented, and a value comes out of each where the meter says one, and none elsewhere.

What evcc does with a value: https://docs.evcc.io/en/reference/plugins. The first group of a regular expression, the whole text
where nothing matches; then jq; then a number, or an error; then the factor.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.live_meters import LIMIT, fetch, free_port, page, paged, program
from support.live_meters import run as run_in_time
from support.mosquitto import configured, mosquitto, publishing, watching
from support.prometheus_server import prometheus, tool

from meterline.config.labels import Labels
from meterline.config.schema import MeterConfig
from meterline.meter.readings import Reading, Series, Snapshot

PAGE = (Path(__file__).parents[2] / "docs" / "evcc.md").read_text(encoding="utf-8")
BLOCKS: list[dict[str, Any]] = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
SERVER = "http://192.168.1.10:10230"

ATTRIBUTES = {"power", "energy", "currents", "voltages", "powers", "soc", "capacity"}
"""What a custom meter may have."""
OF_A_TEXT = {"regex", "default", "jq", "quote", "unpack", "decode", "scale"}
KEYS = {
    "http": {"uri", "method", "headers", "body", "auth", "insecure", "timeout", "cache", *OF_A_TEXT},
    "mqtt": {"topic", "payload", "retained", "timeout", "broker", "user", "password", *OF_A_TEXT},
    "prometheus": {"uri", "query", "timeout"},
    "calc": {"add", "mul", "div", "min", "max", "abs", "sign"},
}
FAMILIES = {
    "apparent_power_import_voltamperes": 1110.0,
    "apparent_power_export_voltamperes": 250.0,
    "power_watts": -840.0,
    "energy_import_watthours_total": 32522424.0,
}
SAID: dict[Series, float] = {
    **{(f"smartmeter_{name}",): value for name, value in FAMILIES.items()},
    **{("smartmeter_current_amperes", phase): amperes for phase, amperes in (("1", 5.0), ("2", 0.0), ("3", 12.0))},
}


def sources(value: Any) -> Iterator[dict[str, Any]]:
    """Every plugin below a part of a recipe."""
    if isinstance(value, list):
        for one in value:
            yield from sources(one)
    elif isinstance(value, dict):
        if "source" in value:
            yield value
        for one in value.values():
            yield from sources(one)


def of(*kinds: str) -> list[dict[str, Any]]:
    """The meters whose values all come from such sources."""
    meters = [meter for block in BLOCKS for meter in block["meters"]]
    return [meter for meter in meters if {source["source"] for source in sources(meter)} <= {*kinds, "calc"}]


def test_every_key_of_a_recipe_is_documented() -> None:
    assert len(BLOCKS) == 5
    for block in BLOCKS:
        assert set(block) == {"meters"}
        for meter in block["meters"]:
            assert meter["type"] == "custom"
            assert {"power", "energy"} <= set(meter) - {"name", "type"} <= ATTRIBUTES
            assert len(meter.get("currents", [None] * 3)) == 3
            for source in sources(meter):
                assert set(source) - {"source"} <= KEYS[source["source"]]


def test_expressions_are_those_that_go_knows() -> None:
    for source in (source for block in BLOCKS for source in sources(block)):
        assert not re.search(r"\(\?[=!<P]|\\[1-9]", source.get("regex", "")), "RE2 has neither look-around nor back-references"
        assert "default" not in source, "a value that is missing must be an error"


def through(text: str, source: dict[str, Any]) -> float:
    """A text as evcc makes a number of it. ValueError: there is none."""
    if (pattern := source.get("regex")) and (match := re.search(pattern, text)):
        text = match[1] if match.lastindex else match[0]
    if query := source.get("jq"):
        answer = subprocess.run(["jq", query], input=text, capture_output=True, text=True, timeout=LIMIT, check=True)
        text = answer.stdout.strip().replace("null", "<nil>")
    return float(text) * float(source.get("scale", 1))


def value(source: dict[str, Any], read: Callable[[dict[str, Any]], float]) -> float:
    """What evcc gets of a plugin."""
    if source["source"] == "calc":
        return sum(value(part, read) for part in source["add"])
    return read(source)


def expected(meter: dict[str, Any]) -> float:
    """The power that its recipe is about."""
    text = json.dumps(meter["power"])
    if "power_watts" in text:
        return -840.0
    return 860.0 if "export" in text else 1110.0


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("labels", [{}, {"area": 'a} 7 phase="1"', "zone": "x"}], ids=["plain", "labelled"])
def test_a_recipe_over_http_gives_what_the_meter_says_and_nothing_when_it_is_silent(
    number: int, labels: dict[str, str]
) -> None:
    recipe = of("http")[number]

    async def test() -> None:
        now = 1000.0
        home = MeterConfig("home", "/dev/home", stale_after=30, labels=Labels(labels))
        async with paged(home, "farm", clock=lambda: now) as (url, live):

            def read(source: dict[str, Any]) -> float:
                uri = source["uri"].replace(SERVER, url)
                assert uri != source["uri"]
                return through(fetch(uri)[2].decode(), source)

            for other in ("farm", "home"):
                shift = 7.0 if other == "farm" else 0.0
                said = tuple(Reading(series, number + shift) for series, number in SAID.items())
                live.meters[other].take(Snapshot(said))
            assert await asyncio.to_thread(value, recipe["power"], read) == expected(recipe)
            assert await asyncio.to_thread(value, recipe["energy"], read) == pytest.approx(32522.424)
            currents = [await asyncio.to_thread(value, current, read) for current in recipe.get("currents", [])]
            assert currents in ([], [5.0, 0.0, 12.0])
            now += 31
            for source in (recipe["power"], recipe["energy"]):
                with pytest.raises(ValueError, match="could not convert"):
                    await asyncio.to_thread(value, source, read)

    assert len(of("http")) == 3
    asyncio.run(test())


def test_the_recipe_over_mqtt_gives_what_the_meter_says_and_nothing_for_null(tmp_path: Path) -> None:
    if not shutil.which("jq"):
        pytest.skip("no jq here: it is in Debian's package jq")
    (recipe,) = of("mqtt")
    (topic,) = {source["topic"] for source in sources(recipe)}
    others = re.findall(r"`(\.\w+(?: - \.\w+)?)`", PAGE.split("\n## MQTT\n")[1].split("\n## ")[0])
    with mosquitto(tmp_path) as broker:

        async def test() -> None:
            config = configured(broker.port, "home")
            async with watching(broker.port) as watcher, publishing(config) as stage:
                stage.say("home", dict(SAID))
                await watcher.hears(topic)
                text = watcher.of(topic)[-1]

                def read(source: dict[str, Any]) -> float:
                    return through(text, source)

                assert value(recipe["power"], read) == 1110
                assert value(recipe["energy"], read) == pytest.approx(32522.424)
                assert [value(current, read) for current in recipe["currents"]] == [5, 0, 12]
                assert [through(text, {"jq": query}) for query in others] == [860, -840]
                gone = json.dumps(dict.fromkeys(json.loads(text)))
                with pytest.raises(ValueError, match="could not convert"):
                    through(gone, recipe["power"])

        run_in_time(test())


def test_the_recipe_from_prometheus_asks_for_one_series(tmp_path: Path) -> None:
    binary, port = tool("prometheus"), free_port()
    (recipe,) = of("prometheus")
    link = tmp_path / "meter"
    (tmp_path / "meterline.yml").write_text(f"meters: [{{name: home, link: '{link}', protocol: tic}}]", encoding="utf-8")
    scrape = [{"job_name": "meterline", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}]
    config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": scrape}
    run = ("run", "--config.file", str(tmp_path / "meterline.yml"), "--state.dir", str(tmp_path / "state"))
    with (
        program("simulate", "tic", "--mode", "standard", "--pty", str(link)) as simulator,
        program(*run, "--web.listen-address", f"127.0.0.1:{port}"),
        prometheus(binary, tmp_path, json.dumps(config)) as database,
    ):
        assert simulator.stdout
        page(port)
        energy = recipe["energy"]["query"]
        found: dict[Any, list[float]] = {}
        for _ in range(int(LIMIT * 5)):
            if found := database.now(energy):
                break
            asyncio.run(asyncio.sleep(0.2))
        ((kilowatthours,),) = found.values()
        assert kilowatthours > 0
        # A Linky says no watts: evcc is told that there is no series, and takes no 0 for it.
        assert database.now(recipe["power"]["query"]) == {}
        assert urllib.parse.urlsplit(recipe["power"]["uri"]).port == 9090
