"""STGE, the status register of standard mode: eight hexadecimal digits, bit 0 the least significant.

Source: Enedis-NOI-CPT_54E v3, the table of the status register. Bits 5 and 18 are unused; bit 17 (TIC mode) is always 1 in
standard mode. The pattern of STGE (`fields`) rejects a register with a code that is not defined here.
"""

from __future__ import annotations

from functools import cache
from itertools import chain
from typing import NamedTuple

from meterline.meter.readings import Reading

TEMPO = "smartmeter_tempo_colour"
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
DISTRIBUTOR_REGISTERS = tuple(f"EASD{number:02d}" for number in range(1, 5))
EURIDIS = ("off", "on", None, "on_secured")
PLC_MODEM = ("new_unlocked", "new_locked", "registered")
PEAKS = (None, "1", "2", "3")


class StatusBits(NamedTuple):
    """Neighbouring bits of the register that mean one thing.

    Attributes:
        family: The family in the catalogue.
        low: Number of the least significant bit.
        width: Number of bits.
        states: Names by code, None for a code that means none of them; empty where the code is the value.
        is_inverted: The value is 1 where the bit is 0.
    """

    family: str
    low: int
    width: int = 1
    states: tuple[str | None, ...] = ()
    is_inverted: bool = False

    def code(self, register: int) -> int:
        """The bits as a number."""
        return register >> self.low & (1 << self.width) - 1

    def state(self, register: int) -> str | None:
        """The name of the state that the bits say."""
        return self.states[self.code(register)]

    def readings(self, code: int) -> tuple[Reading, ...]:
        """One reading, or one for each state."""
        if self.states:
            return one_hot(self.family, tuple(filter(None, self.states)), self.states[code])
        return (Reading((self.family,), code ^ self.is_inverted),)


STATUS: tuple[StatusBits, ...] = (
    StatusBits("smartmeter_contact_closed", 0, is_inverted=True),
    StatusBits("smartmeter_breaker", 1, 3, BREAKER),
    StatusBits("smartmeter_cover_open", 4),
    StatusBits("smartmeter_overvoltage", 6),
    StatusBits("smartmeter_overload", 7),
    StatusBits("smartmeter_producer", 8),
    StatusBits("smartmeter_exporting", 9),
    StatusBits("smartmeter_distributor_tariff_active", 14, 2, DISTRIBUTOR_REGISTERS),
    StatusBits("smartmeter_clock_degraded", 16),
    StatusBits("smartmeter_euridis_output", 19, 2, EURIDIS),
    StatusBits("smartmeter_plc_modem", 21, 2, PLC_MODEM),
    StatusBits("smartmeter_plc_synchronised", 23),
    StatusBits("smartmeter_peak_notice", 28, 2, PEAKS),
    StatusBits("smartmeter_peak_running", 30, 2, PEAKS),
)
"""Bits whose readings need nothing else of the frame."""

SUPPLIER_TARIFF = StatusBits("smartmeter_tariff_active", 10, 4)
"""Number of the supplier's register that counts now, less 1. NTARF says the same (`derived`)."""
TEMPO_TODAY = StatusBits(TEMPO, 24, 2, (None, *COLOURS))
"""⚠ Assumed: between 00:00 and 06:00 these bits still name the Tempo day that began the day before."""
TEMPO_TOMORROW = StatusBits(TEMPO, 26, 2, (None, *COLOURS))
"""PJOURF+1 may tell tomorrow's colour before these bits do (`derived`)."""


@cache
def one_hot(family: str, states: tuple[str, ...], current: str | None, *labels: str) -> tuple[Reading, ...]:
    """One reading for each state: 1 for `current`, 0 for the others. `labels`: values of the labels behind the state's."""
    return tuple(Reading((family, state, *labels), int(state == current)) for state in states)


def supplier_tariff(status: str) -> int:
    """Number of the supplier's register that counts now, 1 to 10."""
    return SUPPLIER_TARIFF.code(int(status, 16)) + 1


def tempo_today(status: str) -> str | None:
    """Today's colour; None where the contract is not Tempo."""
    return TEMPO_TODAY.state(int(status, 16))


def tempo_tomorrow(status: str) -> str | None:
    """Tomorrow's colour; None while it is not known, or where the contract is not Tempo."""
    return TEMPO_TOMORROW.state(int(status, 16))


def status_readings(status: str) -> tuple[Reading, ...]:
    """The readings of the register but the supplier's tariff and tomorrow's colour, for which `derived` needs other groups."""
    register = int(status, 16)
    colour = TEMPO_TODAY.state(register)
    readings = [_readings_of_row(row, bits.code(register)) for row, bits in enumerate(STATUS)]
    readings.append(one_hot(TEMPO, COLOURS, colour, "today") if colour else no_tempo_colour("today"))
    return tuple(chain.from_iterable(readings))


@cache
def _readings_of_row(row: int, code: int) -> tuple[Reading, ...]:
    return STATUS[row].readings(code)


@cache
def no_tempo_colour(day: str) -> tuple[Reading, ...]:
    """Readings that clear the colours of a day: the contract is not Tempo."""
    return tuple(Reading((TEMPO, colour, day), None) for colour in COLOURS)
