"""A device and its entities as Home Assistant takes them: topic → payload.

https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery. Names are in the configured language, since Home Assistant
translates none that come by MQTT. Keys are looked up safely (`get`), and hold nothing that could end a template.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from meterline import __version__
from meterline.locale import Language
from meterline.outputs.mqtt.entities import UNKNOWN, Entity, traits
from meterline.outputs.mqtt.identity import Device, Topics
from meterline.outputs.mqtt.pace import EXPIRE_AFTER_S
from meterline.outputs.mqtt.state import Sayings
from meterline.web.page.reading_texts import name_of

MIGRATE = json.dumps({"migrate_discovery": True})
"""Payload by which an entity moves from a topic of its own to that of its device, or back, and keeps its settings."""
FORMER = json.dumps({"up": False})
"""The last state of a device whose meter was exchanged."""
REMOVED = ""
"""Payload that removes what was announced at a topic."""


class Facts(NamedTuple):
    """What Home Assistant shows of a device beside its entities; None where that is not known."""

    name: str
    manufacturer: str | None = None
    model: str | None = None
    serial: str | None = None
    area: str | None = None
    """Home Assistant suggests this area when it first sees the device."""


def facts(name: str, device: Device, sayings: Sayings, area: str | None = None) -> Facts:
    """The facts of a meter: `name` and `area` are those of the configuration."""
    said = sayings.values
    # Another name makes other identifiers of entities: an exchanged meter must not go on with the statistics of the old one.
    shown = name if device.generation == 1 else f"{name} ({device.generation})"
    texts = (said.get(f"info_{label}") for label in ("manufacturer", "type", "address"))
    manufacturer, model, serial = (str(text) if text is not None else None for text in texts)
    return Facts(shown.encode("utf-8", "replace").decode(), manufacturer, model, serial, area)


def announcements(
    form: Literal["device", "component", "off"],
    topics: Topics,
    device: Device,
    facts: Facts,
    sayings: Sayings,
    language: Language,
    removed: Mapping[str, str],
) -> Iterator[tuple[str, str]]:
    """Topics and payloads that announce a device.

    Args:
        form: One payload for the device (Home Assistant 2024.11 or later), or one for each entity.
        topics: Of this process.
        device: Which.
        facts: About it.
        sayings: Its entities.
        language: Of their names.
        removed: Key → platform, of entities that were announced once and exist no more.
    """
    if form == "off":
        return
    about, origin = _device(topics, device, facts), {"name": "meterline", "sw_version": __version__}
    shared = {
        "state_topic": topics.state(device),
        "availability": _availability(topics, device, "{{ value_json.get('up') }}"),
        "availability_mode": "all",
    }
    entities = {key: _component(topics, device, entity, sayings, language) for key, entity in sayings.entities.items()}
    if form == "device":
        gone = {key: {"platform": platform} for key, platform in removed.items()}
        payload = {"device": about, "origin": origin, **shared, "components": entities | gone}
        yield topics.device_config(device), _text(payload)
        return
    for key, entity in entities.items():
        platform = entity.pop("platform")
        payload = {**entity, **{name: value for name, value in shared.items() if name not in entity}}
        yield topics.component_config(device, platform, key), _text(payload | {"device": about, "origin": origin})
    for key, platform in removed.items():
        yield topics.component_config(device, platform, key), REMOVED


def _device(topics: Topics, device: Device, facts: Facts) -> dict[str, Any]:
    about = {
        "identifiers": [topics.identifier(device)],
        "name": facts.name,
        "manufacturer": facts.manufacturer,
        "model": facts.model,
        "serial_number": facts.serial,
        "suggested_area": facts.area,
    }
    return {key: value for key, value in about.items() if value is not None}


def _availability(topics: Topics, device: Device, when: str) -> list[dict[str, str]]:
    """An entity is available while the process lives and the last state says so: `when`, a template.

    The state itself says whether the meter speaks. After a restart Home Assistant has the value of before: it restores what may
    expire. A retained topic that says "available" would show that value as if it were fresh.
    """
    return [
        {"topic": topics.status, "value_template": "{{ value_json.get('status') }}"},
        {"topic": topics.state(device), "value_template": when, "payload_available": "True", "payload_not_available": "False"},
    ]


def _component(topics: Topics, device: Device, entity: Entity, sayings: Sayings, language: Language) -> dict[str, Any]:
    kind, key = traits(entity.series), entity.key
    found: dict[str, Any] = {
        "platform": kind.platform,
        "unique_id": f"{topics.identifier(device)}_{key}",
        "name": name_of(entity.series, language),
        "device_class": kind.device_class,
        "unit_of_measurement": kind.unit,
        "state_class": kind.state_class,
        "suggested_display_precision": kind.precision,
        "value_template": f"{{{{ value_json.get('{key}') }}}}",
        "expire_after": EXPIRE_AFTER_S,
        "entity_category": "diagnostic" if kind.is_diagnostic else None,
        "enabled_by_default": None if kind.is_enabled else False,
    }
    if kind.since:
        found["last_reset_value_template"] = f"{{{{ value_json.get('{kind.since}') or '' }}}}"
    if kind.platform == "binary_sensor":
        found |= {"payload_on": "True", "payload_off": "False"}
    if kind.device_class == "enum":
        found["options"] = sorted(sayings.options.get(key, {UNKNOWN}))
    if key == "up":  # that the meter is silent must be seen while it is
        found["availability"] = _availability(topics, device, "{{ value_json.get('up') is not none }}")
    return {name: value for name, value in found.items() if value is not None}


def _text(payload: Mapping[str, Any]) -> str:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
