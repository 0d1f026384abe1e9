"""The parts of publishing that do no I/O: entities, identity, announcements, states, pace, what lies on the broker."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest
from support.live_meters import LIMIT

from meterline.billing.billing import BillingService, Starts
from meterline.config.mqtt import Mqtt, slug
from meterline.locale import codes, language
from meterline.meter.families import CATALOGUE, Family
from meterline.meter.generation import Generation
from meterline.meter.meter import Meter
from meterline.meter.readings import Reading, Series, Snapshot
from meterline.outputs.mqtt.connection import pauses
from meterline.outputs.mqtt.discovery import Facts, announcements, facts
from meterline.outputs.mqtt.entities import NOT_SENT, Traits, entity_of, entity_of_key, traits
from meterline.outputs.mqtt.identity import Device, Topics, device_of
from meterline.outputs.mqtt.pace import LONGEST_S, SETTLED_S, Pace, Situation
from meterline.outputs.mqtt.presence import RIVAL_S, Presence
from meterline.outputs.mqtt.retained import Retained
from meterline.outputs.mqtt.state import Sayings, series_of, situation
from meterline.store import State

TOPICS = Topics("meterline", "main", "homeassistant", "homeassistant/status")
HOME = Device("home")
SENT = [family for family in CATALOGUE if family.name not in NOT_SENT]
VALUES = {"currency": "EUR", "phase": "1", "tariff": "HC {{ 'x' }}"}

# What Home Assistant 2025.4 takes: device class → its units; those that it takes statistics of.
UNITS: dict[str, set[str | None]] = {
    "apparent_power": {"VA"},
    "current": {"A", "mA"},
    "data_size": {"B"},
    "duration": {"s"},
    "energy": {"Wh", "kWh"},
    "enum": {None},
    "monetary": {"EUR"},
    "power": {"W", "kW"},
    "signal_strength": {"dB", "dBm"},
    "timestamp": {None},
    "voltage": {"V"},
}
STATE_CLASSES: dict[str, set[str | None]] = {
    "energy": {"total", "total_increasing"},
    "monetary": {"total"},
    "enum": {None},
    "timestamp": {None},
    "duration": {"measurement", "total_increasing", None},
}
BINARY = {"connectivity", "problem", "opening", "power", None}


def series_of_family(family: Family) -> list[Series]:
    """A series of a family, or one for each label of an info family."""
    if family.type == "info":
        return [(family.name, label) for label in family.labels]
    return [(family.name, *(VALUES.get(label, f"{label} 1") for label in family.labels))]


EVERY = [series for family in SENT for series in series_of_family(family)]


@pytest.mark.parametrize("series", EVERY, ids=lambda series: "-".join(series))
def test_every_family_is_an_entity_that_home_assistant_takes(series: Series) -> None:
    kind, entity = traits(series), entity_of(series)
    assert entity
    assert re.fullmatch(r"[a-z][a-zA-Z0-9_-]*", entity.key)
    assert entity_of_key(entity.key) == entity
    if kind.platform == "binary_sensor":
        assert kind.device_class in BINARY
        assert (kind.unit, kind.state_class) == (None, None)
    elif kind.device_class:
        assert kind.unit in UNITS[kind.device_class]
        assert kind.state_class in STATE_CLASSES.get(kind.device_class, {"measurement", "total_increasing", None})
    assert kind.is_diagnostic or entity.family.origin != "driver"
    if entity.family.kind == "number" and entity.family.type == "counter":
        assert kind.state_class in ("total", "total_increasing")


def test_a_histogram_is_the_only_kind_of_family_that_is_not_sent() -> None:
    assert {family.name for family in CATALOGUE if family.type == "histogram"} == NOT_SENT


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        (("energy_import_watthours_total",), Traits("sensor", "energy", "Wh", "total_increasing", 0, False, True)),
        (("apparent_power_import_voltamperes",), Traits("sensor", "apparent_power", "VA", "measurement", 0, False, True)),
        (("subscribed_power_voltamperes",), Traits("sensor", "apparent_power", "VA", None, 0, True, True)),
        (("energy_reactive_varhours_total", "1"), Traits("sensor", None, "varh", "total_increasing", None, False, False)),
        (("cost_day", "EUR"), Traits("sensor", "monetary", "EUR", "total", 2, False, True, "day_start")),
        (("cost_total", "JPY", "HC"), Traits("sensor", "monetary", "JPY", "total", 0, False, True, "account_start")),
        (("price", "EUR", "HC"), Traits("sensor", None, "EUR/kWh", "measurement", 4, False, True)),
        (("energy_import_day_watthours",), Traits("sensor", "energy", "Wh", "total", 0, False, True, "day_start")),
        (("fixed_energy_import_watthours", "30m"), Traits("sensor", "energy", "Wh", "total_increasing", 0)),
        (("tempo_colour", "blue", "today"), Traits("sensor", "enum", is_enabled=True)),
        (("overload",), Traits("binary_sensor", "problem", is_enabled=True)),
        (("radio_rssi_dbm",), Traits("sensor", "signal_strength", "dBm", "measurement", None, True, True)),
        (("clock_timestamp_seconds",), Traits("sensor", "timestamp", is_diagnostic=True)),
        (("info", "contract"), Traits("sensor", is_diagnostic=True)),
    ],
)
def test_a_family_has_the_class_the_unit_and_the_statistics_of_its_kind(series: Series, expected: Traits) -> None:
    assert traits((f"smartmeter_{series[0]}", *series[1:])) == expected


def test_all_series_of_a_state_are_one_entity() -> None:
    found = {entity_of(("smartmeter_tempo_colour", colour, "today")) for colour in ("blue", "red")}
    assert [entity and entity.key for entity in found] == ["tempo_colour_today"]


@pytest.mark.parametrize(
    "key", ["", "x", "power", "cost_total_EUR", "cost_total_EUR_a_b_c", "cost_total_EUR_-zz", "poll_duration_seconds"]
)
def test_a_key_that_no_entity_can_have_is_none(key: str) -> None:
    assert entity_of_key(key) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("home", "home"),
        ("Maison d’été", "maison-d-ete"),
        ("a/b#", "a-b"),
        ("__", "meter-872e1f01"),
        ("東京", "meter-922642ef"),
        ("flat_2", "flat-2"),
    ],
)
def test_the_slug_of_a_name_has_letters_digits_and_hyphens(name: str, expected: str) -> None:
    found = slug(name)
    assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", found)
    assert found == expected
    assert device_of(found) == Device(found)


def test_the_topics_of_a_device_lead_back_to_the_device() -> None:
    for device in (HOME, Device("home", 12), Device("my-home-2")):
        assert device_of(device.name) == device
        assert TOPICS.announced_at(TOPICS.device_config(device)) == (device, "device", "")
        assert TOPICS.announced_at(TOPICS.component_config(device, "sensor", "power_watts")) == (
            device,
            "sensor",
            "power_watts",
        )
        assert TOPICS.device_available_at(TOPICS.available(device)) == device
    for strange in ("homeassistant/device/other/home/config", "homeassistant/sensor/meterline-main/x/y/config", "x"):
        assert TOPICS.announced_at(strange) is None


@pytest.mark.parametrize(
    ("kept", "heard", "settled", "number"),
    [
        ({}, [(None, False)], True, 1),
        ({}, [("A", False)], True, 1),
        ({}, [("A", True), ("A", True)], True, 1),
        ({}, [("A", True), ("B", True)], True, 2),
        ({"generation": 1, "address": "A"}, [("A", False)], True, 1),
        ({"generation": 1, "address": "A"}, [("B", False)], False, 1),
        ({"generation": 1, "address": "A"}, [("B", False), ("A", False)], True, 1),
        ({"generation": 1, "address": "A"}, [("B", False), ("B", True)], True, 2),
        ({"generation": 7, "address": "A"}, [("B", True), ("C", True)], True, 9),
        ({"generation": "x", "address": 5}, [("B", True)], True, 1),
        ({"generation": 3, "address": None}, [("B", True)], True, 3),
    ],
)
def test_a_generation_is_counted_up_by_another_number_that_was_read_twice(
    kept: dict[str, Any], heard: list[tuple[str | None, bool]], settled: bool, number: int
) -> None:
    generation = Generation(kept)
    found = [generation.hear(*one) for one in heard]
    assert (found[-1], generation.number) == (settled, number)


def test_the_highest_generation_of_the_broker_is_gone_on_with() -> None:
    generation = Generation({"generation": 2, "address": "A"})
    generation.find_announced(1)
    assert (generation.number, generation.is_kept) == (2, True)
    generation.find_announced(5)
    assert (generation.number, generation.is_kept) == (5, False)


def said(*series: Series, value: float | str = 1) -> Sayings:
    sayings = Sayings()
    sayings.take([(one, value) for one in series], with_numbers=True)
    return sayings


@pytest.mark.parametrize("code", codes())
def test_every_entity_has_a_name_of_its_own_in_each_language(code: str) -> None:
    sayings = said(*EVERY, *(("smartmeter_tempo_colour", "blue", day) for day in ("today", "tomorrow")))
    ((_, text),) = announcements("device", TOPICS, HOME, Facts("home"), sayings, language(code), {})
    components = json.loads(text)["components"].values()
    names = [component["name"] for component in components]
    assert [name for name, count in itertools.groupby(sorted(names)) if len(list(count)) > 1] == []
    assert not [name for name in names if re.search(r"_(total|seconds|watts|voltamperes)|^info |^up$", name)]


def test_an_area_of_the_configuration_is_suggested_for_the_device() -> None:
    sayings = said(("smartmeter_up",))
    about = facts("home", HOME, sayings, 'Cave "1" {{ x }}')
    ((_, text),) = announcements("device", TOPICS, HOME, about, sayings, language("en"), {})
    assert json.loads(text)["device"]["suggested_area"] == 'Cave "1" {{ x }}'
    ((_, text),) = announcements("device", TOPICS, HOME, facts("home", HOME, sayings), sayings, language("en"), {})
    assert "suggested_area" not in text


def test_an_announcement_is_what_home_assistant_expects() -> None:
    sayings = said(("smartmeter_cost_day", "EUR"), ("smartmeter_up",), ("smartmeter_tempo_colour", "blue", "today"))
    ((topic, text),) = announcements("device", TOPICS, HOME, Facts("home", "ACME"), sayings, language("en"), {"old": "sensor"})
    found = json.loads(text)
    assert topic == "homeassistant/device/meterline-main/home/config"
    assert found["device"] == {"identifiers": ["meterline-main_home"], "name": "home", "manufacturer": "ACME"}
    assert found["components"]["old"] == {"platform": "sensor"}
    assert found["components"]["cost_day_EUR"] == {
        "platform": "sensor",
        "unique_id": "meterline-main_home_cost_day_EUR",
        "name": "Cost today · EUR",
        "device_class": "monetary",
        "unit_of_measurement": "EUR",
        "state_class": "total",
        "suggested_display_precision": 2,
        "value_template": "{{ value_json.get('cost_day_EUR') }}",
        "last_reset_value_template": "{{ value_json.get('day_start') or '' }}",
        "expire_after": 180,
    }
    assert found["components"]["tempo_colour_today"]["options"] == ["blue", "unknown"]
    topics = [one["topic"] for one in found["components"]["up"]["availability"]]
    assert topics == ["meterline/main/status", "meterline/main/home/state"]
    assert (found["components"]["up"]["payload_on"], found["components"]["up"]["payload_off"]) == ("True", "False")


def test_the_second_generation_of_a_meter_has_another_name_so_that_entities_have_other_identifiers() -> None:
    assert facts("home", Device("home", 2), Sayings()).name == "home (2)"


def test_a_state_has_every_key_that_was_ever_said_and_null_for_what_is_not_said_now() -> None:
    sayings = said(("smartmeter_power_watts",), ("smartmeter_overload",), ("smartmeter_tempo_colour", "blue", "today"))
    sayings.take([(("smartmeter_power_watts",), 12.5), (("smartmeter_tempo_colour", "blue", "today"), 0)], with_numbers=False)
    assert json.loads(sayings.text(Starts(0, 86_400, None))) == {
        "power_watts": 12.5,
        "overload": None,
        "tempo_colour_today": "unknown",
        "day_start": "1970-01-01T00:00:00+00:00",
        "period_start": "1970-01-02T00:00:00+00:00",
        "account_start": None,
    }


@pytest.mark.parametrize(
    ("series", "value", "expected"),
    [
        (("smartmeter_power_watts",), 100.0, 100),
        (("smartmeter_power_watts",), float("nan"), None),
        (("smartmeter_overload",), 1, True),
        (("smartmeter_clock_timestamp_seconds",), 1e20, None),
        (("smartmeter_clock_timestamp_seconds",), 1_796_000_000, "2026-11-30T00:53:20+00:00"),
        (("smartmeter_message_info", "short"), 'a\n"b" {{ c }} \ud800', 'a\n"b" {{ c }} ?'),
        (("smartmeter_message_info", "short"), "x" * 300, "x" * 255),
        (("smartmeter_tempo_colour", "red", "today"), 1, "red"),
    ],
)
def test_a_value_is_written_as_its_kind(series: Series, value: float | str, expected: object) -> None:
    sayings = said(series, value=value)
    (found,) = json.loads(sayings.text(None)).values()
    assert found == expected


def test_numbers_that_name_a_household_are_sent_where_a_person_asks_for_them_alone() -> None:
    numbers: list[tuple[Series, float | str]] = [
        (("smartmeter_info", label), "123") for label in ("prm", "address", "identification")
    ]
    sayings = Sayings()
    assert not sayings.take(numbers, with_numbers=False)
    assert sayings.text(None) == "{}"
    assert sayings.take(numbers, with_numbers=True)
    assert len(json.loads(sayings.text(None))) == 3


def test_what_a_meter_its_line_and_its_books_show_is_all_said() -> None:
    meter = Meter("home", LIMIT, clock=lambda: 0.0)
    meter.take(Snapshot((Reading(("smartmeter_power_watts",), 5),)))
    names = {series[0] for series, _ in series_of(meter, BillingService(State()))}
    assert {"smartmeter_up", "smartmeter_power_watts", "smartmeter_frames_total", "smartmeter_rejected_total"} <= names


def test_a_situation_notices_readings_that_expire_by_themselves() -> None:
    now = [0.0]
    meter = Meter("home", 10.0, clock=lambda: now[0])
    meter.take(Snapshot((Reading(("smartmeter_power_watts",), 5),)))
    before = situation(meter, True)
    now[0] = 11.0
    after = situation(meter, True)
    assert (before.is_up, after.is_up) == (True, False)
    assert after.gone > before.gone


CALM = Situation(True, True, 0, "", 1)


@pytest.mark.parametrize(
    ("after", "found", "is_due"),
    [
        (0.5, CALM._replace(is_up=False), False),
        (1.0, CALM._replace(is_up=False), True),
        (1.0, CALM._replace(gone=1), True),
        (1.0, CALM._replace(urgent="overload"), True),
        (1.0, CALM._replace(is_settled=False), True),
        (1.0, CALM._replace(frames=2), False),
        (9.9, CALM._replace(frames=2), False),
        (10.0, CALM._replace(frames=2), True),
        (59.0, CALM, False),
        (LONGEST_S, CALM, True),
    ],
)
def test_a_meter_is_sent_at_most_once_a_second_at_least_once_a_minute_and_at_once_what_matters(
    after: float, found: Situation, is_due: bool
) -> None:
    pace = Pace(10.0)
    assert pace.is_due(0.0, CALM)
    pace.note_sent(0.0, CALM)
    assert pace.is_due(after, found) is is_due


def test_a_state_is_sent_again_a_while_after_an_announcement() -> None:
    pace = Pace(60.0)
    pace.note_announced(0.0)
    assert pace.is_due(0.0, CALM)
    pace.note_sent(0.0, CALM)
    assert not pace.is_due(SETTLED_S - 0.1, CALM)
    assert pace.is_due(SETTLED_S, CALM)
    pace.note_sent(SETTLED_S, CALM)
    assert not pace.is_due(2 * SETTLED_S, CALM)


def test_pauses_double_from_a_second_to_a_quarter_of_a_minute_and_never_agree() -> None:
    found = list(itertools.islice(pauses(), 12))
    assert 0.75 <= found[0] <= 1.25
    assert all(pause <= 15.0 for pause in found)
    assert all(later > 1.1 * earlier for earlier, later in itertools.pairwise(found[:3]))
    assert min(found[-4:]) >= 9.0
    assert found != list(itertools.islice(pauses(), 12))


def test_what_lies_on_the_broker_tells_generations_entities_and_what_is_strange() -> None:
    second = Device("home", 2)
    ((topic, text),) = announcements(
        "device",
        TOPICS,
        second,
        Facts("home"),
        said(("smartmeter_tempo_colour", "red", "today")),
        language("en"),
        {"gone": "sensor"},
    )
    lies = {
        topic: text.encode(),
        TOPICS.device_config(HOME): b"{}",
        TOPICS.available(HOME): b"offline",
        TOPICS.component_config(second, "sensor", "power_watts"): b'{"name": "x"}',
        TOPICS.device_config(Device("farm")): b"not json",
        TOPICS.available(Device("barn")): b"online",
        TOPICS.available(Device("empty")): b"",
        "homeassistant/device/other/home_9/config": b"{}",
        "homeassistant/device/meterline-main/with_underscore_x/config": b"{}",
    }
    retained, sayings = Retained(TOPICS, lies), Sayings()
    assert [retained.highest(slug) for slug in ("home", "farm", "none")] == [2, 1, 0]
    assert retained.restore(second, sayings) == {}
    assert sayings.entities.keys() == {"tempo_colour_today", "power_watts"}
    assert sayings.options["tempo_colour_today"] == {"red", "unknown"}
    assert retained.former([second]) == [HOME]
    assert retained.moved([second], "device") == [TOPICS.component_config(second, "sensor", "power_watts")]
    assert retained.moved([second], "component") == [topic]
    assert sorted(retained.strange([second])) == [TOPICS.device_config(Device("farm")), TOPICS.available(Device("barn"))]


def test_a_process_answers_a_last_will_at_once_and_another_process_once_a_minute() -> None:
    ours, other = Presence("a"), Presence("b")
    online, offline = (other.status(word).encode() for word in ("online", "offline"))
    assert not ours.hear(ours.status("online").encode(), is_retained=False, now=0.0)
    assert (ours.is_answer_due(0.0), ours.is_alone(0.0)) == (False, True)
    assert ours.hear(online, is_retained=False, now=1.0)
    assert (ours.is_answer_due(1.0), ours.is_alone(1.0)) == (True, False)
    ours.note_answered(1.0)
    assert ours.hear(online, is_retained=False, now=2.0)
    assert [ours.is_answer_due(now) for now in (2.0, 60.9, 61.0)] == [False, False, True]
    ours.note_answered(61.0)
    assert not ours.hear(offline, is_retained=False, now=62.0)
    assert (ours.is_answer_due(62.0), ours.is_alone(62.0)) == (True, True)
    ours.note_answered(62.0)
    assert not ours.hear(ours.status("offline").encode(), is_retained=False, now=63.0)
    assert ours.is_answer_due(63.0), "our own last will, of a connection that broke"


def test_a_process_that_was_online_before_may_live_until_it_had_the_time_to_say_so() -> None:
    ours, other = Presence("a"), Presence("b")
    assert not ours.hear(other.status("online").encode(), is_retained=True, now=0.0)
    assert [ours.is_alone(now) for now in (0.0, RIVAL_S - 1, RIVAL_S)] == [False, False, True]
    assert not ours.is_answer_due(RIVAL_S)
    assert not ours.hear(other.status("offline").encode(), is_retained=True, now=1.0)
    assert ours.is_alone(1.0)
    assert not ours.is_answer_due(1.0)


@pytest.mark.parametrize("payload", [b"", b"online", b"[]", b"{}", b'{"status": 1}', b"\xff"])
def test_a_status_that_is_none_is_passed_over(payload: bytes) -> None:
    ours = Presence("a")
    assert not ours.hear(payload, is_retained=False, now=0.0)
    assert (ours.is_answer_due(0.0), ours.is_alone(0.0)) == (False, True)


def test_the_options_show_no_secret_and_a_shard_has_an_instance_of_its_own() -> None:
    options = Mqtt("mqtt://me:hush@broker:1234")
    assert (options.host, options.port, options.user, options.password, options.tls) == ("broker", 1234, "me", "hush", False)
    assert "hush" not in repr(options)
    shard = options.of_shard(2)
    assert (shard.instance, options.instance, shard.password) == ("main-2", "main", "hush")
    assert Mqtt("mqtts://broker").port == 8883
    assert Mqtt("mqtt://broker", discovery_prefix="ha").birth_topic == "ha/status"
