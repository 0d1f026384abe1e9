"""The contracts of the French market: their registers, and the names by which a meter tells its contract. Sources: 02E, 54E.

Historic mode: OPTARIF, a closed set. A register's name is that of one contract only. Standard mode: NGTF and LTARF, free text
of the supplier. ⚠ Assumed: the names that captures show mean the historic contracts. Any other offer may use the supplier's
registers as it likes, so no registers are given for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from meterline.meter.readings import Contract

CONTRACTS = {
    "BASE": ("BASE",),
    "HC": ("HCHC", "HCHP"),
    "EJP": ("EJPHN", "EJPHPM"),
    "TEMPO": ("BBRHCJB", "BBRHPJB", "BBRHCJW", "BBRHPJW", "BBRHCJR", "BBRHPJR"),
}
"""Historic contracts → their registers, in the order of the supplier's indexes 1, 2 … of standard mode."""

CONTRACT_OF = {register: name for name, registers in CONTRACTS.items() for register in registers}
"""Register → contract."""

SUPPLIER_REGISTERS = tuple(f"EASF{number:02d}" for number in range(1, 11))
"""The supplier's registers of standard mode, by number."""

PERIODS = {
    "TH..": "BASE",
    "HC..": "HCHC",
    "HP..": "HCHP",
    "HN..": "EJPHN",
    "PM..": "EJPHPM",
    "HCJB": "BBRHCJB",
    "HPJB": "BBRHPJB",
    "HCJW": "BBRHCJW",
    "HPJW": "BBRHPJW",
    "HCJR": "BBRHCJR",
    "HPJR": "BBRHPJR",
}
"""PTEC → the register that counts in that period."""

OPTIONS = {"BASE": "BASE", "HC..": "HC", "EJP.": "EJP", "BBR": "TEMPO"}
"""OPTARIF (its first three characters for Tempo) → contract."""

_CALENDARS = {"BASE": "BASE", "H PLEINE/CREUSE": "HC", "EJP": "EJP", "TEMPO": "TEMPO"}
"""NGTF → contract."""
_COLOURS = {"BLEU", "BLANC", "ROUGE"}


def contract_of_option(option: str) -> str:
    """OPTARIF → BASE, HC, EJP or TEMPO."""
    return OPTIONS.get(option) or OPTIONS[option[:3]]


def contract_of(fields: Mapping[str, str]) -> Contract | None:
    """The contract that a frame names.

    Args:
        fields: Label → data of the groups of the frame.

    Returns:
        None where the frame holds neither OPTARIF nor NGTF.
    """
    if "OPTARIF" in fields:
        return _historic_contract(fields["OPTARIF"])
    if "NGTF" in fields:
        return _standard_contract(fields["NGTF"], fields.get("LTARF", ""))
    return None


@lru_cache(maxsize=64)
def _historic_contract(option: str) -> Contract:
    name = contract_of_option(option)
    return Contract(name, CONTRACTS[name])


@lru_cache(maxsize=256)
def _standard_contract(calendar: str, period: str) -> Contract:
    """The contract that NGTF names. The historic contracts have the supplier's registers 1, 2 … in their order (54E)."""
    calendar = " ".join(calendar.split())
    name, running = _CALENDARS.get(calendar), _contract_of_period(period)
    if name is None or (running and running != name):
        return Contract(calendar)
    count = len(CONTRACTS[name])
    return Contract(name, SUPPLIER_REGISTERS[:count], SUPPLIER_REGISTERS[count:])


def _contract_of_period(period: str) -> str | None:
    """The contract to which the name of the running period (LTARF) belongs, where that can be one only."""
    terms = period.split()
    if terms == ["BASE"]:
        return "BASE"
    return "TEMPO" if {"HC", "HP"} & {*terms} and _COLOURS & {*terms} else None
