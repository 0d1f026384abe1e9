"""Meters on a real broker: announced, as fresh as they are, gone when they are."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.live_meters import HISTORIC, LIMIT, fake, free_port, logged, run, talking, until
from support.mosquitto import (
    ENERGY,
    POWER,
    Broker,
    Heard,
    Stage,
    Watcher,
    configured,
    mosquitto,
    publishing,
    retained,
    watching,
)
from support.sample_tariffs import tariffs

from meterline.config.schema import Config, MeterConfig
from meterline.meter.exposition import Page
from meterline.meter.families import FAMILIES
from meterline.meter.meter import Meter
from meterline.meter.readings import Series, Text, Value
from meterline.outputs.mqtt.state import series_of
from meterline.service.supervisor import Runtime
from meterline.store import State

CONFIG = "homeassistant/device/meterline-main/home/config"
STATE = "meterline/main/home/state"
AVAILABLE = "meterline/main/home/available"
STATUS = "meterline/main/status"
FRAME: dict[Series, Value] = {ENERGY: 32_522_424, POWER: 1110, ("smartmeter_overload",): 0}


@pytest.fixture
def broker(tmp_path: Path):  # type: ignore[no-untyped-def]
    with mosquitto(tmp_path) as found:
        yield found


async def speaks(watcher: Watcher, stage: Stage, meter: str = "home", device: str | None = None) -> None:
    """Wait until the meter is announced, and its values are there."""
    base = f"meterline/main/{device or meter}"
    await until(lambda: watcher.last(f"{base}/available") == "online" and watcher.last(f"{base}/state") is not None)


def test_a_meter_is_announced_once_as_a_device_and_its_states_are_not_retained(broker: Broker) -> None:
    async def test() -> None:
        async with watching(broker.port) as watcher, publishing(configured(broker.port, "home")) as stage:
            stage.say("home", FRAME)
            await speaks(watcher, stage)
            while len(watcher.of(STATE)) < 4:
                stage.say("home", FRAME)
                await asyncio.sleep(0.1)
            config = watcher.last(CONFIG)
            assert len(watcher.of(CONFIG)) == 1
            assert config["origin"]["name"] == "meterline"
            assert config["device"] == {"identifiers": ["meterline-main_home"], "name": "home"}
            assert config["state_topic"] == STATE
            assert {one["topic"] for one in config["availability"]} == {STATUS, STATE}
            energy = config["components"]["energy_import_watthours_total"]
            assert (energy["device_class"], energy["state_class"], energy["unit_of_measurement"]) == (
                "energy",
                "total_increasing",
                "Wh",
            )
            state = watcher.last(STATE)
            assert state["energy_import_watthours_total"] == 32_522_424
            assert state["overload"] is False
            assert set(config["components"]) <= set(state)
            assert json.loads(watcher.of(STATUS)[-1])["status"] == "online"
            assert stage.outputs.broker
            assert stage.outputs.broker.is_connected
        lies = await retained(broker.port)
        assert lies.keys() == {CONFIG, AVAILABLE, STATUS}
        assert lies[AVAILABLE] == "offline"
        assert json.loads(lies[STATUS])["status"] == "offline"

    run(test())


def test_a_reading_that_nobody_confirms_is_null_at_once_and_a_silent_meter_offline(broker: Broker) -> None:
    async def test() -> None:
        now = [1000.0]
        config = configured(broker.port, MeterConfig("home", "/dev/home", stale_after=30.0), interval=60.0)
        async with watching(broker.port) as watcher, publishing(config, clock=lambda: now[0]) as stage:
            while watcher.last(AVAILABLE) != "online":
                now[0] += 0.25  # for the look at what is retained
                stage.say("home", {ENERGY: 32_522_424, POWER: 1110})
                await asyncio.sleep(0.01)
            count = len(watcher.of(STATE))
            now[0] += 5.0  # it is sent again when it is settled
            await until(lambda: len(watcher.of(STATE)) > count)
            now[0] += 15.0
            stage.say("home", {ENERGY: 32_522_424})
            now[0] += 11.0  # nobody has said the power for 31 s
            await until(lambda: watcher.last(STATE)["apparent_power_import_voltamperes"] is None)
            assert watcher.last(STATE)["energy_import_watthours_total"] == 32_522_424
            assert watcher.last(AVAILABLE) == "online"
            before = len(watcher.heard)
            now[0] += 20.0
            await watcher.hears(AVAILABLE, "offline", before)
            await until(lambda: watcher.last(STATE)["energy_import_watthours_total"] is None)
            assert watcher.last(STATE)["up"] is False
            offline = watcher.heard.index(Heard(AVAILABLE, "offline", False), before)
            gone = next(n for n, one in enumerate(watcher.heard) if n >= before and one.topic == STATE)
            assert offline < gone, "no state before it is known that the meter is silent"

    run(test())


def test_an_overload_and_a_change_of_tariff_do_not_wait_for_the_interval(broker: Broker) -> None:
    async def test() -> None:
        async with watching(broker.port) as watcher, publishing(configured(broker.port, "home", interval=60.0)) as stage:
            cheap: dict[Series, Value] = {("smartmeter_tariff_active", "HC"): 1, ("smartmeter_tariff_active", "HP"): 0}
            dear: dict[Series, Value] = {("smartmeter_tariff_active", "HC"): 0, ("smartmeter_tariff_active", "HP"): 1}
            stage.say("home", FRAME | cheap)
            await speaks(watcher, stage)
            assert watcher.last(CONFIG)["components"]["tariff_active"]["options"] == ["HC", "HP", "unknown"]
            stage.say("home", FRAME | cheap | {("smartmeter_overload",): 1})
            await until(lambda: watcher.last(STATE)["overload"], seconds=30.0)
            stage.say("home", FRAME | dear | {("smartmeter_overload",): 1})
            await until(lambda: watcher.last(STATE)["tariff_active"] == "HP", seconds=30.0)

    run(test())


def test_a_broker_that_was_away_is_told_everything_again(broker: Broker) -> None:
    async def test() -> None:
        async with publishing(configured(broker.port, "home")) as stage:
            stage.say("home", FRAME)
            async with watching(broker.port) as watcher:
                await speaks(watcher, stage)
            counts = stage.outputs.broker
            assert counts
            broker.stop()
            await until(lambda: not counts.is_connected)
            for power in (1000, 3000, 2220):
                stage.say("home", FRAME | {POWER: power})
                await asyncio.sleep(0.6)
            broker.start()
            async with watching(broker.port) as watcher:
                await speaks(watcher, stage)
                assert watcher.last(CONFIG)["components"]
                assert {json.loads(text)["apparent_power_import_voltamperes"] for text in watcher.of(STATE)} == {2220}
            assert counts.connections == 2

    run(test())


def test_home_assistant_that_has_started_is_told_everything_again(broker: Broker) -> None:
    async def test() -> None:
        async with watching(broker.port) as watcher, publishing(configured(broker.port, "home", interval=60.0)) as stage:
            stage.say("home", FRAME)
            await speaks(watcher, stage)
            before = len(watcher.heard)
            await watcher.publish("homeassistant/status", "online")
            for topic in (CONFIG, STATE, AVAILABLE, STATUS):
                await watcher.hears(topic, since=before)

    run(test())


def test_an_exchanged_meter_is_another_device_also_after_a_restart_and_a_lost_state(broker: Broker, tmp_path: Path) -> None:
    async def test() -> None:
        second = CONFIG.replace("home/", "home_2/")
        config = configured(broker.port, "home")
        async with watching(broker.port) as watcher, publishing(config, State(str(tmp_path / "state"))) as stage:
            for _ in range(2):
                stage.say("home", FRAME, "061234567890")
            await speaks(watcher, stage)
            stage.say("home", FRAME | {ENERGY: 99}, "061234567891")  # damaged once
            stage.say("home", FRAME, "061234567890")
            for _ in range(3):
                stage.say("home", FRAME | {ENERGY: 5}, "069999999999")
            await speaks(watcher, stage, device="home_2")
            assert watcher.last("meterline/main/home_2/state")["energy_import_watthours_total"] == 5
            assert watcher.last(AVAILABLE) == "offline"
            assert watcher.last(second)["device"] == {"identifiers": ["meterline-main_home_2"], "name": "home (2)"}
            energies = [json.loads(text).get("energy_import_watthours_total") for text in watcher.of(STATE)]
            assert set(energies) <= {32_522_424, None}
            assert set(watcher.last(STATE).values()) <= {None, False}, "of the old device nothing is true any more"
            stage.runtime.state.close()
        for folder in ("state", "another"):
            async with watching(broker.port) as watcher, publishing(config, State(str(tmp_path / folder))) as stage:
                for _ in range(2):
                    stage.say("home", FRAME | {ENERGY: 6}, "069999999999")
                await until(lambda: (watcher.last("meterline/main/home_2/state") or {}).get("energy_import_watthours_total"))
                assert set(watcher.of(STATE)) == {'{"up": false}'}
                assert CONFIG in {one.topic for one in watcher.heard}, "the former device stays, and is offline"
                stage.runtime.state.close()
        lies = json.dumps(await retained(broker.port))
        assert "0612345678" not in lies
        assert "0699999999" not in lies

    run(test())


def test_a_meter_that_was_exchanged_while_nobody_listened_is_not_taken_for_the_old_one(broker: Broker, tmp_path: Path) -> None:
    async def test() -> None:
        config = configured(broker.port, "home")
        async with watching(broker.port) as watcher, publishing(config, State(str(tmp_path / "state"))) as stage:
            for _ in range(2):
                stage.say("home", FRAME, "1")
            await speaks(watcher, stage)
            stage.runtime.state.close()
        async with watching(broker.port) as watcher, publishing(config, State(str(tmp_path / "state"))) as stage:
            stage.say("home", FRAME | {ENERGY: 5}, "2")
            await watcher.hears(STATE)
            assert watcher.last(STATE)["energy_import_watthours_total"] is None
            assert watcher.last(AVAILABLE) == "offline"
            stage.say("home", FRAME | {ENERGY: 5}, "2")
            await speaks(watcher, stage, device="home_2")
            assert all(json.loads(text).get("energy_import_watthours_total") is None for text in watcher.of(STATE))
            assert watcher.last(STATE)["up"] is False
            stage.runtime.state.close()

    run(test())


def test_a_meter_that_is_not_configured_any_more_disappears(broker: Broker) -> None:
    async def test() -> None:
        async with watching(broker.port) as watcher, publishing(configured(broker.port, "home", "farm")) as stage:
            for name in ("home", "farm"):
                stage.say(name, FRAME)
                await speaks(watcher, stage, name)
            await stage.runtime.change(configured(broker.port, "home", "barn"))
            await stage.outputs.change()
            await watcher.hears("homeassistant/device/meterline-main/farm/config", "")
            await watcher.hears("meterline/main/farm/available", "")
            stage.say("barn", FRAME)
            await speaks(watcher, stage, "barn")
            assert len(watcher.of(CONFIG)) >= 2, "announced again after a reload"
        assert CONFIG.replace("home/", "barn/") in await retained(broker.port)
        async with watching(broker.port) as watcher, publishing(configured(broker.port, "home")) as stage:
            stage.say("home", FRAME)
            await watcher.hears("homeassistant/device/meterline-main/barn/config", "")
            await watcher.hears("meterline/main/barn/available", "")
            await speaks(watcher, stage)
        assert (await retained(broker.port)).keys() == {CONFIG, AVAILABLE, STATUS}

    run(test())


def test_another_place_on_the_broker_leaves_nothing_in_the_old_one(broker: Broker) -> None:
    async def test() -> None:
        async with watching(broker.port) as watcher, publishing(configured(broker.port, "home")) as stage:
            stage.say("home", FRAME)
            await speaks(watcher, stage)
            await stage.runtime.change(configured(broker.port, "home", instance="other"))
            await stage.outputs.change()
            await until(lambda: watcher.last("meterline/other/home/available") == "online")
            assert all(
                topic.startswith(("meterline/other/", "homeassistant/device/meterline-other/"))
                for topic in await retained(broker.port)
            )
            await stage.runtime.change(configured(free_port(), "home", instance="other"))
            await stage.outputs.change()
            assert not await retained(broker.port)

    run(test())


def test_a_second_process_with_the_same_instance_is_said_and_removes_nothing(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        with caplog.at_level(logging.WARNING):
            async with (
                watching(broker.port) as watcher,
                publishing(configured(broker.port, "home")) as first,
            ):
                first.say("home", FRAME)
                await speaks(watcher, first)
                async with publishing(configured(broker.port, "home", "farm")) as second:
                    second.say("farm", FRAME)
                    await speaks(watcher, second, "farm")
                    await until(lambda: sum("another process publishes" in text for text in logged(caplog)) >= 2)
                    before = len(watcher.heard)
                    async with publishing(configured(broker.port, "farm")) as third:
                        third.say("farm", FRAME)
                        await watcher.hears("meterline/main/farm/available", "online", before)
                        assert "" not in watcher.of(CONFIG), "the meter of another process"
                    await watcher.hears("meterline/main/farm/available", "offline", before)
                await until(lambda: json.loads(watcher.of(STATUS)[-1])["status"] == "online")

    run(test())


def test_a_defect_of_one_meter_is_not_the_end_of_the_others(
    broker: Broker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(meter: Meter, *rest: object) -> Iterator[tuple[Series, float | str]]:
        if meter.name == "home":
            raise RuntimeError("broken")
        return series_of(meter, *rest)  # type: ignore[arg-type]

    async def test() -> None:
        async with watching(broker.port) as watcher, publishing(configured(broker.port, "home", "farm")) as stage:
            for name in ("home", "farm"):
                stage.say(name, FRAME)
            await speaks(watcher, stage, "farm")
            assert not watcher.of(STATE)
            await until(lambda: any("a defect in meterline" in text for text in logged(caplog)))

    monkeypatch.setattr("meterline.outputs.mqtt.publisher.series_of", broken)
    run(test())


@pytest.mark.parametrize("name", ["a/b#", "a+b", 'quote"{{ x }}', "東京", "line\u2028end"])
def test_no_name_of_a_meter_leaves_its_place(broker: Broker, name: str) -> None:
    async def test() -> None:
        async with watching(broker.port) as watcher, publishing(configured(broker.port, name)) as stage:
            stage.say(name, FRAME)
            await until(lambda: any(one.topic.endswith("/state") for one in watcher.heard))
            (slug,) = {one.topic.split("/")[2] for one in watcher.heard if one.topic.endswith("/state")}
            config = watcher.last(f"homeassistant/device/meterline-main/{slug}/config")
            assert config["device"]["name"] == name
            assert all(one.topic.split("/")[0] in ("meterline", "homeassistant") for one in watcher.heard)
            assert all(len(one.topic.split("/")) in (3, 4, 5) for one in watcher.heard)

    run(test())


def test_free_text_of_the_wire_is_a_value_and_nothing_else_and_no_number_is_sent_unasked(broker: Broker) -> None:
    nasty = "{{ states('x') }} {% raw %} \"quoted\"\nnext line"
    facts: dict[Series, Value] = {
        ("smartmeter_message_info", "short"): Text(nasty),
        ("smartmeter_tariff_info", "name"): Text(nasty),
        ("smartmeter_energy_import_tariff_watthours_total", "}}{{ 'x"): 5,
        ("smartmeter_info", "prm"): "30001234567890",
        ("smartmeter_info", "address"): "061234567890",
        ("smartmeter_info", "identification"): "FE0000060102030405",
        ("smartmeter_info", "type"): "Linky",
    }

    async def test(is_asked: bool) -> None:
        async with watching(broker.port) as watcher, publishing(configured(broker.port, "home", serial=is_asked)) as stage:
            for _ in range(3):
                stage.say("home", FRAME | facts, "061234567890")
            await speaks(watcher, stage)
            await until(lambda: watcher.last(STATE).get("message_info_short") == nasty)
            config, state = watcher.last(CONFIG), watcher.last(STATE)
            key = "energy_import_tariff_watthours_total_-7d-7d-7b-7b-20-27x"
            assert state[key] == 5
            assert config["components"][key]["value_template"] == f"{{{{ value_json.get('{key}') }}}}"
            everything = "".join(one.topic + one.payload for one in watcher.heard)
            for number in ("30001234567890", "061234567890", "FE0000060102030405"):
                assert (number in everything) is is_asked
            assert config["device"].get("serial_number") == ("061234567890" if is_asked else None)
            assert config["device"]["model"] == "Linky"

    run(test(False))
    run(test(True))


def test_another_area_in_the_configuration_is_announced_with_the_next_state(broker: Broker) -> None:
    async def test() -> None:
        async with watching(broker.port) as watcher, publishing(configured(broker.port, "home")) as stage:
            for _ in range(3):
                stage.say("home", FRAME)
            await speaks(watcher, stage)
            assert "suggested_area" not in watcher.last(CONFIG)["device"]
            stage.runtime.meters["home"].labels = {"area": "Cellar"}
            await until(lambda: watcher.last(CONFIG)["device"].get("suggested_area") == "Cellar")

    run(test())


def test_each_entity_has_a_topic_of_its_own_for_older_ones_and_moves_to_its_device(broker: Broker) -> None:
    energy = "homeassistant/sensor/meterline-main/home_energy_import_watthours_total/config"
    overload = "homeassistant/binary_sensor/meterline-main/home_overload/config"

    async def test() -> None:
        async with watching(broker.port) as watcher:
            async with publishing(configured(broker.port, "home", discovery="component")) as stage:
                stage.say("home", FRAME)
                await speaks(watcher, stage)
                await watcher.hears(energy)
                await watcher.hears(overload)
                assert watcher.last(energy)["unique_id"] == "meterline-main_home_energy_import_watthours_total"
                assert watcher.last(energy)["availability_mode"] == "all"
                assert "platform" not in watcher.last(energy)
                assert not watcher.of(CONFIG)
            before = len(watcher.heard)
            async with publishing(configured(broker.port, "home")) as stage:
                await watcher.hears(energy, "", before)
                order = [one[:2] for one in watcher.heard[before:] if one.topic in (energy, CONFIG)]
                assert [topic for topic, _ in order[:3]] == [energy, CONFIG, energy]
                assert json.loads(order[0][1]) == {"migrate_discovery": True}
                assert "energy_import_watthours_total" in json.loads(order[1][1])["components"], "before the meter has spoken"
            before = len(watcher.heard)
            async with publishing(configured(broker.port, "home", discovery="off")) as stage:
                stage.say("home", FRAME)
                await watcher.hears(CONFIG, "", before)
                await watcher.hears(STATE, since=before)
        assert (await retained(broker.port)).keys() == {AVAILABLE, STATUS}

    run(test())


def test_an_entity_of_another_version_is_removed(broker: Broker) -> None:
    async def test() -> None:
        async with watching(broker.port) as watcher:
            old = {
                "components": {
                    "of_old": {"platform": "sensor", "name": "x"},
                    "power_watts": {"platform": "sensor", "name": "y"},
                }
            }
            await watcher.publish(CONFIG, json.dumps(old), is_kept=True)
            async with publishing(configured(broker.port, "home")) as stage:
                stage.say("home", FRAME)
                await speaks(watcher, stage)
                components = watcher.last(CONFIG)["components"]
                assert components["of_old"] == {"platform": "sensor"}
                assert components["power_watts"]["device_class"] == "power"
                assert watcher.last(STATE)["power_watts"] is None

    run(test())


def test_a_simulated_meter_of_sixty_entities_is_read_and_published(broker: Broker) -> None:
    async def test() -> None:
        async with talking(fake("standard", "TEMPO", phases=3)) as link, watching(broker.port) as watcher:
            config = configured(broker.port, MeterConfig("home", link, stale_after=LIMIT))
            async with publishing(config) as stage:
                reading = asyncio.create_task(stage.runtime.run())
                await until(lambda: len((watcher.last(CONFIG) or {"components": ()})["components"]) > 60)
                await until(lambda: (watcher.last(STATE) or {}).get("tempo_colour_today") in ("blue", "white", "red"))
                components = watcher.last(CONFIG)["components"]
                assert {"unknown", "blue", "white", "red"} == set(components["tempo_colour_today"]["options"])
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    run(test())


def test_what_is_sent_of_a_meter_is_what_metrics_shows_of_the_meter(tmp_path: Path) -> None:
    prices = tariffs(periods=[{"since": "2020-01-01", "registers": {"HCHC": "0.2068", "HCHP": "0.27"}}])

    async def test() -> None:
        async with talking(fake()) as link:
            config = Config((MeterConfig("home", link, "tic", HISTORIC, stale_after=LIMIT, tariffs=prices),))
            runtime = Runtime(config, State(str(tmp_path)))
            reading = asyncio.create_task(runtime.run())
            meter = runtime.meters["home"]
            await until(lambda: any(series[0] == "smartmeter_cost_total" for series, _ in runtime.books.shown("home")))
            await until(lambda: any(series[0] == "smartmeter_cost_day" for series, _ in runtime.books.shown("home")))
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            page = Page([meter], runtime.books.refresh).one(meter)
            shown: dict[str, float] = {}
            for family in text_string_to_metric_families(page):
                catalogued = FAMILIES.get(family.name) or FAMILIES.get(f"{family.name}_total") or FAMILIES[family.name]
                for sample in family.samples:
                    if catalogued.type == "info":
                        infos = [(catalogued.name, label) for label in catalogued.labels if label in sample.labels]
                        shown |= {"-".join(series): 1.0 for series in infos}
                    else:
                        labels = (sample.labels[label] for label in catalogued.labels)
                        shown["-".join((catalogued.name, *labels))] = sample.value
            said = {"-".join(s): 1.0 if isinstance(v, str) else float(v) for s, v in series_of(meter, runtime.books)}
            assert {"smartmeter_cost_day-EUR", "smartmeter_cost_total-EUR-HCHP", "smartmeter_price-EUR-HCHC"} <= said.keys()
            assert said == shown
            runtime.state.close()

    run(test())
