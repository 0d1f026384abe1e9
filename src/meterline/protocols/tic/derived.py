"""Frames → snapshots: the readings of all groups, of several groups together, and of groups that were not sent.

Labels that mean something by their absence (ADPS, PEJP, DPM, FPM, PPOINTE, MSG2, CCA…) are cleared by a complete long frame,
and by a damaged one where the frame shows that they were not sent: the groups before and after their place follow each other
directly. Sources: 02E and 54E as in `fields`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, pairwise

from meterline.meter.readings import Change, Reading, Secret, Snapshot, Text, Total
from meterline.protocols.tic.contracts import CONTRACT_OF, CONTRACTS, SUPPLIER_REGISTERS, contract_of, contract_of_option
from meterline.protocols.tic.fields import FIELDS, HISTORIC, IMPORT_BY_TARIFF
from meterline.protocols.tic.frames import Frame, Group
from meterline.protocols.tic.stge import (
    COLOURS,
    TEMPO,
    no_tempo_colour,
    one_hot,
    supplier_tariff,
    tempo_today,
    tempo_tomorrow,
)
from meterline.protocols.tic.timestamps import next_day, parse_profile, parse_timestamp, switch_instant

Groups = Mapping[str, Group]
"""The groups of a frame, by label."""

VOLTS_OF_CONTRACTS = 200
"""Volts by which the subscribed current of a phase is the subscribed power: 30 A are 6 kVA, on three phases 18 kVA (54E)."""
FIRST_LINKY_TYPE = "60"
"""Device types (`fields.DEVICE_TYPES`) from this one on are Linky meters."""

_TOTAL = ("smartmeter_energy_import_watthours_total",)
_TOTALS = {
    name: Total(_TOTAL, tuple((IMPORT_BY_TARIFF, register) for register in registers)) for name, registers in CONTRACTS.items()
}
HOUSEHOLD = "PRM"
"""The label of the number of the delivery point."""
COMBINED = frozenset(
    (
        *("ISOUSC", "IINST", "IINST1", "IINST2", "IINST3", "PMAX", "ADCO", "OPTARIF"),
        *("STGE", "NTARF", "DATE", "PJOURF+1", "PPOINTE", "DPM1", "DPM2", "DPM3"),
    )
)
"""Labels whose data give readings together with others."""
_SHORT_FRAME = {"ADCO", "ADIR1", "ADIR2", "ADIR3", "IINST1", "IINST2", "IINST3"}
"""All labels that a short frame can hold: three phases, in overload."""
_PHASE_OVERLOADS = frozenset({"ADIR1", "ADIR2", "ADIR3"})
_ENDS_OF_FRAMES = ({"OPTARIF", "PTEC", "MOTDETAT"}, {"ADSC", "EAST", "PJOURF+1"})
"""Labels of a frame that has no gap at its ends, by mode."""
_ORDERS = (
    ("IINST", "ADPS", "IMAX"),
    ("EJPHPM", "PEJP", "PTEC"),
    ("ADIR1", "ADIR2", "ADIR3", "ADCO"),
    (
        *("SMAXSN-1", "SMAXSN1-1", "SMAXSN2-1", "SMAXSN3-1", "SINSTI", "SMAXIN", "SMAXIN-1"),
        *("CCASN", "CCASN-1", "CCAIN", "CCAIN-1", "UMOY1"),
    ),
    ("STGE", "DPM1", "FPM1", "DPM2", "FPM2", "DPM3", "FPM3", "MSG1"),
    ("MSG1", "MSG2", "PRM"),
)
"""The labels coded by absence and their neighbours, in the order of 02E and 54E."""
_OTHER_CONTRACTS = {
    name: tuple(
        Reading((family, register), None)
        for other, registers in CONTRACTS.items()
        for register in registers
        for family in (IMPORT_BY_TARIFF, "smartmeter_tariff_active")
        if other != name
    )
    for name in CONTRACTS
}
"""Contract → readings that clear the registers of all others, so that no sum counts twice when the contract changes."""


@lru_cache(maxsize=1024)
def group_readings(group: Group) -> tuple[Reading, ...]:
    """The readings that a group gives by itself."""
    return FIELDS[group.label].readings(group.data, group.timestamp)


class Words(Mapping[str, str]):
    """Label → data of the groups of a frame. Few ask for all of them, so that they are not copied."""

    __slots__ = ("_groups",)

    def __init__(self, groups: Groups) -> None:
        self._groups = groups

    def __getitem__(self, label: str) -> str:
        data = self._groups[label].data
        return Secret(data) if label == HOUSEHOLD else data

    def __iter__(self) -> Iterator[str]:
        return iter(self._groups)

    def __len__(self) -> int:
        return len(self._groups)


def readings(frame: Frame, prm: bool = False, after_short: bool = False) -> Snapshot:
    """Everything that a frame says.

    Args:
        frame: At least one group.
        prm: Include the number of the delivery point, which names a household.
        after_short: The frame before was a short one.
    """
    return snapshot_of(frame, all_readings(frame, prm, after_short))


def snapshot_of(frame: Frame, found: Sequence[Reading], change: Change | None = None) -> Snapshot:
    """The snapshot of a frame that gives these readings."""
    groups, words = frame.groups, Words(frame.groups)
    address = groups.get("ADCO") or groups.get("ADSC")
    return Snapshot(
        found,
        address=address.data if address else None,
        totals=tuple(_totals(groups)) if is_historic(groups) else (),
        short="IINST1" in groups and groups.keys() <= _SHORT_FRAME,
        words=words,
        contract=contract_of(words),
        whole=frame.complete,
        change=change,
    )


def all_readings(frame: Frame, prm: bool, after_short: bool) -> tuple[Reading, ...]:
    """The readings of each group, then those of several groups and of groups that were not sent."""
    groups = [group for group in frame.groups.values() if group.label != HOUSEHOLD or prm]
    return (*chain.from_iterable(map(group_readings, groups)), *combined_readings(frame, after_short))


def combined_readings(frame: Frame, after_short: bool) -> tuple[Reading, ...]:
    """The readings of several groups (`COMBINED`), and of groups that were not sent."""
    groups = frame.groups
    historic = is_historic(groups)
    absent = _absent_from_whole(tuple(groups)) if frame.complete else None
    whole = absent is not None
    if absent is None:
        absent = _absent_from_damaged(frame)
    return (
        Reading(("smartmeter_info", "protocol"), "tic"),
        Reading(("smartmeter_info", "mode"), "historic" if historic else "standard"),
        *(_historic_readings(groups) if historic else _standard_readings(groups, frame.complete)),
        *(_cleared_in_historic(groups, absent, whole, after_short) if historic else _cleared_in_standard(absent)),
    )


def is_historic(groups: Groups) -> bool:
    """The frame is one of historic mode."""
    return next(iter(groups)) in HISTORIC


# Readings of several groups.


def _historic_readings(groups: Groups) -> Iterator[Reading]:
    phases = 3 if "IINST1" in groups else 1 if "IINST" in groups else 0
    if "ISOUSC" in groups and phases:
        volt_amperes = int(groups["ISOUSC"].data) * VOLTS_OF_CONTRACTS * phases
        yield Reading(("smartmeter_subscribed_power_voltamperes",), volt_amperes)
    if "PMAX" in groups and "ADCO" in groups:
        # Linky sends yesterday's highest apparent power there, older meters a power in watts.
        linky = groups["ADCO"].data[4:6] >= FIRST_LINKY_TYPE
        series = ("smartmeter_apparent_power_import_max_voltamperes", "yesterday")
        yield Reading(series if linky else ("smartmeter_power_max_watts",), int(groups["PMAX"].data))


def _totals(groups: Groups) -> Iterator[Total]:
    """The total of the contract's registers, where the frame holds at least one of them."""
    registers = [label for label in groups if label in CONTRACT_OF]
    if registers:
        option = groups.get("OPTARIF")
        yield _TOTALS[contract_of_option(option.data) if option else CONTRACT_OF[registers[0]]]


