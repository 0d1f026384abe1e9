"""What each family of the catalogue is for Home Assistant: platform, class, unit, statistics, category, shown at first or not.

Most follows from the name and the type of a family; the tables name what does not. ⚠ Assumed: the classes and units that Home
Assistant 2025.4 takes (developers.home-assistant.io: Sensor entity, Binary sensor entity). A wrong one costs the whole entity:
volt-amperes never in kVA, reactive energy without a class, money only as a total.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Literal, NamedTuple

from meterline.locale.currencies import digits
from meterline.meter.families import CATALOGUE, FAMILIES, Family
from meterline.meter.readings import Series

PREFIX = "smartmeter_"
UNKNOWN = "unknown"
"""The state of an entity that has several, while the meter says none of them."""
PRIVATE = frozenset({"address", "identification", "prm"})
"""Labels that name a meter or a household: sent only where a person asks for them."""
NOT_SENT = frozenset({"smartmeter_poll_duration_seconds"})
"""Families that are no reading of a moment: a histogram."""

_UNITS: Mapping[str, tuple[str | None, str]] = {
    # end of a family's name → device class, unit
    "amperes": ("current", "A"),
    "bauds": (None, "Bd"),
    "bytes": ("data_size", "B"),
    "dbm": ("signal_strength", "dBm"),
    "seconds": ("duration", "s"),
    "varhours": (None, "varh"),
    "voltamperes": ("apparent_power", "VA"),
    "volts": ("voltage", "V"),
    "watthours": ("energy", "Wh"),
    "watts": ("power", "W"),
}
_PRECISION: Mapping[str, int] = {"current": 1, "power": 0, "apparent_power": 0, "energy": 0, "voltage": 0, "duration": 0}

_SINCE: Mapping[str, str] = {
    # family that begins anew → the key that says when it last did
    "energy_import_day_watthours": "day_start",
    "energy_export_day_watthours": "day_start",
    "energy_import_period_watthours": "period_start",
    "cost_day": "day_start",
    "cost_period": "period_start",
    # After a lost state they begin anew, which would be taken for a negative cost.
    "cost_total": "account_start",
    "standing_cost_total": "account_start",
    "export_credit_total": "account_start",
    "cost_estimated_total": "account_start",
}
STARTS = ("day_start", "period_start", "account_start")
"""Keys of a state that are no entity of their own: when the local day, the billing period and the account began."""
_MONEY = frozenset(
    ("cost_day", "cost_period", "cost_total", "standing_cost_total", "export_credit_total", "cost_estimated_total")
)

_BINARY_CLASSES: Mapping[str, str] = {
    "up": "connectivity",
    "session_up": "connectivity",
    "overload": "problem",
    "phase_overload": "problem",
    "fault": "problem",
    "overvoltage": "problem",
    "clock_degraded": "problem",
    "radio_limited": "problem",
    "cover_open": "opening",
    "phase_present": "power",
}
_STATISTICS = frozenset(
    (
        *("power_watts", "apparent_power_import_voltamperes", "phase_apparent_power_import_voltamperes"),
        *("apparent_power_export_voltamperes", "current_amperes", "voltage_volts", "mean_voltage_volts"),
        *("mean_power_import_watts", "mean_power_export_watts", "radio_rssi_dbm", "line_accepted_ratio", "price"),
    )
)
"""Gauges of which a curve makes sense; the others are limits, peaks and moments."""
_SHOWN = frozenset(
    (
        *("up", "radio_rssi_dbm", "power_watts", "apparent_power_import_voltamperes"),
        *("phase_apparent_power_import_voltamperes", "apparent_power_export_voltamperes", "current_amperes", "voltage_volts"),
        *("energy_import_watthours_total", "energy_import_tariff_watthours_total", "energy_export_watthours_total"),
        *("energy_import_day_watthours", "energy_export_day_watthours", "cost_day", "cost_period", "cost_total", "price"),
        *("exporting", "overload", "phase_overload", "tariff_active", "tempo_colour", "peak_notice", "peak_running"),
        *("subscribed_power_voltamperes", "breaker", "fault"),
    )
)
"""Families whose entities are enabled from the start: a three-phase standard meter has more than sixty."""
_DIAGNOSTIC = frozenset(
    (
        *("subscribed_power_voltamperes", "subscribed_current_amperes", "cutoff_power_voltamperes", "current_max_amperes"),
        *("power_max_watts", "operating", "fault", "breaker", "cover_open", "overvoltage", "producer", "euridis_output"),
        *("plc_modem", "plc_synchronised", "clock_timestamp_seconds", "clock_offset_seconds", "clock_degraded"),
        *("distributor_tariff_active", "switch_timestamp_seconds", "switch_tariff", "switch_contact_closed", "day_profile"),
        *("price_known", "price_remaining_seconds", "tariffs_match_contract", "info", "phase_present"),
    )
)
"""Families of the meter itself that people look for when something is wrong; those of its line are all diagnostic."""


class Traits(NamedTuple):
    """A family as Home Assistant takes it."""

    platform: Literal["sensor", "binary_sensor"]
    device_class: str | None = None
    unit: str | None = None
    state_class: str | None = None
    precision: int | None = None
    is_diagnostic: bool = False
    is_enabled: bool = False
    since: str | None = None
    """Key of a state: when the value began at 0."""


class Entity(NamedTuple):
    """One value of a meter: one entity.

    Attributes:
        key: Its name in states and identifiers: the family without ``smartmeter_``, and the labels; a-z, A-Z, 0-9, _ and -.
        series: The series of /metrics; of a state, with the first label (the state) empty.
    """

    key: str
    series: Series

    @property
    def family(self) -> Family:
        """Its family of the catalogue."""
        return FAMILIES[self.series[0]]


@lru_cache(maxsize=4096)
def entity_of(series: Series) -> Entity | None:
    """The entity of a series; None for a family that is not sent. All series of one state have the same entity."""
    name, *labels = series
    family = FAMILIES[name]
    if name in NOT_SENT:
        return None
    if family.kind == "state":
        labels[0] = ""
    shown = labels[1:] if family.kind == "state" else labels
    short = name.removeprefix(PREFIX)
    # The label of an info family is one of the catalogue; any other text may come from a configuration.
    words = shown if family.type == "info" else map(_encoded, shown)
    return Entity("_".join((short, *words)), (name, *labels))


def entity_of_key(key: str) -> Entity | None:
    """The entity that has this key; None where none can have it."""
    if series := _info_keys().get(key):
        return Entity(key, series)
    for count in range(4):
        name, *words = key.rsplit("_", count)
        family = FAMILIES.get(PREFIX + name)
        if family and family.type != "info" and family.name not in NOT_SENT and len(words) == count:
            is_state = family.kind == "state"
            labels = [_decoded(word) for word in words]
            if len(labels) + is_state == len(family.labels) and None not in labels:
                return Entity(key, (family.name, *[""] * is_state, *map(str, labels)))
    return None


@lru_cache(maxsize=512)
def traits(series: Series) -> Traits:
    """What the entity of a series is."""
    family, *labels = FAMILIES[series[0]], *series[1:]
    short = family.name.removeprefix(PREFIX)
    is_diagnostic, is_enabled = family.origin == "driver" or short in _DIAGNOSTIC, short in _SHOWN
    if family.kind == "flag":
        device_class = _BINARY_CLASSES.get(short)
        return Traits("binary_sensor", device_class, is_diagnostic=is_diagnostic, is_enabled=is_enabled)
    if family.kind == "state":
        return Traits("sensor", "enum", is_diagnostic=is_diagnostic, is_enabled=is_enabled)
    if family.type == "info":
        return Traits("sensor", is_diagnostic=is_diagnostic, is_enabled=is_enabled)
    device_class, unit, state_class, precision = _measure(family, short, labels)
    return Traits("sensor", device_class, unit, state_class, precision, is_diagnostic, is_enabled, _SINCE.get(short))


def _measure(family: Family, short: str, labels: list[str]) -> tuple[str | None, str | None, str | None, int | None]:
    """Device class, unit, state class and decimals of a number."""
    if short.endswith("timestamp_seconds"):
        return "timestamp", None, None, None
    if short in _MONEY:
        return "monetary", labels[0], "total", digits(labels[0])
    if short == "price":
        return None, f"{labels[0]}/kWh", "measurement", 4
    device_class, unit = _UNITS.get(short.removesuffix("_total").rpartition("_")[2], (None, None))
    if short in _SINCE:
        state_class: str | None = "total"
    elif family.type == "counter" or device_class == "energy":  # a fixed register is a register
        state_class = "total_increasing"
    else:
        state_class = "measurement" if short in _STATISTICS else None
    precision = 2 if short == "line_accepted_ratio" else _PRECISION.get(device_class or "")
    return device_class, unit, state_class, precision


@cache
def _info_keys() -> Mapping[str, Series]:
    infos = (family for family in CATALOGUE if family.type == "info")
    return {f"{family.name.removeprefix(PREFIX)}_{label}": (family.name, label) for family in infos for label in family.labels}


def _encoded(text: str) -> str:
    """A label of which nothing can leave the key: all but letters and digits as the hex digits of their bytes."""
    return re.sub(r"[^A-Za-z0-9]", lambda found: "".join(f"-{byte:02x}" for byte in found[0].encode("utf-8", "replace")), text)


def _decoded(word: str) -> str | None:
    if not re.fullmatch(r"([A-Za-z0-9]|-[0-9a-f]{2})*", word):
        return None
    octets = re.sub(r"-([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), word).encode("latin-1")
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return None
