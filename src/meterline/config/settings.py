"""What is set, for whoever looks at it: the page of a meter, and a report for strangers.

A key is masked unless its field says that it is public, with the metadata ``{"public": True}``: an option that a protocol
gains tomorrow is masked until somebody has thought about it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from meterline.config.schema import MeterConfig


@dataclass(frozen=True, slots=True)
class Setting:
    """One key that is set."""

    key: str
    value: Any = field(repr=False)
    is_public: bool

    def masked(self, mask: str) -> Any:
        """The value of a public key, and `mask` in place of any other."""
        return self.value if self.is_public else mask


def settings(section: object) -> Iterator[Setting]:
    """The keys of a part of the configuration that are set.

    Args:
        section: A dataclass, or None: no key.

    Returns:
        The keys in the order of its fields, without those that are None or empty.
    """
    for one in fields(section) if is_dataclass(section) else ():
        value = getattr(section, one.name)
        if value not in (None, ""):
            yield Setting(one.name, value, one.metadata.get("public", False))


def settings_of(meter: MeterConfig) -> Iterator[Setting]:
    """The keys of a meter, then those of its options."""
    yield from (setting for setting in settings(meter) if setting.key != "options")
    yield from settings(meter.options)