def _standard_readings(groups: Groups, complete: bool) -> Iterator[Reading]:
    status = groups["STGE"].data if "STGE" in groups else None
    tariffs = {int(groups["NTARF"].data)} if "NTARF" in groups else set()
    tariffs |= {supplier_tariff(status)} if status else set()
    if len(tariffs) == 1:  # NTARF and STGE agree in every frame that was ever captured
        register = SUPPLIER_REGISTERS[tariffs.pop() - 1]
        yield from one_hot("smartmeter_tariff_active", SUPPLIER_REGISTERS, register)
        # Changes together with its name (LTARF), which is believed when two agree.
        yield Reading(("smartmeter_tariff_info", "tariff"), Text(register))
    if "DATE" in groups and not status:
        degraded = (groups["DATE"].timestamp or "")[:1].islower()
        yield Reading(("smartmeter_clock_degraded",), int(degraded))
    if status:
        yield from _tempo_tomorrow(groups, status, complete)
    yield from _switches(groups, complete)


def _tempo_tomorrow(groups: Groups, status: str, complete: bool) -> Iterator[Reading]:
    """STGE says tomorrow's colour. Where it does not yet, a white or red profile does; a blue one is only the default."""
    colour, today = tempo_tomorrow(status), tempo_today(status)
    if not colour and not today:
        yield from no_tempo_colour("tomorrow")
        return
    if not colour and "PJOURF+1" in groups:
        tariffs = {switch.tariff for switch in parse_profile(groups["PJOURF+1"].data) if switch and switch.tariff}
        colour = "white" if tariffs == {3, 4} else "red" if tariffs == {5, 6} else None
    elif not colour and not complete:
        return
    yield from one_hot(TEMPO, COLOURS, colour, "tomorrow")


