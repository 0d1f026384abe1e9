"""What lies on the broker from before: what is known from it, and what belongs there no more. Pure.

After a lost state the broker is the only one who knows how often a meter was exchanged, and which entities it has.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from meterline.outputs.mqtt.entities import entity_of_key
from meterline.outputs.mqtt.identity import Device, Topics
from meterline.outputs.mqtt.state import Sayings


class Retained:
    """Everything that this process, or one before it with the same instance, has left on the broker."""

    def __init__(self, topics: Topics, found: Mapping[str, bytes]) -> None:
        """`found`: topic → payload, retained. Those that are none of ours are passed over."""
        self._topics = topics
        self._configs: dict[str, tuple[Device, str, str, bytes]] = {}
        self._available: dict[str, Device] = {}
        for topic, payload in found.items():
            if payload and (announced := topics.announced_at(topic)):
                self._configs[topic] = (*announced, payload)
            elif payload and (device := topics.device_available_at(topic)):
                self._available[topic] = device

    def highest(self, slug: str) -> int:
        """The highest generation of a meter that was announced; 0 where there is none."""
        return max((device.generation for device in self._devices() if device.slug == slug), default=0)

    def restore(self, device: Device, sayings: Sayings) -> dict[str, str]:
        """Take over the entities of a device, and the values that its states may have.

        Returns:
            Key → platform, of entities that this version of the program does not have.
        """
        unknown: dict[str, str] = {}
        for key, platform, config in self._components(device):
            if entity := entity_of_key(key):
                sayings.entities.setdefault(key, entity)
                options = config.get("options")
                if entity.family.kind == "state" and isinstance(options, list):
                    sayings.add_options(key, (option for option in options if isinstance(option, str)))
            elif platform:
                unknown[key] = platform
        return unknown

    def former(self, devices: Iterable[Device]) -> list[Device]:
        """Earlier generations of these devices: they stay, unavailable, until a person removes them."""
        current = {device.slug: device.generation for device in devices}
        return sorted({device for device in self._devices() if device.generation < current.get(device.slug, 0)})

    def moved(self, devices: Iterable[Device], form: str) -> list[str]:
        """Topics of these devices that announce them in another form than this one."""
        current = set(devices)
        return [
            topic
            for topic, (device, platform, _, _) in self._configs.items()
            if device in current and (platform == "device") != (form == "device")
        ]

    def strange(self, devices: Iterable[Device]) -> list[str]:
        """Topics of devices whose meters are not configured any more."""
        slugs = {device.slug for device in devices}
        configs = [topic for topic, (device, *_) in self._configs.items() if device.slug not in slugs]
        return configs + [topic for topic, device in self._available.items() if device.slug not in slugs]

    def _devices(self) -> Iterator[Device]:
        yield from (device for device, *_ in self._configs.values())
        yield from self._available.values()

    def _components(self, wanted: Device) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """Key, platform and configuration of the entities of a device."""
        for device, platform, key, payload in self._configs.values():
            if device == wanted:
                found = _parsed(payload)
                if platform != "device":
                    yield key, platform, found
                    continue
                components = found.get("components")
                for name, config in components.items() if isinstance(components, dict) else ():
                    # An entity with nothing but its platform is one that was removed.
                    if isinstance(config, dict) and len(config) > 1:
                        yield name, str(config.get("platform", "")), config


def _parsed(payload: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(payload)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
