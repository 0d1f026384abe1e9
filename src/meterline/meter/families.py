"""The catalogue: every exported family, once, in the order of the page.

Where the values of a family come from on the wire is said by the protocols (their `sources`), and collected in docs/metrics.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias


class Family(NamedTuple):
    """One family of metrics. Every series also has the label ``meter``."""

    name: str
    type: str
    """gauge, counter, info or histogram."""
    help: str
    labels: tuple[str, ...] = ()
    origin: Literal["meter", "driver", "billing"] = "meter"
    """Part of the program that gives the values: the readings of a meter, the driver of its line, or billing."""
    buckets: tuple[float, ...] = ()
    """Upper limits of a histogram."""
    kind: Literal["number", "flag", "state"] = "number"
    """How people read it: a number with a unit; yes or no; or, of several series, the first label of the one that is 1."""

    def header(self, openmetrics: bool) -> str:
        """HELP and TYPE lines: OpenMetrics drops the suffix of counters and info families, 0.0.4 has no info type."""
        name, shown = self.name, self.type
        if openmetrics:
            name = name.removesuffix("_total").removesuffix("_info")
        elif shown == "info":
            shown = "gauge"
        return f"# HELP {name} {self.help}\n# TYPE {name} {shown}\n"


_PEAK = "1 to 3: peak period; Tempo: 1 white, 2 red"

CATALOGUE: tuple[Family, ...] = (
    # The line of a meter, whether the meter is heard or not.
    Family("smartmeter_up", "gauge", "1 while valid frames arrive, 0 when the meter is silent.", origin="driver", kind="flag"),
    Family(
        "smartmeter_last_frame_timestamp_seconds", "gauge", "When the last valid frame arrived, by our clock.", (), "driver"
    ),
    Family("smartmeter_frames_total", "counter", "Frames with at least one accepted value.", origin="driver"),
    Family("smartmeter_received_bytes_total", "counter", "Bytes read from the link.", origin="driver"),
    Family("smartmeter_link_opened_total", "counter", "Times the link was opened.", origin="driver"),
    Family("smartmeter_link_speed_bauds", "gauge", "Line speed in use, where the link has one.", origin="driver"),
    Family("smartmeter_rejected_total", "counter", "Groups, replies or values that were not believed.", ("reason",), "driver"),
    Family(
        "smartmeter_line_accepted_ratio",
        "gauge",
        "Part of the groups or replies of the last minute that was accepted.",
        origin="driver",
    ),
    Family("smartmeter_meter_swaps_total", "counter", "Times another meter answered on the same link.", origin="driver"),
    Family("smartmeter_defects_total", "counter", "Errors in this program while it read the meter.", origin="driver"),
    # The session with a meter that is polled (B-route).
    Family("smartmeter_session_up", "gauge", "1 while the radio session with the meter stands.", (), "driver", kind="flag"),
    Family("smartmeter_session_start_timestamp_seconds", "gauge", "Since when it stands.", (), "driver"),
    Family("smartmeter_session_joins_total", "counter", "Tries to open a session.", ("result",), "driver"),
    Family("smartmeter_session_renewals_total", "counter", "Times the module renewed the session by itself.", (), "driver"),
    Family("smartmeter_radio_scans_total", "counter", "Scans for the meter's network.", ("result",), "driver"),
    Family("smartmeter_radio_rssi_dbm", "gauge", "Strength of the meter's signal: below -80 is weak.", (), "driver"),
    Family("smartmeter_radio_transmitted_seconds_total", "counter", "Time on air of the module.", (), "driver"),
    Family(
        "smartmeter_radio_limited",
        "gauge",
        "1 while the law's limit of 360 s on air an hour holds us back.",
        (),
        "driver",
        kind="flag",
    ),
    Family(
        "smartmeter_retries_total",
        "counter",
        "Steps of recovery, from another try to opening the port again.",
        ("rung",),
        "driver",
    ),
    Family("smartmeter_polls_failed_total", "counter", "Rounds of questions that got no answer.", (), "driver"),
    Family("smartmeter_replies_late_total", "counter", "Replies that came when nobody waited for them any more.", (), "driver"),
    Family("smartmeter_notifications_total", "counter", "Messages that the meter sent unasked.", (), "driver"),
    Family("smartmeter_properties_refused_total", "counter", "Properties that the meter refused.", ("property",), "driver"),
    Family(
        "smartmeter_poll_duration_seconds",
        "histogram",
        "How long a round of questions took.",
        (),
        "driver",
        (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 90),
    ),
    # The ledger, and what the meter's memory adds to it.
    Family(
        "smartmeter_history_edges",
        "gauge",
        "Half-hours of the last 99 days, by whether the ledger knows their register.",
        ("state",),
        "driver",
    ),
    Family("smartmeter_history_questions_total", "counter", "Questions about what the meter remembers.", (), "driver"),
    Family(
        "smartmeter_history_edges_filled_total",
        "counter",
        "Half-hourly registers that the meter's memory filled in.",
        (),
        "driver",
    ),
    Family(
        "smartmeter_history_refused_total", "counter", "Questions that filled nothing in, by reason.", ("reason",), "driver"
    ),
    # Identity.
    Family(
        "smartmeter_info",
        "info",
        "Identity of the meter and its contract.",
        (
            "address",
            "contract",
            "identification",
            "manufacturer",
            "mode",
            "option",
            "prm",
            "protocol",
            "release",
            "state_word",
            "tic_version",
            "timetable",
            "type",
        ),
    ),
    Family("smartmeter_message_info", "info", "Messages on the meter's display.", ("short", "ultra_short")),
    # Energy.
    Family("smartmeter_energy_import_watthours_total", "counter", "Active energy drawn, all tariffs."),
    Family(
        "smartmeter_energy_import_tariff_watthours_total",
        "counter",
        "Active energy drawn, by register of the supplier.",
        ("tariff",),
    ),
    Family(
        "smartmeter_energy_import_distributor_watthours_total",
        "counter",
        "Active energy drawn, by register of the distributor.",
        ("tariff",),
    ),
    Family("smartmeter_energy_export_watthours_total", "counter", "Active energy injected."),
    Family("smartmeter_energy_export_tariff_watthours_total", "counter", "Active energy injected, by register.", ("tariff",)),
    Family("smartmeter_energy_reactive_varhours_total", "counter", "Reactive energy by quadrant.", ("quadrant",)),
    Family(
        "smartmeter_fixed_energy_import_watthours",
        "gauge",
        "Register of active energy drawn, as it stood at the last full minute or half hour.",
        ("every",),
    ),
    Family(
        "smartmeter_fixed_energy_export_watthours", "gauge", "Register of active energy injected, as it stood then.", ("every",)
    ),
    Family("smartmeter_fixed_energy_import_timestamp_seconds", "gauge", "When that was.", ("every",)),
    Family("smartmeter_fixed_energy_export_timestamp_seconds", "gauge", "When that was.", ("every",)),
    # Energy and money, booked by billing from the registers.
    Family("smartmeter_energy_import_day_watthours", "gauge", "Energy drawn since local midnight.", (), "billing"),
    Family("smartmeter_energy_import_period_watthours", "gauge", "Energy drawn in this billing period.", (), "billing"),
    Family("smartmeter_energy_export_day_watthours", "gauge", "Energy injected since local midnight.", (), "billing"),
    Family("smartmeter_cost_day", "gauge", "Cost since local midnight: energy and standing charge.", ("currency",), "billing"),
    Family("smartmeter_cost_period", "gauge", "Cost of this billing period so far.", ("currency",), "billing"),
    Family("smartmeter_cost_total", "counter", "Cost of energy, as kept every 15 minutes.", ("currency", "tariff"), "billing"),
    Family(
        "smartmeter_standing_cost_total", "counter", "Standing charges, a whole day at its begin.", ("currency",), "billing"
    ),
    Family("smartmeter_export_credit_total", "counter", "Credit for energy injected.", ("currency",), "billing"),
    Family(
        "smartmeter_cost_estimated_total",
        "counter",
        "By how much the cost may be off at most: energy of gaps over a change of price, spread by time.",
        ("currency",),
        "billing",
    ),
    Family(
        "smartmeter_price",
        "gauge",
        "Price of a kilowatt-hour that holds now, with levies and taxes.",
        ("currency", "tariff"),
        "billing",
    ),
    Family("smartmeter_price_next_change_timestamp_seconds", "gauge", "When that changes, as far as known.", (), "billing"),
    Family(
        "smartmeter_price_known",
        "gauge",
        "1 while the tariffs have a price for the meter, and no levy of it has run out.",
        (),
        "billing",
        kind="flag",
    ),
    Family(
        "smartmeter_price_remaining_seconds",
        "gauge",
        "Time until a period or a levy of the tariffs runs out; 0 once it has.",
        (),
        "billing",
    ),
    Family(
        "smartmeter_unpriced_energy_watthours_total",
        "counter",
        "Energy drawn that the tariffs had no price for.",
        (),
        "billing",
    ),
    Family(
        "smartmeter_tariffs_match_contract",
        "gauge",
        "1 while the tariffs price the registers of the contract that the meter names.",
        (),
        "billing",
        kind="flag",
    ),
    # Power, current, voltage.
    Family("smartmeter_power_watts", "gauge", "Active power: positive drawn, negative injected."),
    Family("smartmeter_apparent_power_import_voltamperes", "gauge", "Apparent power drawn."),
    Family("smartmeter_phase_apparent_power_import_voltamperes", "gauge", "Apparent power drawn, by phase.", ("phase",)),
    Family("smartmeter_apparent_power_export_voltamperes", "gauge", "Apparent power injected."),
    Family("smartmeter_current_amperes", "gauge", "RMS current by phase.", ("phase",)),
    Family("smartmeter_voltage_volts", "gauge", "RMS voltage by phase.", ("phase",)),
    Family(
        "smartmeter_mean_voltage_volts", "gauge", "Mean voltage over the meter's interval (10 minutes as a rule).", ("phase",)
    ),
    Family("smartmeter_mean_voltage_timestamp_seconds", "gauge", "End of that interval.", ("phase",)),
    Family(
        "smartmeter_mean_power_import_watts",
        "gauge",
        "Mean active power drawn: last and previous point of the load curve.",
        ("point",),
    ),
    Family("smartmeter_mean_power_import_timestamp_seconds", "gauge", "End of that point.", ("point",)),
    Family(
        "smartmeter_mean_power_export_watts",
        "gauge",
        "Mean active power injected: last and previous point of the load curve.",
        ("point",),
    ),
    Family("smartmeter_mean_power_export_timestamp_seconds", "gauge", "End of that point.", ("point",)),
    Family("smartmeter_exporting", "gauge", "1 while active energy flows to the grid.", kind="flag"),
    Family("smartmeter_phase_present", "gauge", "1 while the phase has voltage.", ("phase",), kind="flag"),
    # Limits and peaks.
    Family("smartmeter_subscribed_power_voltamperes", "gauge", "Subscribed power."),
    Family("smartmeter_subscribed_current_amperes", "gauge", "Subscribed current per phase."),
    Family("smartmeter_cutoff_power_voltamperes", "gauge", "Power at which the breaker opens."),
    Family("smartmeter_overload", "gauge", "1 while more than the subscribed power is drawn.", kind="flag"),
    Family("smartmeter_phase_overload", "gauge", "1 while the phase is in overload.", ("phase",), kind="flag"),
    Family("smartmeter_overload_current_amperes", "gauge", "Current of the overload, while it lasts.", ("phase",)),
    Family("smartmeter_current_max_amperes", "gauge", "Highest current so far (a constant on Linky).", ("phase",)),
    Family("smartmeter_power_max_watts", "gauge", "Highest three-phase power so far, on meters before Linky."),
    Family("smartmeter_apparent_power_import_max_voltamperes", "gauge", "Highest filtered apparent power drawn.", ("day",)),
    Family("smartmeter_apparent_power_import_max_timestamp_seconds", "gauge", "When that was.", ("day",)),
    Family(
        "smartmeter_phase_apparent_power_import_max_voltamperes",
        "gauge",
        "Highest filtered apparent power drawn, by phase.",
        ("day", "phase"),
    ),
    Family("smartmeter_phase_apparent_power_import_max_timestamp_seconds", "gauge", "When that was.", ("day", "phase")),
    Family("smartmeter_apparent_power_export_max_voltamperes", "gauge", "Highest filtered apparent power injected.", ("day",)),
    Family("smartmeter_apparent_power_export_max_timestamp_seconds", "gauge", "When that was.", ("day",)),
    # Tariff and calendar.
    Family("smartmeter_tariff_active", "gauge", "1 for the register that counts now.", ("tariff",), kind="state"),
    Family("smartmeter_tariff_info", "info", "The tariff that counts now.", ("calendar", "name", "tariff")),
    Family(
        "smartmeter_distributor_tariff_active",
        "gauge",
        "1 for the distributor's register that counts now.",
        ("tariff",),
        kind="state",
    ),
    Family("smartmeter_tempo_colour", "gauge", "1 for the Tempo colour of the day.", ("colour", "day"), kind="state"),
    Family(
        "smartmeter_peak_notice",
        "gauge",
        f"1 while a mobile peak is announced, before Linky also while it runs ({_PEAK}).",
        ("peak",),
        kind="flag",
    ),
    Family("smartmeter_peak_notice_seconds", "gauge", "Length of the notice of an EJP peak."),
    Family("smartmeter_peak_running", "gauge", f"1 while a mobile peak runs ({_PEAK}).", ("peak",), kind="flag"),
    Family("smartmeter_peak_start_timestamp_seconds", "gauge", "Start of an announced mobile peak.", ("peak",)),
    Family("smartmeter_peak_end_timestamp_seconds", "gauge", "End of an announced mobile peak.", ("peak",)),
    Family("smartmeter_day_profile", "gauge", "Number of the day's switching profile.", ("day",)),
    Family(
        "smartmeter_switch_timestamp_seconds",
        "gauge",
        "Next switching times: of tomorrow, and of the next peak day.",
        ("profile", "switch"),
    ),
    Family("smartmeter_switch_tariff", "gauge", "Number of the supplier's register from that time on.", ("profile", "switch")),
    Family(
        "smartmeter_switch_contact_closed",
        "gauge",
        "1 where the dry contact closes at that time, 0 where it opens.",
        ("profile", "switch"),
        kind="flag",
    ),
    # State of the meter.
    Family("smartmeter_operating", "gauge", "1 while the meter says that it works.", kind="flag"),
    Family("smartmeter_fault", "gauge", "1 while the meter reports a fault.", kind="flag"),
    Family(
        "smartmeter_breaker", "gauge", "1 for the state of the breaker, with the cause of opening.", ("state",), kind="state"
    ),
    Family("smartmeter_contact_closed", "gauge", "1 while the dry contact is closed.", kind="flag"),
    Family("smartmeter_relay_closed", "gauge", "1 while the relay is closed (1 is real).", ("relay",), kind="flag"),
    Family("smartmeter_cover_open", "gauge", "1 while the distributor's cover is open.", kind="flag"),
    Family("smartmeter_overvoltage", "gauge", "1 while a phase has too much voltage.", kind="flag"),
    Family("smartmeter_producer", "gauge", "1 where the meter is programmed as producer.", kind="flag"),
    Family("smartmeter_euridis_output", "gauge", "1 for the state of the Euridis output.", ("state",), kind="state"),
    Family("smartmeter_plc_modem", "gauge", "1 for the state of the power-line modem.", ("state",), kind="state"),
    Family("smartmeter_plc_synchronised", "gauge", "1 while the power-line modem is synchronised.", kind="flag"),
    Family("smartmeter_clock_timestamp_seconds", "gauge", "The meter's own clock."),
    Family(
        "smartmeter_clock_offset_seconds", "gauge", "How far the meter's clock is ahead of ours, at least: it says minutes."
    ),
    Family("smartmeter_clock_degraded", "gauge", "1 while the meter's clock is not to be trusted.", kind="flag"),
)

FAMILIES: Mapping[str, Family] = {family.name: family for family in CATALOGUE}

COLUMNS: Mapping[str, int] = {family.name: column for column, family in enumerate(CATALOGUE)}
"""Family → its place in the catalogue."""

BILLING_FAMILIES = tuple(family.name for family in CATALOGUE if family.origin == "billing")

REGISTERS = frozenset(family.name for family in CATALOGUE if family.type == "counter" and family.origin == "meter")
"""Counters inside the meter: they must not fall, and not rise faster than power allows."""

Privacy: TypeAlias = Literal["public", "private", "secret"]
"""Who may see the values of a label: strangers; only those who see the meter's page; or those alone whom the configuration
lets see it in /metrics.
"""

LABELS: Mapping[str, Privacy] = {
    # What a meter is.
    "address": "private",
    "contract": "public",
    "identification": "private",
    "manufacturer": "public",
    "mode": "public",
    "option": "public",
    "prm": "secret",
    "protocol": "public",
    "release": "public",
    "state_word": "public",
    "tic_version": "public",
    "timetable": "public",
    "type": "public",
    # What its supplier writes.
    "calendar": "private",
    "name": "private",
    "short": "private",
    "ultra_short": "private",
    # What tells the series of a family apart.
    "colour": "public",
    "currency": "public",
    "day": "public",
    "every": "public",
    "le": "public",
    "peak": "public",
    "phase": "public",
    "point": "public",
    "profile": "public",
    "property": "public",
    "quadrant": "public",
    "reason": "public",
    "relay": "public",
    "result": "public",
    "rung": "public",
    "state": "public",
    "switch": "public",
    "tariff": "public",
    # What the program is.
    "python": "public",
    "version": "public",
}
"""Every label of /metrics but `meter`, the name that the configuration gives."""


def privacy(label: str) -> Privacy:
    """Who may see the values of a label; nobody those of a label that has no entry in `LABELS`."""
    return LABELS.get(label, "secret")
