"""The labels of the TIC that each family of the catalogue comes from, for docs/metrics.md.

Labels that give readings by themselves are taken from the tables in `fields` and `stge`. `DERIVED` names the others: what
`derived` makes of several groups.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from meterline.meter.families import FAMILIES
from meterline.meter.readings import Series
from meterline.protocols.tic.derived import VOLTS_OF_CONTRACTS
from meterline.protocols.tic.fields import FIELDS
from meterline.protocols.tic.stge import STATUS, SUPPLIER_TARIFF, TEMPO_TODAY, TEMPO_TOMORROW, StatusBits

ON_REQUEST = "PRM"
"""Label that is exported where the options ask for it."""

_NUMBER = re.compile(r"\d+")


def _bits(*rows: StatusBits) -> str:
    """STGE bit 9, STGE bits 24-27. The rows follow each other."""
    low, high = rows[0].low, rows[-1].low + rows[-1].width - 1
    return f"STGE bit {low}" if low == high else f"STGE bits {low}-{high}"


DERIVED: dict[str, tuple[str, ...]] = {
    "smartmeter_info": ("every frame (mode, protocol)",),
    "smartmeter_energy_import_watthours_total": ("the sum of the historic indexes",),
    "smartmeter_subscribed_power_voltamperes": (f"ISOUSC x {VOLTS_OF_CONTRACTS} V x the number of phases",),
    "smartmeter_overload": ("IINST, IINST1 … IINST3 compared with ISOUSC",),
    "smartmeter_phase_overload": ("IINST1 … IINST3 compared with ISOUSC",),
    "smartmeter_overload_current_amperes": ("IINST1 … IINST3 compared with ISOUSC",),
    "smartmeter_power_max_watts": ("PMAX before Linky",),
    "smartmeter_apparent_power_import_max_voltamperes": ("PMAX on Linky (yesterday)",),
    "smartmeter_tariff_active": ("NTARF", _bits(SUPPLIER_TARIFF)),
    "smartmeter_tariff_info": ("NTARF (tariff)", f"{_bits(SUPPLIER_TARIFF)} (tariff)"),
    "smartmeter_clock_degraded": ("DATE (season letter) in frames without STGE",),
    "smartmeter_tempo_colour": (_bits(TEMPO_TODAY, TEMPO_TOMORROW), "PJOURF+1 (tomorrow)"),
    **{
        f"smartmeter_switch_{what}": ("PJOURF+1 (tomorrow)", "PPOINTE (peak)")
        for what in ("timestamp_seconds", "tariff", "contact_closed")
    },
}
"""Family → the labels from which `derived` makes its readings."""


def sources() -> dict[str, str]:
    """Family → the labels that it comes from, as a text."""
    labels: dict[str, list[str]] = {}
    for field in FIELDS.values():
        by_family: dict[str, list[Series]] = {}
        for series in field.series:
            by_family.setdefault(series[0], []).append(series)
        for family, found in by_family.items():
            if field.label != "STGE":
                labels.setdefault(family, []).append(field.label + _info_labels(field.label, found))
    for bits in STATUS:
        labels.setdefault(bits.family, []).append(_bits(bits))
    return {
        family: ", ".join(chain(_ranges(labels.get(family, ())), DERIVED.get(family, ())))
        for family in FAMILIES
        if family in labels or family in DERIVED
    }


def _info_labels(label: str, found: Iterable[Series]) -> str:
    """The labels of an info family that a field gives, in brackets; empty for another family."""
    names = [series[1] for series in found if FAMILIES[series[0]].type == "info"]
    if label == ON_REQUEST:
        names.append("on request")
    return f" ({', '.join(names)})" if names else ""


def _ranges(labels: Iterable[str]) -> Iterator[str]:
    """Labels, where three or more that differ by 1 in one number are written as ``first … last``."""
    run: list[str] = []
    for label in (*labels, ""):
        if run and not _is_next(run[-1], label):
            yield from (f"{run[0]} … {run[-1]}",) if len(run) > 2 else run
            run = []
        run.append(label)


def _is_next(label: str, other: str) -> bool:
    """SMAXSN1-1 and SMAXSN2-1, EASF09 and EASF10."""
    number = _NUMBER.search(label)
    if number is None:
        return False
    return other == f"{label[: number.start()]}{int(number[0]) + 1:0{len(number[0])}d}{label[number.end() :]}"
