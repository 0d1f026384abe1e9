"""Frames → snapshots: the readings of all groups, and what several groups say together.

Labels that mean something by their absence (ADPS, PEJP, DPM, FPM, PPOINTE, MSG2, CCA…) are cleared by a complete long frame,
and in a damaged one where it shows that they were not sent: the groups before and after their place follow each other directly.
Sources: 02E and 54E as in `readers`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from itertools import pairwise

from meterline.meter.readings import Reading, Secret, Snapshot, Text, Total
from meterline.protocols.tic.contracts import contract_of
from meterline.protocols.tic.frames import Frame, Group
from meterline.protocols.tic.labels import CONTRACT_OF, CONTRACTS, HISTORIC
from meterline.protocols.tic.readers import IMPORT_BY_TARIFF, READERS, SUPPLIER_REGISTERS, TEMPO, contract
from meterline.protocols.tic.stge import COLOURS, no_colour, one_hot, supplier_tariff, tempo_today, tempo_tomorrow
from meterline.protocols.tic.timestamps import day_after, moment, on_day, profile

Groups = Mapping[str, Group]

_TOTAL = ("smartmeter_energy_import_watthours_total",)
_TOTALS = {
    name: Total(_TOTAL, tuple((IMPORT_BY_TARIFF, register) for register in registers)) for name, registers in CONTRACTS.items()
}
_HOUSEHOLD = "PRM"
"""The label of the number of the delivery point."""
_SHORT = {"ADCO", "ADIR1", "ADIR2", "ADIR3", "IINST1", "IINST2", "IINST3"}
"""All that a short frame can hold: three phases, in overload."""
_OVERLOADS = frozenset({"ADIR1", "ADIR2", "ADIR3"})
_FIRST_TO_LAST = ({"OPTARIF", "PTEC", "MOTDETAT"}, {"ADSC", "EAST", "PJOURF+1"})
"""What a frame holds that has no gap at its ends."""
_STRETCHES = (
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
"""Where what is coded by absence stands between others, in the order of 02E and 54E."""
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
"""What a contract does not have: gone at once when the contract changes, so that no sum counts twice."""


@lru_cache(maxsize=1024)
def _of_group(group: Group) -> tuple[Reading, ...]:
    reader = READERS.get(group.label)
    return tuple(reader(group)) if reader else ()


def readings(frame: Frame, prm: bool = False, after_short: bool = False) -> Snapshot:
    """Everything that the frame says. `prm`: also the number of the delivery point. `after_short`: the last frame was short."""
    groups = frame.groups
    found = [reading for group in groups.values() if group.label != _HOUSEHOLD or prm for reading in _of_group(group)]
    historic = next(iter(groups)) in HISTORIC
    found.append(Reading(("smartmeter_info", "protocol"), "tic"))
    found.append(Reading(("smartmeter_info", "mode"), "historic" if historic else "standard"))
    found += _historic(groups) if historic else _standard(groups, frame.complete)
    not_sent = _not_sent(tuple(groups)) if frame.complete else None
    whole, absent = not_sent is not None, _left_out(frame) if not_sent is None else not_sent
    found += _absent_in_historic(groups, absent, whole, after_short) if historic else _absent_in_standard(absent)
    address = groups.get("ADCO") or groups.get("ADSC")
    return Snapshot(
        tuple(found),
        address=address.data if address else None,
        totals=tuple(_totals(groups)) if historic else (),
        short="IINST1" in groups and groups.keys() <= _SHORT,
        words=_words(groups),
        contract=contract_of(groups),
        whole=frame.complete,
    )


def _words(groups: Groups) -> dict[str, str]:
    """Label → data of every group."""
    words = {label: group.data for label, group in groups.items()}
    if _HOUSEHOLD in words:
        words[_HOUSEHOLD] = Secret(words[_HOUSEHOLD])
    return words


@lru_cache(maxsize=256)
def _not_sent(labels: tuple[str, ...]) -> Collection[str] | None:
    """What a complete frame of these labels clears; None where its first or its last groups are missing."""
    if any(ends <= {*labels} for ends in _FIRST_TO_LAST):
        return _CODED_BY_ABSENCE - {*labels}
    return None


def _historic(groups: Groups) -> Iterator[Reading]:
    phases = 3 if "IINST1" in groups else 1 if "IINST" in groups else 0
    if "ISOUSC" in groups and phases:
        # 200 V a phase: what the steps of the contracts come to (30 A is 6 kVA, three-phase 18 kVA); 54E.
        yield Reading(("smartmeter_subscribed_power_voltamperes",), int(groups["ISOUSC"].data) * 200 * phases)
    if "PMAX" in groups and "ADCO" in groups:
        # Linky (device types from 60 on) sends yesterday's highest apparent power there, older meters a power in watts.
        linky = groups["ADCO"].data[4:6] >= "60"
        series = ("smartmeter_apparent_power_import_max_voltamperes", "yesterday")
        yield Reading(series if linky else ("smartmeter_power_max_watts",), int(groups["PMAX"].data))


def _totals(groups: Groups) -> Iterator[Total]:
    """The total of the contract's registers, where the frame holds at least one of them."""
    registers = [label for label in groups if label in CONTRACT_OF]
    if registers:
        option = groups.get("OPTARIF")
        yield _TOTALS[contract(option.data) if option else CONTRACT_OF[registers[0]]]


