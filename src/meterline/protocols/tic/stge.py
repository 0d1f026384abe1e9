"""STGE, the status register of standard mode: eight hexadecimal digits, bit 0 the least significant.

Source: Enedis-NOI-CPT_54E v3, the table of the status register. Bits 5 and 18 are unused; bit 17 (TIC mode) is always 1 here.
"""

from __future__ import annotations

from functools import cache

from meterline.meter.readings import Reading

COLOURS = ("blue", "white", "red")
"""Tempo colours by code - 1. The peak periods of Tempo are PM1 = white, PM2 = red (proved by captures, not in 54E)."""

BREAKER = (
    "closed",
    "open_overpower",
    "open_overvoltage",
    "open_load_shedding",
    "open_remote_order",
    "open_overheating_high_current",
    "open_overheating",
)
EURIDIS = {0: "off", 1: "on", 3: "on_secured"}
PLC_MODEM = ("new_unlocked", "new_locked", "registered")


@cache
def one_hot(family: str, states: tuple[str, ...], now: str | None, *after: str) -> tuple[Reading, ...]:
    """One reading a state: 1 for `now`, 0 for the others. `after`: the label values behind the state's."""
    return tuple(Reading((family, state, *after), int(state == now)) for state in states)


def tempo_today(word: str) -> str | None:
    """Today's colour; None where the contract is not Tempo.

    ⚠ Assumed: between 00:00 and 06:00 these bits still name the Tempo day that began the day before.
    """
    return _colour(int(word, 16) >> 24 & 3)


def tempo_tomorrow(word: str) -> str | None:
    """Tomorrow's colour; None while it is not known, or where the contract is not Tempo."""
    return _colour(int(word, 16) >> 26 & 3)


def _colour(code: int) -> str | None:
    return COLOURS[code - 1] if code else None


def supplier_tariff(word: str) -> int:
    """Number of the supplier's register that counts now, 1 to 10."""
    return (int(word, 16) >> 10 & 0b1111) + 1


def status_readings(word: str) -> list[Reading]:
    """All of the register but the supplier's tariff and tomorrow's colour, which other groups tell too."""
    bits = int(word, 16)

    def field(low: int, width: int) -> int:
        return bits >> low & (1 << width) - 1

    readings = [
        Reading(("smartmeter_contact_closed",), 1 - field(0, 1)),
        Reading(("smartmeter_cover_open",), field(4, 1)),
        Reading(("smartmeter_overvoltage",), field(6, 1)),
        Reading(("smartmeter_overload",), field(7, 1)),
        Reading(("smartmeter_producer",), field(8, 1)),
        Reading(("smartmeter_exporting",), field(9, 1)),
        Reading(("smartmeter_clock_degraded",), field(16, 1)),
        Reading(("smartmeter_plc_synchronised",), field(23, 1)),
        *one_hot(
            "smartmeter_distributor_tariff_active",
            ("EASD01", "EASD02", "EASD03", "EASD04"),
            f"EASD{field(14, 2) + 1:02d}",
        ),
        *one_hot("smartmeter_peak_notice", ("1", "2", "3"), str(field(28, 2))),
        *one_hot("smartmeter_peak_running", ("1", "2", "3"), str(field(30, 2))),
    ]
    # The label table lets no undefined code pass.
    readings += one_hot("smartmeter_breaker", BREAKER, BREAKER[field(1, 3)])
    readings += one_hot("smartmeter_euridis_output", tuple(EURIDIS.values()), EURIDIS[field(19, 2)])
    readings += one_hot("smartmeter_plc_modem", PLC_MODEM, PLC_MODEM[field(21, 2)])
    today = tempo_today(word)
    readings += one_hot("smartmeter_tempo_colour", COLOURS, today, "today") if today else no_colour("today")
    return readings


@cache
def no_colour(day: str) -> tuple[Reading, ...]:
    """There is no Tempo colour on this day: the contract is another."""
    return tuple(Reading(("smartmeter_tempo_colour", colour, day), None) for colour in COLOURS)
