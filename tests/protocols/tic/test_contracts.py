"""Which contract the meter names, and the registers that it counts on."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.tic_frames import SUMMER_NOON, simulated, stream

from meterline.meter.readings import Contract, Snapshot
from meterline.protocols.tic.contracts import contract_of
from meterline.protocols.tic.derived import readings
from meterline.protocols.tic.frames import Assembler, Decoder

EASF = tuple(f"EASF{n:02d}" for n in range(1, 11))


def snapshots(data: bytes) -> list[Snapshot]:
    return [readings(frame) for frame in Assembler().feed(Decoder().feed(data))]


def standard(**groups: str) -> Contract | None:
    return contract_of(groups)


@pytest.mark.parametrize(("name", "count"), [("BASE", 1), ("HC", 2), ("EJP", 2), ("TEMPO", 6)])
def test_a_standard_frame_names_the_registers_of_its_contract_and_those_of_others(name: str, count: int) -> None:
    (*_, last) = snapshots(stream(simulated("standard", name, SUMMER_NOON), 3))
    assert last.contract == Contract(name, EASF[:count], EASF[count:])


@pytest.mark.parametrize(
    ("name", "registers"),
    [
        ("BASE", ("BASE",)),
        ("HC", ("HCHC", "HCHP")),
        ("EJP", ("EJPHN", "EJPHPM")),
        ("TEMPO", ("BBRHCJB", "BBRHPJB", "BBRHCJW", "BBRHPJW", "BBRHCJR", "BBRHPJR")),
    ],
)
def test_a_historic_frame_too_and_no_other_contract_shares_a_register(name: str, registers: tuple[str, ...]) -> None:
    (*_, last) = snapshots(stream(simulated("historic", name, SUMMER_NOON), 3))
    assert last.contract == Contract(name, registers)


@pytest.mark.parametrize("calendar", ["PRODUCTEUR", "HC et Week-End", "ZEN FLEX", "H SUPER CREUSES"])
def test_of_an_offer_that_is_none_of_the_four_nothing_is_known_but_its_name(calendar: str) -> None:
    assert standard(NGTF=calendar.center(16), LTARF="HEURE  CREUSE".center(16)) == Contract(calendar)


def test_a_running_register_of_another_contract_makes_it_unknown() -> None:
    assert standard(NGTF="BASE".center(16), LTARF="HC  BLEU".center(16)) == Contract("BASE")
    assert standard(NGTF="TEMPO".center(16), LTARF="BLEU HC".ljust(16)) == Contract("TEMPO", EASF[:6], EASF[6:])
    assert standard(NGTF="H PLEINE/CREUSE", LTARF="INDEX INACTIF 2 ") == Contract("HC", EASF[:2], EASF[2:])


def test_what_is_not_said_is_not_known() -> None:
    assert standard(LTARF="BASE".center(16)) is None
    assert contract_of({}) is None


@pytest.mark.parametrize(
    ("capture", "name"),
    [
        ("std-mono-base-ticdecodecpp_1P_standard", "BASE"),
        ("std-mono-hc-enedis_ticFrameStandard", "HC"),
        ("std-mono-tempo-red-linkytic_pr19", "TEMPO"),
        ("std-mono-producer-teleinfod_trame_standard", "PRODUCTEUR"),
        ("hist-tri-ejp-openhab_cbetm", "EJP"),
    ],
)
def test_public_captures_name_theirs(shared: Path, capture: str, name: str) -> None:
    said = [found.contract for found in snapshots((shared / "captures" / "tic" / f"{capture}.bin").read_bytes())]
    named = [contract for contract in said if contract]
    assert named
    assert {contract.name for contract in named} == {name}
    assert all(bool(contract.registers) == (name != "PRODUCTEUR") for contract in named)