def _left_out(frame: Frame) -> Collection[str]:
    """Labels of which a frame that is not whole shows that they were not sent."""
    if frame.complete and frame.groups.keys() >= _SHORT - _OVERLOADS:  # a short frame that nothing is missing from
        return _OVERLOADS - frame.groups.keys()
    directly = {one: other for one, other in pairwise(frame.groups) if other not in frame.torn}
    absent: list[str] = []
    for stretch in _STRETCHES:
        sent = [place for place, label in enumerate(stretch) if label in frame.groups]
        for one, other in pairwise(sent):
            if directly.get(stretch[one]) == stretch[other]:
                absent += stretch[one + 1 : other]
    return absent


def _absent_in_historic(groups: Groups, absent: Collection[str], whole: bool, after_short: bool) -> Iterator[Reading]:
    if whole:
        yield from _OTHER_CONTRACTS[contract(groups["OPTARIF"].data)]
    if "IINST" in groups and ("ADPS" in absent or _below_the_limit(groups)):
        yield Reading(("smartmeter_overload",), 0)
        yield Reading(("smartmeter_overload_current_amperes", "1"), None)
    if groups.keys() & _OVERLOADS:  # a meter that names the phases in overload
        for label in sorted(_OVERLOADS.intersection(absent)):
            yield Reading(("smartmeter_phase_overload", label[-1]), 0)
            yield Reading(("smartmeter_overload_current_amperes", label[-1]), None)
    elif "ISOUSC" in groups and "IINST" not in groups:  # three phases
        yield from _phase_overloads(groups, after_short or not whole)
    if "PEJP" in absent:
        ejp = "EJPHPM" in groups or groups["OPTARIF"].data == "EJP."
        yield Reading(("smartmeter_peak_notice", "1"), 0 if ejp else None)
        yield Reading(("smartmeter_peak_notice_seconds",), None)


def _below_the_limit(groups: Groups) -> bool:
    """ADPS is sent while IINST is above ISOUSC (02E, 54E). Currents are rounded, so equal ones prove nothing."""
    return "ISOUSC" in groups and "ADPS" not in groups and groups["IINST"].data < groups["ISOUSC"].data.rjust(3, "0")


def _phase_overloads(groups: Groups, after_short: bool) -> Iterator[Reading]:
    """Long frames never hold ADIR, but come between the short ones while the overload lasts: the currents tell.

    Currents are rounded, so one that equals the subscribed one ends no overload that short frames have just announced.
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


def _standard(groups: Groups, complete: bool) -> Iterator[Reading]:
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
        yield from no_colour("tomorrow")
        return
    if not colour and "PJOURF+1" in groups:
        tariffs = {switch.tariff for switch in profile(groups["PJOURF+1"].data) if switch and switch.tariff}
        colour = "white" if tariffs == {3, 4} else "red" if tariffs == {5, 6} else None
    elif not colour and not complete:
        return
    yield from one_hot(TEMPO, COLOURS, colour, "tomorrow")


def _switches(groups: Groups, complete: bool) -> Iterator[Reading]:
    now = moment(groups["DATE"].timestamp or "") if "DATE" in groups else None
    if now is None:
        return
    if "PJOURF+1" in groups:
        # ⚠ Assumed: tomorrow's profile is that of the calendar day after DATE, also for Tempo, whose day begins at 06:00.
        yield from _profile("tomorrow", groups["PJOURF+1"].data, day_after(now).strftime("%y%m%d"))
    if "PPOINTE" in groups and complete:  # it is the nearest peak's: none of the announcements may be missing
        starts = [groups[f"DPM{n}"].timestamp or "" for n in "123" if f"DPM{n}" in groups]
        ahead = [start for start in starts if moment(start) > now]
        if ahead:
            yield from _profile("peak", groups["PPOINTE"].data, min(ahead)[1:7])


@lru_cache(maxsize=64)
def _profile(name: str, blocks: str, day: str) -> tuple[Reading, ...]:
    """The switches of the day `day` (YYMMDD); None for the blocks that are not used."""
    found: list[Reading] = []
    noon = moment(f" {day}120000")
    for number, switch in enumerate(profile(blocks), 1):
        labels = (name, str(number))
        when = on_day(noon, switch) if switch else None
        found.append(Reading(("smartmeter_switch_timestamp_seconds", *labels), int(when.timestamp()) if when else None))
        found.append(Reading(("smartmeter_switch_tariff", *labels), switch.tariff if switch else None))
        contact = switch.contact if switch else None
        found.append(Reading(("smartmeter_switch_contact_closed", *labels), None if contact is None else int(contact)))
    return tuple(found)


def _gone(label: str) -> tuple[Reading, ...]:
    """The readings of a label, as None."""
    example = Group(label, " 000101000000", "00")
    return tuple(Reading(reading.series, None) for reading in READERS[label](example))


_ABSENCE = {
    **{f"{word}{n}": _gone(f"{word}{n}") for n in "123" for word in ("DPM", "FPM")},
    **{label: _gone(label) for label in ("CCASN", "CCASN-1", "CCAIN", "CCAIN-1", "MSG2")},
    "PPOINTE": tuple(Reading(reading.series, None) for reading in _profile("peak", " ".join(["NONUTILE"] * 11), "000101")),
}
_CODED_BY_ABSENCE = {"ADPS", "PEJP", *_ABSENCE}
"""Labels that a whole long frame clears."""


def _absent_in_standard(absent: Collection[str]) -> Iterator[Reading]:
    for label in absent:
        yield from _ABSENCE.get(label, ())