def _switches(groups: Groups, complete: bool) -> Iterator[Reading]:
    now = parse_timestamp(groups["DATE"].timestamp or "") if "DATE" in groups else None
    if now is None:
        return
    if "PJOURF+1" in groups:
        # ⚠ Assumed: tomorrow's profile is that of the calendar day after DATE, also for Tempo, whose day begins at 06:00.
        yield from _profile_readings("tomorrow", groups["PJOURF+1"].data, next_day(now).strftime("%y%m%d"))
    if "PPOINTE" in groups and complete:  # it is the nearest peak's: none of the announcements may be missing
        starts = [groups[f"DPM{n}"].timestamp or "" for n in "123" if f"DPM{n}" in groups]
        ahead = [start for start in starts if parse_timestamp(start) > now]
        if ahead:
            yield from _profile_readings("peak", groups["PPOINTE"].data, min(ahead)[1:7])


@lru_cache(maxsize=64)
def _profile_readings(name: str, blocks: str, day: str) -> tuple[Reading, ...]:
    """The switches of a profile on the day `day` (YYMMDD); readings of None for the blocks that are not used."""
    found: list[Reading] = []
    noon = parse_timestamp(f" {day}120000")
    for number, switch in enumerate(parse_profile(blocks), 1):
        labels = (name, str(number))
        instant = switch_instant(noon, switch) if switch else None
        found.append(Reading(("smartmeter_switch_timestamp_seconds", *labels), int(instant.timestamp()) if instant else None))
        found.append(Reading(("smartmeter_switch_tariff", *labels), switch.tariff if switch else None))
        contact = switch.contact if switch else None
        found.append(Reading(("smartmeter_switch_contact_closed", *labels), None if contact is None else int(contact)))
    return tuple(found)


# Absence: labels that were not sent, and the readings that this clears.


def _cleared(label: str) -> tuple[Reading, ...]:
    """Readings that clear all that a label gives by itself."""
    return tuple(Reading(series, None) for series in FIELDS[label].series)


_CLEARED = {
    **{f"{label}{peak}": _cleared(f"{label}{peak}") for peak in "123" for label in ("DPM", "FPM")},
    **{label: _cleared(label) for label in ("CCASN", "CCASN-1", "CCAIN", "CCAIN-1", "MSG2")},
    "PPOINTE": tuple(
        Reading(reading.series, None) for reading in _profile_readings("peak", " ".join(["NONUTILE"] * 11), "000101")
    ),
}
"""Label coded by absence → the readings that its absence gives, in standard mode."""
_CODED_BY_ABSENCE = {"ADPS", "PEJP", *_CLEARED}
"""Labels that a whole long frame clears where they are not in it."""


