"""Which contract the meter is programmed for, and the registers that it counts on. Sources: 02E, 54E.

Historic mode: OPTARIF, a closed set. A register's name is that of one contract only. Standard mode: NGTF and LTARF, free text
of the supplier. ⚠ Assumed: the names that captures show mean the historic contracts; any other offer may use the registers as
it likes, and nothing is said of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from meterline.meter.readings import Contract
from meterline.protocols.tic.frames import Group
from meterline.protocols.tic.labels import CONTRACTS
from meterline.protocols.tic.readers import SUPPLIER_REGISTERS, contract

_CALENDARS = {"BASE": "BASE", "H PLEINE/CREUSE": "HC", "EJP": "EJP", "TEMPO": "TEMPO"}
"""NGTF → contract."""
_COLOURS = ("BLEU", "BLANC", "ROUGE")


def contract_of(groups: Mapping[str, Group]) -> Contract | None:
    """What a frame says of it; None where it says nothing."""
    if "OPTARIF" in groups:
        return _historic(groups["OPTARIF"].data)
    if "NGTF" in groups:
        return _standard(groups["NGTF"].data, groups["LTARF"].data if "LTARF" in groups else "")
    return None


@lru_cache(maxsize=64)
def _historic(option: str) -> Contract:
    name = contract(option)
    return Contract(name, CONTRACTS[name])


@lru_cache(maxsize=256)
def _standard(calendar: str, period: str) -> Contract:
    """The historic contracts have the supplier's registers 1, 2 … in their order (54E)."""
    said = " ".join(calendar.split())
    name, running = _CALENDARS.get(said), _running(period)
    if name is None or (running and running != name):
        return Contract(said)
    count = len(CONTRACTS[name])
    return Contract(name, SUPPLIER_REGISTERS[:count], SUPPLIER_REGISTERS[count:])


def _running(period: str) -> str | None:
    """The contract that the name of the running register belongs to, where it can be no other's."""
    words = period.split()
    if words == ["BASE"]:
        return "BASE"
    return "TEMPO" if {"HC", "HP"} & {*words} and {*_COLOURS} & {*words} else None
