"""Our meters in a real Home Assistant, over a real broker: what a person finds there, and what is never shown.

`make home-assistant` runs these tests. Each has a broker, a Home Assistant and a program of its own.
"""

from __future__ import annotations

import asyncio
import datetime
import itertools
import signal
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from support.home_assistant import HomeAssistant, discovery, environment, home_assistant
from support.live_meters import free_port, program
from support.metered_home import ENERGY, Home, Meterline, configured, metered_home
from support.mosquitto import mosquitto

from meterline.outputs.mqtt.connection import LONGEST_PAUSE_S
from meterline.protocols.broute.simulator.commands import FakeMeter

COST = "cost_total_EUR_BASE"
POWER = "apparent_power_import_voltamperes"
RIGHT_WITHIN_S = 60.0
"""After a restart everything is right again."""
INTERVAL_S = 2.0
FRESH_S = 5.0
"""What was just sent is not older, at this interval."""
STALE_S = 15.0
"""Nothing older is ever shown: the meter's own ten seconds, an interval, and a slow machine."""


@pytest.fixture(autouse=True)
def _only_where_home_assistant_is() -> None:
    environment()


def run(test: Coroutine[Any, Any, None], seconds: float = 300.0) -> None:
    asyncio.run(asyncio.wait_for(test, seconds))


def attributes(state: dict[str, Any], entry: dict[str, Any]) -> tuple[str | None, ...]:
    """Name, class, unit, state class and category of an entity."""
    given = state["attributes"]
    names = ("device_class", "unit_of_measurement", "state_class")
    return (entry["original_name"], *(given.get(name) for name in names), entry["entity_category"])


async def statistics(home: HomeAssistant, *entities: str) -> dict[str, list[dict[str, float]]]:
    """Entity → its sums, one each five minutes."""
    since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    words = {"start_time": since.isoformat(), "statistic_ids": list(entities), "period": "5minute", "types": ["sum", "state"]}
    found: dict[str, list[dict[str, float]]] = await home.ask("recorder/statistics_during_period", **words)
    return found


# What a person finds

HISTORIC = {
    "up": ("Meter speaks", "connectivity", None, None, "diagnostic"),
    "overload": ("Overload", "problem", None, None, None),
    POWER: ("Apparent power, import", "apparent_power", "VA", "measurement", None),
    "current_amperes_1": ("Current · phase 1", "current", "A", "measurement", None),
    "subscribed_power_voltamperes": ("Subscribed power", "apparent_power", "VA", None, "diagnostic"),
    ENERGY: ("Import by tariff, supplier · base (BASE)", "energy", "Wh", "total_increasing", None),
    "energy_import_watthours_total": ("Total import", "energy", "Wh", "total_increasing", None),
    "energy_import_day_watthours": ("Import today", "energy", "Wh", "total", None),
    "tariff_active": ("Active register", "enum", None, None, None),
    COST: ("Cost of energy · EUR · base (BASE)", "monetary", "EUR", "total", None),
    "cost_day_EUR": ("Cost today · EUR", "monetary", "EUR", "total", None),
    "price_EUR_BASE": ("Price per kWh · EUR · base (BASE)", None, "EUR/kWh", "measurement", None),
}


def test_a_linky_is_a_device_whose_entities_have_name_class_unit_and_state_class(tmp_path: Path) -> None:
    async def test() -> None:
        async with metered_home(tmp_path) as home:
            await home.is_right(await home.entity(ENERGY), RIGHT_WITHIN_S, STALE_S)
            await home.entity(COST)
            (device,) = (await home.assistant.devices()).values()
            assert device["name"] == "home"
            entries, states = await home.assistant.entities("home"), await home.assistant.states()
            found = {key: attributes(states[entries[key]["entity_id"]], entries[key]) for key in HISTORIC}
            assert found == HISTORIC
            assert states[entries[POWER]["entity_id"]]["state"] == "5400"
            assert states[entries["cost_day_EUR"]["entity_id"]]["attributes"]["last_reset"]
            named = [entry["entity_id"] for entry in entries.values()]
            assert not [name for name in named if name.endswith(("_2", "_3"))], "two entities have one name"
            assert "042175" not in str(device) + str(entries), "the number of the meter"

    run(test())