@lru_cache(maxsize=256)
def _absent_from_whole(labels: tuple[str, ...]) -> Collection[str] | None:
    """Labels that a complete frame of these labels clears; None where its first or its last groups are missing."""
    if any(ends <= {*labels} for ends in _ENDS_OF_FRAMES):
        return _CODED_BY_ABSENCE - {*labels}
    return None


def _absent_from_damaged(frame: Frame) -> Collection[str]:
    """Labels of which a frame that is not whole shows that they were not sent."""
    if frame.complete and frame.groups.keys() >= _SHORT_FRAME - _PHASE_OVERLOADS:  # a short frame that nothing is missing from
        return _PHASE_OVERLOADS - frame.groups.keys()
    successors = {label: successor for label, successor in pairwise(frame.groups) if successor not in frame.torn}
    absent: list[str] = []
    for order in _ORDERS:
        sent = [place for place, label in enumerate(order) if label in frame.groups]
        for place, next_place in pairwise(sent):
            if successors.get(order[place]) == order[next_place]:
                absent += order[place + 1 : next_place]
    return absent


def _cleared_in_standard(absent: Collection[str]) -> Iterator[Reading]:
    for label in absent:
        yield from _CLEARED.get(label, ())


def _cleared_in_historic(groups: Groups, absent: Collection[str], whole: bool, after_short: bool) -> Iterator[Reading]:
    if whole:
        yield from _OTHER_CONTRACTS[contract_of_option(groups["OPTARIF"].data)]
    if "IINST" in groups and ("ADPS" in absent or _is_below_subscribed(groups)):
        yield Reading(("smartmeter_overload",), 0)
        yield Reading(("smartmeter_overload_current_amperes", "1"), None)
    if groups.keys() & _PHASE_OVERLOADS:  # a meter that names the phases in overload
        for label in sorted(_PHASE_OVERLOADS.intersection(absent)):
            yield Reading(("smartmeter_phase_overload", label[-1]), 0)
            yield Reading(("smartmeter_overload_current_amperes", label[-1]), None)
    elif "ISOUSC" in groups and "IINST" not in groups:  # three phases
        yield from _overloads_by_current(groups, after_short or not whole)
    if "PEJP" in absent:
        ejp = "EJPHPM" in groups or groups["OPTARIF"].data == "EJP."
        yield Reading(("smartmeter_peak_notice", "1"), 0 if ejp else None)
        yield Reading(("smartmeter_peak_notice_seconds",), None)


def _is_below_subscribed(groups: Groups) -> bool:
    """ADPS is sent while IINST is above ISOUSC (02E, 54E). Currents are rounded, so equal ones prove nothing."""
    return "ISOUSC" in groups and "ADPS" not in groups and groups["IINST"].data < groups["ISOUSC"].data.rjust(3, "0")


def _overloads_by_current(groups: Groups, after_short: bool) -> Iterator[Reading]:
    """The overload of each phase, by its current.

    Long frames never hold ADIR, but come between the short ones while the overload lasts. Currents are rounded, so a current
    that equals the subscribed one ends no overload that short frames have just announced.
    """
    subscribed = int(groups["ISOUSC"].data)
    over = False
    phases = [phase for phase in "123" if f"IINST{phase}" in groups]
    for phase in phases:
        amperes = int(groups[f"IINST{phase}"].data)
        if amperes > subscribed:
            yield Reading(("smartmeter_phase_overload", phase), 1)
            yield Reading(("smartmeter_overload_current_amperes", phase), amperes)
        elif amperes < subscribed or not after_short:
            yield Reading(("smartmeter_phase_overload", phase), 0)
            yield Reading(("smartmeter_overload_current_amperes", phase), None)
            continue
        over = True
    if over or len(phases) == 3:
        yield Reading(("smartmeter_overload",), int(over))
