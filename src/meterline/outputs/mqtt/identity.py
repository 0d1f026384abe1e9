"""Which device a meter is, and the topics of a device. No topic holds a number of a meter.

A device is the meter's name as a slug and a generation. An exchanged meter is another generation, and so another device: a
register that begins again elsewhere would be taken for energy. A generation is what the state keeps, or the highest that lies
on the broker.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Device(NamedTuple):
    """One meter, as long as the meter is not exchanged."""

    slug: str
    generation: int = 1

    @property
    def name(self) -> str:
        """``home``; ``home_2`` once the meter was exchanged. A slug has no underscore."""
        return self.slug if self.generation == 1 else f"{self.slug}_{self.generation}"


def device_of(name: str) -> Device | None:
    """The device with this name; None where none can have it."""
    match = re.fullmatch(r"([a-z0-9-]+)(?:_([1-9][0-9]{0,5}))?", name)
    return Device(match[1], int(match[2] or 1)) if match else None


class Topics:
    """The topics of one process on a broker.

    Attributes:
        node: What all identifiers of the process begin with.
        status: Whether the process lives.
        birth: Where Home Assistant says that it has started.
    """

    def __init__(self, prefix: str, instance: str, discovery_prefix: str, birth: str) -> None:
        self.node = f"meterline-{instance}"
        self._own = f"{prefix}/{instance}"
        self._discovery = discovery_prefix
        self.status = f"{self._own}/status"
        self.birth = birth

    @property
    def every_available(self) -> str:
        """A filter for `available` of every device."""
        return f"{self._own}/+/available"

    @property
    def every_config(self) -> str:
        """A filter for everything that this process has announced."""
        return f"{self._discovery}/+/{self.node}/+/config"

    def state(self, device: Device) -> str:
        """What the meter says; not retained."""
        return f"{self._own}/{device.name}/state"

    def available(self, device: Device) -> str:
        """Whether the meter speaks; retained."""
        return f"{self._own}/{device.name}/available"

    def identifier(self, device: Device) -> str:
        """The device for Home Assistant."""
        return f"{self.node}_{device.name}"

    def device_config(self, device: Device) -> str:
        """Where a device is announced with all its entities."""
        return f"{self._discovery}/device/{self.node}/{device.name}/config"

    def component_config(self, device: Device, platform: str, key: str) -> str:
        """Where one entity is announced."""
        return f"{self._discovery}/{platform}/{self.node}/{device.name}_{key}/config"

    def device_available_at(self, topic: str) -> Device | None:
        """The device whose `available` this topic is."""
        match = re.fullmatch(rf"{re.escape(self._own)}/([^/]+)/available", topic)
        return device_of(match[1]) if match else None

    def announced_at(self, topic: str) -> tuple[Device, str, str] | None:
        """The device that is announced at a topic of discovery, the platform and the key of one entity.

        Platform ``device``, with an empty key, stands for all entities. None for a topic that is not one of ours.
        """
        match = re.fullmatch(rf"{re.escape(self._discovery)}/(\w+)/{re.escape(self.node)}/([A-Za-z0-9_-]+)/config", topic)
        if not match:
            return None
        platform, name = match.groups()
        if platform == "device":
            device = device_of(name)
            return (device, platform, "") if device else None
        parts = re.fullmatch(r"([a-z0-9-]+(?:_[0-9]+)?)_([a-z].*)", name)  # no key begins with a digit
        device = device_of(parts[1]) if parts else None
        return (device, platform, parts[2]) if device and parts else None