def test_every_entity_of_a_three_phase_standard_linky_and_of_a_b_route_meter_is_taken(tmp_path: Path) -> None:
    """All are enabled, so that Home Assistant judges each of them; it complains of none."""

    async def test() -> None:
        linky, module = (f"127.0.0.1:{free_port()}" for _ in range(2))
        three_phases = ("--mode", "standard", "--phases", "3", "--producer", "--contract", "tempo")
        household = FakeMeter()
        secrets = {"id": household.id, "password": household.password, "interval": 10}
        meters = [
            {"name": "Maison d'été", "link": f"tcp://{linky}", "protocol": "tic", "options": {"mode": "standard"}},
            {"name": "東京", "link": f"tcp://{module}", "protocol": "broute", "options": secrets},
        ]
        with (
            mosquitto(tmp_path) as broker,
            program("simulate", "tic", *three_phases, "--tcp", linky),
            program("simulate", "broute", "--solar", "--tcp", module),
        ):
            meterline = Meterline(tmp_path / "meterline", configured(broker, meters, language="fr"))
            async with home_assistant(tmp_path / "home-assistant", broker.port) as home:
                meterline.start()
                try:
                    french = await complete(home, "Maison d'été", "energy_export_watthours_total")
                    japanese = await complete(home, "東京", *JAPANESE)
                    for entry in (*french.values(), *japanese.values()):
                        await home.ask("config/entity_registry/update", entity_id=entry["entity_id"], disabled_by=None)
                    await home.stop()
                    await home.start()
                    names = {entry["entity_id"] for entry in (*french.values(), *japanese.values())}
                    await home.until(lambda: all_speak(home, names), "not every entity is available")
                    states = await home.states()
                    assert len(french) > 60
                    assert french["energy_export_watthours_total"]["original_name"] == "Énergie injectée"
                    colour = states[french["tempo_colour_today"]["entity_id"]]
                    assert colour["state"] in ("blue", "white", "red")
                    if discovery() == "device":  # older ones take no options over MQTT
                        assert {colour["state"], "unknown"} <= set(colour["attributes"]["options"])
                    found = {key: attributes(states[japanese[key]["entity_id"]], japanese[key])[1:] for key in JAPANESE}
                    assert found == JAPANESE
                    assert not {states[name]["attributes"].get("unit_of_measurement") for name in names} & {"kVA", "kvarh"}
                finally:
                    await meterline.stop()

    run(test())


JAPANESE = {
    "power_watts": ("power", "W", "measurement", None),
    "energy_import_watthours_total": ("energy", "Wh", "total_increasing", None),
    "energy_export_watthours_total": ("energy", "Wh", "total_increasing", None),
}


async def complete(home: HomeAssistant, device: str, *wanted: str) -> dict[str, dict[str, Any]]:
    """The entities of a device, as soon as the wanted ones are there."""

    async def is_there() -> bool:
        return set(wanted) <= set(await home.entities(device))

    await home.until(is_there, f"{device} has not all of {wanted}", 120)
    return await home.entities(device)


async def all_speak(home: HomeAssistant, entities: set[str]) -> bool:
    states = await home.states()
    return all(name in states and states[name]["state"] != "unavailable" for name in entities)


def test_names_with_templates_quotes_and_wildcards_are_shown_and_nothing_more(tmp_path: Path) -> None:
    async def test() -> None:
        async with metered_home(tmp_path, interval=INTERVAL_S) as home:
            await home.entity(ENERGY)
            name = 'a/b#+ "{{ 1/0 }}" {% for x in y %}\\'
            home.program.write(configured(home.broker, [home.entry | {"name": name}]))
            home.program.reload()
            await home.is_right(await home.entity(ENERGY, name), RIGHT_WITHIN_S, STALE_S)

    run(test())


def test_energy_dashboard_takes_registers_and_costs_and_an_exchanged_meter_adds_no_energy(tmp_path: Path) -> None:
    """The recorder computes statistics each five minutes, so this test waits for them."""

    async def test() -> None:
        async with metered_home(tmp_path, interval=INTERVAL_S) as home:
            assistant, before = home.assistant, await home.entity(ENERGY)
            await home.is_right(before, RIGHT_WITHIN_S, STALE_S)
            await asyncio.sleep(2 * INTERVAL_S)
            home.meter.exchange()
            energy, cost = await home.entity(ENERGY, "home (2)"), await home.entity(COST, "home (2)")
            await home.is_right(energy, RIGHT_WITHIN_S, STALE_S)
            await assistant.shows(before, "unavailable")
            prices = {"stat_cost": cost, "entity_energy_price": None, "number_energy_price": None}
            drawn = [{"stat_energy_from": energy, **prices}]
            source = {"type": "grid", "flow_from": drawn, "flow_to": [], "cost_adjustment_day": 0}
            await assistant.ask("energy/save_prefs", energy_sources=[source])

            async def has_statistics() -> bool:
                return set(await statistics(assistant, before, energy, cost)) == {before, energy, cost}

            await assistant.until(has_statistics, "no statistics", 340)
            assert await assistant.ask("energy/validate") == {"energy_sources": [[]], "device_consumption": []}
            for name, rows in (await statistics(assistant, before, energy)).items():
                assert 0 <= rows[-1]["sum"] < 2000, f"{name}: {rows}"
            assert home.meter.registers[1] > 41_000_000

    run(test(), 600)


# What is never shown


def test_a_silent_meter_is_unavailable_within_its_deadline_and_speaks_again(tmp_path: Path) -> None:
    async def test() -> None:
        async with metered_home(tmp_path) as home:
            energy, up = await home.entity(ENERGY), await home.entity("up")
            await home.is_right(energy, RIGHT_WITHIN_S, STALE_S)
            await home.assistant.shows(up, "on")
            home.meter.is_silent = True
            await home.assistant.shows(energy, "unavailable", seconds=STALE_S)
            await home.assistant.shows(up, "off", seconds=1)
            home.meter.is_silent = False
            await home.is_right(energy, RIGHT_WITHIN_S, STALE_S)
            await home.assistant.shows(up, "on")

    run(test())


