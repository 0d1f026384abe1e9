"""The properties of the B-route that each family of the catalogue comes from, for docs/metrics.md."""

from __future__ import annotations

from meterline.meter.families import FAMILIES
from meterline.protocols.broute import properties as p
from meterline.protocols.broute.readings import FIELDS

DERIVED = {
    "smartmeter_info": "every reply (protocol)",
    "smartmeter_clock_offset_seconds": f"{p.TIME:02X}, {p.DATE:02X}",
}
"""Family → the properties from which `poller` makes its readings."""
UNIT = f"x {p.COEFFICIENT:02X} x {p.UNIT:02X}"


def sources() -> dict[str, str]:
    """Family → the codes that it comes from, with the values of its labels, as a text."""
    texts: dict[str, list[str]] = {}
    for epc, field in sorted(FIELDS.items()):
        by_family: dict[str, list[str]] = {}
        for family, *labels in field.series:
            by_family.setdefault(family, []).extend(labels)
        for family, labels in by_family.items():
            in_steps = field.in_steps and not family.endswith("_timestamp_seconds")
            brackets = f" ({', '.join(labels)})" if labels else ""
            texts.setdefault(family, []).append(f"{epc:02X}{f' {UNIT}' if in_steps else ''}{brackets}")
    for family, text in DERIVED.items():
        texts.setdefault(family, []).append(text)
    return {family: ", ".join(texts[family]) for family in FAMILIES if family in texts}
