"""The current readings of a meter for the page, without language. A value without a fresh reading is None."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from meterline.meter.families import FAMILIES, Family, privacy
from meterline.meter.meter import Meter
from meterline.meter.readings import Secret, Series

COLOURS = ("blue", "white", "red")
_PHASES = ("1", "2", "3", "r", "t")


class Power(NamedTuple):
    """A power with its unit, W or VA; exported power is negative."""

    value: float
    unit: str


class Phase(NamedTuple):
    """The readings of one phase; None: the meter sends no such reading."""

    name: str
    amperes: float | None
    volts: float | None
    voltamperes: float | None
    overload: bool


class Facts(NamedTuple):
    """The current readings of a meter.

    Attributes:
        state: ``speaking`` (online), ``silent`` (offline), or ``waiting`` for the first frame.
        since: Unix time of the last frame in seconds; 0 before the first.
        power: Power now.
        injected: Apparent power exported to the grid.
        subscribed: Subscribed power in volt-amperes.
        overload: Whether the meter reports an overload.
        phases: The phases with a reading.
        tariff: The active register of the supplier.
        tariff_name: Name of the tariff, as the meter sends it.
        colours: Tempo colours of today and tomorrow; None for other contracts.
        imported: Total import in watt-hours.
        exported: Total export in watt-hours.
        rejected: Reason → number of rejected groups or replies since the start.
        accepted: Ratio of accepted data in the last minute; None unless most of the data is lost.
        signal: Signal strength in dBm; None without a radio session.
        session: Unix time of the session's start; 0: no session; None: a meter without radio.
    """

    state: str
    since: float
    power: Power | None
    injected: Power | None
    subscribed: float | None
    overload: bool
    phases: tuple[Phase, ...]
    tariff: str | None
    tariff_name: str | None
    colours: tuple[str | None, str | None] | None
    imported: float | None
    exported: float | None
    rejected: tuple[tuple[str, int], ...]
    accepted: float | None
    signal: float | None
    session: float | None


def state(meter: Meter) -> str:
    """Return ``speaking`` (online), ``silent`` (offline), or ``waiting`` for the first frame: keys of texts and styles."""
    return "speaking" if meter.up else "silent" if meter.counters.frames else "waiting"


def note(meter: Meter) -> str:
    """The labels that the configuration gives it, in one line; empty where it gives none."""
    return " · ".join(f"{name}: {text}" for name, text in meter.labels.items())


def power(meter: Meter) -> Power | None:
    """Return the active power; if the meter sends none, the apparent power."""
    if (watts := _number(meter, "smartmeter_power_watts")) is not None:
        return Power(watts, "W")
    voltamperes = _number(meter, "smartmeter_apparent_power_import_voltamperes")
    return None if voltamperes is None else Power(voltamperes, "VA")


def injected(meter: Meter) -> Power | None:
    """Return the apparent power exported to the grid; None if nothing is exported."""
    voltamperes = _number(meter, "smartmeter_apparent_power_export_voltamperes")
    return Power(voltamperes, "VA") if voltamperes else None


def balance(meter: Meter) -> Power | None:
    """Return the power for charts: negative while power is exported to the grid."""
    drawn = power(meter)
    given = injected(meter) if drawn and drawn.unit == "VA" and not drawn.value else None
    return Power(-given.value, given.unit) if given else drawn


def facts(meter: Meter) -> Facts:
    """Return all current readings that the page shows."""
    observed = meter.counters.observed
    session = observed.get(("smartmeter_session_up",))
    tariff, name = meter.value("smartmeter_tariff_info", "tariff"), meter.value("smartmeter_tariff_info", "name")
    return Facts(
        state=state(meter),
        since=meter.last_frame_at,
        power=power(meter),
        injected=injected(meter),
        subscribed=_number(meter, "smartmeter_subscribed_power_voltamperes"),
        overload=bool(meter.value("smartmeter_overload")),
        phases=tuple(phase for phase in map(_phase(meter), _PHASES) if phase[1:4] != (None, None, None)),
        tariff=str(tariff) if tariff is not None else None,
        tariff_name=" ".join(str(name).split()) if name is not None else None,
        colours=_colours(meter),
        imported=_number(meter, "smartmeter_energy_import_watthours_total"),
        exported=_number(meter, "smartmeter_energy_export_watthours_total"),
        accepted=meter.counters.line.accepted_ratio if meter.counters.line.lossy else None,
        rejected=tuple((reason, count) for reason, count in meter.counters.rejected.items() if count),
        signal=observed.get(("smartmeter_radio_rssi_dbm",)) if session else None,
        session=observed.get(("smartmeter_session_start_timestamp_seconds",), 0.0) if session else session,
    )


def _number(meter: Meter, *series: str) -> float | None:
    value = meter.value(*series)
    return None if value is None else float(value)


def _phase(meter: Meter) -> Callable[[str], Phase]:
    def phase(name: str) -> Phase:
        return Phase(
            name,
            _number(meter, "smartmeter_current_amperes", name),
            _number(meter, "smartmeter_voltage_volts", name),
            _number(meter, "smartmeter_phase_apparent_power_import_voltamperes", name),
            bool(meter.value("smartmeter_phase_overload", name)),
        )

    return phase


def _colours(meter: Meter) -> tuple[str | None, str | None] | None:
    """Return the Tempo colours of today and tomorrow; None if the contract has none."""
    days = []
    known = False
    for day in ("today", "tomorrow"):
        flags = {colour: meter.value("smartmeter_tempo_colour", colour, day) for colour in COLOURS}
        known = known or any(value is not None for value in flags.values())
        days.append(next((colour for colour, value in flags.items() if value), None))
    return (days[0], days[1]) if known else None


def shown(meter: Meter) -> list[tuple[Series, float | str]]:
    """Return the readings for a page: of a state only the series with value 1, and no secret one."""
    return [(series, value) for series, value in meter.readings.items() if _is_shown(FAMILIES[series[0]], series, value)]


def _is_shown(family: Family, series: Series, value: float | str) -> bool:
    if family.type == "info":
        return privacy(series[1]) != "secret"
    return bool(value) or family.kind != "state"


def raw_fields(meter: Meter) -> dict[str, str]:
    """Return the raw fields of the last frame, label → text, without those that identify the household."""
    return {label: text for label, text in meter.words.items() if not isinstance(text, Secret)}
