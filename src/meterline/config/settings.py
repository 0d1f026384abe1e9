"""The settings of a meter, as its page and the bug report show them.

A key is masked unless the metadata of its field is ``{"public": True}``: a new option of a protocol is masked until its author
declares it public.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from meterline.config.schema import MeterConfig


@dataclass(frozen=True, slots=True)
class Setting:
    """One key with a value.

    Attributes:
        key: Name of the key.
        value: Its value; may be a secret.
        is_public: Whether the value may be shown.
    """

    key: str
    value: Any = field(repr=False)
    is_public: bool

    def masked(self, mask: str) -> Any:
        """Return the value of a public key; for any other key `mask`."""
        return self.value if self.is_public else mask


def settings(section: object) -> Iterator[Setting]:
    """Yield the settings of a part of the configuration, in the order of its fields, without those that are None or empty.

    Args:
        section: A dataclass; None: no settings.
    """
    for one in fields(section) if is_dataclass(section) else ():
        value = getattr(section, one.name)
        if value not in (None, ""):
            yield Setting(one.name, value, one.metadata.get("public", False))


def settings_of(meter: MeterConfig) -> Iterator[Setting]:
    """Yield the settings of a meter, then those of its options."""
    yield from (setting for setting in settings(meter) if setting.key != "options")
    yield from settings(meter.options)
