"""The settings of a meter, as its page and the bug report show them.

A key is masked unless the metadata of its field is ``{"public": True}``: a new option of a protocol is masked until its author
declares it public.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from meterline.config.schema import MeterConfig
from meterline.meter.families import Privacy


@dataclass(frozen=True, slots=True)
class Setting:
    """One key with a value.

    Attributes:
        key: Name of the key.
        value: Its value; may be a secret.
        privacy: Who may see the value. That of a label is for the readers of the page, where the label is beside the meter.
    """

    key: str
    value: Any = field(repr=False)
    privacy: Privacy

    def masked(self, mask: str) -> Any:
        """Return the value of a public key; for any other key `mask`."""
        return self.value if self.privacy == "public" else mask


def settings(section: object) -> Iterator[Setting]:
    """Yield the settings of a part of the configuration, in the order of its fields, without those that are None or empty.

    Args:
        section: A dataclass; None: no settings.
    """
    for one in fields(section) if is_dataclass(section) else ():
        value = getattr(section, one.name)
        if value not in (None, "", {}):
            yield Setting(one.name, value, "public" if one.metadata.get("public") else "secret")


def settings_of(meter: MeterConfig) -> Iterator[Setting]:
    """Yield the settings of a meter, then its labels and those of its options."""
    yield from (setting for setting in settings(meter) if setting.key not in ("labels", "options"))
    yield from (Setting(f"labels: {name}", text, "private") for name, text in meter.labels.items())
    yield from settings(meter.options)