def test_a_reading_that_goes_is_unknown_and_the_others_stay(tmp_path: Path) -> None:
    async def test() -> None:
        async with metered_home(tmp_path) as home:
            power, energy = await home.entity(POWER), await home.entity(ENERGY)
            await home.assistant.shows(power, "5400")
            home.meter.withheld = {"PAPP"}
            await home.assistant.shows(power, "unknown", seconds=STALE_S)
            await home.is_right(energy, 1, STALE_S)
            home.meter.withheld = set()
            await home.assistant.shows(power, "5400")

    run(test())


PARTS = ("Home Assistant", "broker", "meterline")


async def stop(home: Home, part: str) -> None:
    match part:
        case "Home Assistant":
            await home.assistant.stop()
        case "broker":
            home.broker.stop()
        case "meterline":
            await home.program.stop()


async def start(home: Home, part: str) -> None:
    match part:
        case "Home Assistant":
            await home.assistant.start()
        case "broker":
            home.broker.start()
        case "meterline":
            home.program.start()


@pytest.mark.parametrize("persistence", ["true", "false"], ids=["broker that remembers", "broker that forgets"])
def test_each_part_alone_is_restarted_and_no_value_is_stale(tmp_path: Path, persistence: str) -> None:
    """One exception, which no message prevents: a broker may end without the last will of the program. As soon as such a broker
    is back, Home Assistant shows its own last values, until new ones arrive.
    """

    async def test() -> None:
        rules = (f"persistence {persistence}", f"persistence_location {tmp_path}/")
        async with metered_home(tmp_path, *rules, interval=INTERVAL_S) as home:
            energy = await home.entity(ENERGY)
            await home.is_right(energy, RIGHT_WITHIN_S, FRESH_S)
            for part in PARTS:
                await stop(home, part)
                await asyncio.sleep(20)  # what is shown after it would be stale
                await start(home, part)
                await home.is_right(energy, RIGHT_WITHIN_S, FRESH_S)
                assert not home.stale(energy, STALE_S, briefly=LONGEST_PAUSE_S + INTERVAL_S if part == "broker" else 0.0)
                home.assistant.seen.clear()

    run(test())


@pytest.mark.parametrize("order", list(itertools.permutations(PARTS)), ids=" then ".join)
def test_everything_is_restarted_in_any_order_and_no_value_is_stale(tmp_path: Path, order: tuple[str, ...]) -> None:
    async def test() -> None:
        rules = ("persistence true", f"persistence_location {tmp_path}/")
        async with metered_home(tmp_path, *rules, interval=INTERVAL_S) as home:
            energy = await home.entity(ENERGY)
            await home.is_right(energy, RIGHT_WITHIN_S, FRESH_S)
            for part in order:
                await stop(home, part)
            await asyncio.sleep(20)
            for part in order:
                await start(home, part)
            await home.is_right(energy, RIGHT_WITHIN_S, FRESH_S)
            assert not home.stale(energy, STALE_S)

    run(test())


def test_a_killed_program_leaves_no_stale_value(tmp_path: Path) -> None:
    async def test() -> None:
        async with metered_home(tmp_path, interval=INTERVAL_S) as home:
            energy = await home.entity(ENERGY)
            await home.is_right(energy, RIGHT_WITHIN_S, FRESH_S)
            await home.program.stop(signal.SIGKILL)
            await home.assistant.shows(energy, "unavailable", seconds=STALE_S)
            await asyncio.sleep(20)
            home.program.start()
            await home.is_right(energy, RIGHT_WITHIN_S, FRESH_S)
            assert not home.stale(energy, STALE_S)

    run(test())


# Others on the broker


def test_two_programs_with_a_meter_of_one_name_notice_each_other(tmp_path: Path) -> None:
    async def test() -> None:
        async with metered_home(tmp_path, interval=INTERVAL_S) as home:
            await home.entity(ENERGY)
            other = Meterline(tmp_path / "other", configured(home.broker, [home.entry], interval=INTERVAL_S))
            other.start()
            try:
                deadline = time.monotonic() + RIGHT_WITHIN_S
                while not all("another process publishes as the instance" in one.log for one in (home.program, other)):
                    assert time.monotonic() < deadline, f"{home.program.log}\n{other.log}"
                    await asyncio.sleep(0.1)
            finally:
                await other.stop()
            assert list(await home.assistant.devices()) == ["home"]

    run(test())


def test_a_meter_taken_out_of_the_configuration_disappears(tmp_path: Path) -> None:
    async def test() -> None:
        async with metered_home(tmp_path) as home:
            await home.entity(ENERGY)
            meter = home.entry
            home.program.write(configured(home.broker, [meter | {"name": "garage"}]))
            home.program.reload()
            await home.entity(ENERGY, "garage")

            async def alone() -> bool:
                return list(await home.assistant.devices()) == ["garage"]

            await home.assistant.until(alone, "the device stays")

    run(test())
