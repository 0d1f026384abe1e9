"""What is set, for whoever looks at it: the page of a meter, and a report for strangers.

A key is masked unless its field says that it is public, with the metadata ``{"public": True}``: an option that a protocol
gains tomorrow is masked until somebody has thought about it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from meterline.config.schema import MeterConfig
from meterline.meter.families import Privacy


@dataclass(frozen=True, slots=True)
class Setting:
    """One key that is set."""

    key: str
    value: Any = field(repr=False)
    privacy: Privacy
    """Who may see the value. That of a label is for the readers of the page, where the label stands beside the meter."""

    def masked(self, mask: str) -> Any:
        """The value of a public key, and `mask` in place of any other."""
        return self.value if self.privacy == "public" else mask


def settings(section: object) -> Iterator[Setting]:
    """The keys of a part of the configuration that are set.

    Args:
        section: A dataclass, or None: no key.

    Returns:
        The keys in the order of its fields, without those that are None or empty.
    """
    for one in fields(section) if is_dataclass(section) else ():
        value = getattr(section, one.name)
        if value not in (None, "", {}):
            yield Setting(one.name, value, "public" if one.metadata.get("public") else "secret")


def settings_of(meter: MeterConfig) -> Iterator[Setting]:
    """The keys of a meter, then its labels and those of its options."""
    yield from (setting for setting in settings(meter) if setting.key not in ("labels", "options"))
    yield from (Setting(f"labels: {name}", text, "private") for name, text in meter.labels.items())
    yield from settings(meter.options)
