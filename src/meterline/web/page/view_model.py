"""What the page knows of a meter now: numbers and names, in no language. What the meter does not confirm any more is None."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from meterline.meter.families import FAMILIES, Family, privacy
from meterline.meter.meter import Meter
from meterline.meter.readings import Secret, Series

COLOURS = ("blue", "white", "red")
_PHASES = ("1", "2", "3", "r", "t")


class Power(NamedTuple):
    """A number and its unit."""

    value: float
    unit: str


class Phase(NamedTuple):
    """One phase; None for what its meter does not say."""

    name: str
    amperes: float | None
    volts: float | None
    voltamperes: float | None
    overload: bool


class Facts(NamedTuple):
    """A meter now."""

    state: str
    since: float
    """Unix time of the last frame, 0 before the first."""
    power: Power | None
    injected: Power | None
    subscribed: float | None
    """Volt-amperes."""
    overload: bool
    phases: tuple[Phase, ...]
    tariff: str | None
    """The register that counts."""
    tariff_name: str | None
    """What the meter calls it."""
    colours: tuple[str | None, str | None] | None
    """Tempo today and tomorrow; None for other contracts."""
    imported: float | None
    exported: float | None
    """Watt-hours."""
    rejected: tuple[tuple[str, int], ...]
    accepted: float | None
    """Part of what arrived in the last minute, while most of it is lost."""
    signal: float | None
    """dBm, while there is a session."""
    session: float | None
    """Unix time of its start; 0 where there is none; None for a meter without radio."""


def state(meter: Meter) -> str:
    """speaking, silent, or waiting for its first frame."""
    return "speaking" if meter.up else "silent" if meter.counters.frames else "waiting"


def note(meter: Meter) -> str:
    """The labels that the configuration gives it, in one line; empty where it gives none."""
    return " · ".join(f"{name}: {text}" for name, text in meter.labels.items())


def power(meter: Meter) -> Power | None:
    """Active power where the meter says it, else apparent power."""
    if (watts := _number(meter, "smartmeter_power_watts")) is not None:
        return Power(watts, "W")
    voltamperes = _number(meter, "smartmeter_apparent_power_import_voltamperes")
    return None if voltamperes is None else Power(voltamperes, "VA")


def injected(meter: Meter) -> Power | None:
    """Apparent power that flows to the grid, where it does."""
    voltamperes = _number(meter, "smartmeter_apparent_power_export_voltamperes")
    return Power(voltamperes, "VA") if voltamperes else None


def balance(meter: Meter) -> Power | None:
    """What a chart shows of the power: negative while it flows to the grid."""
    drawn = power(meter)
    given = injected(meter) if drawn and drawn.unit == "VA" and not drawn.value else None
    return Power(-given.value, given.unit) if given else drawn


def facts(meter: Meter) -> Facts:
    """All of it."""
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
    """Today's and tomorrow's, where the contract has any."""
    days = []
    known = False
    for day in ("today", "tomorrow"):
        said = {colour: meter.value("smartmeter_tempo_colour", colour, day) for colour in COLOURS}
        known = known or any(value is not None for value in said.values())
        days.append(next((colour for colour, value in said.items() if value), None))
    return (days[0], days[1]) if known else None


def shown(meter: Meter) -> list[tuple[Series, float | str]]:
    """Every reading for a page: of a state only the series that is 1, and nothing that is secret."""
    return [(series, value) for series, value in meter.readings.items() if _is_shown(FAMILIES[series[0]], series, value)]


def _is_shown(family: Family, series: Series, value: float | str) -> bool:
    if family.type == "info":
        return privacy(series[1]) != "secret"
    return bool(value) or family.kind != "state"


def said(meter: Meter) -> dict[str, str]:
    """What the meter says, by the labels of the wire, without what names a household."""
    return {label: text for label, text in meter.words.items() if not isinstance(text, Secret)}
