"""What is wrong with a TIC line, and what to do about it: one judgement for the log, the page, `detect` and `doctor`.

Signs, from captures and issue trackers: a terminal in cooked mode turns CR into LF and swallows ETX; a port set to the wrong
parity delivers NULs, or the parity bit as bit 7; a wrong speed gives bytes that no text has; a bridge that trims lines cuts
off the spaces at their ends, and so each group whose checksum is a space.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from meterline.meter.line_quality import FINE, TOO_MUCH
from meterline.meter.readings import Hint
from meterline.protocols.api import Finding, fault, ok, warning
from meterline.protocols.tic.frames import Decoder
from meterline.protocols.tic.line_faults import ENOUGH, Symptoms
from meterline.protocols.tic.speed_probe import SpeedProbe

if TYPE_CHECKING:
    from meterline.protocols.trial import Trial

WIRES = "check the screws at I1 and I2, twist or shorten the two wires, and keep them away from mains and switching supplies"
RESISTOR = (
    "an adapter with a potentiometer: turn it until the damage ends; one of your own: standard mode needs a resistor "
    "of 220 Ω to 1 kΩ before the optocoupler and one of 3.3 kΩ behind it"
)
_NOTHING = (
    "check that the wires are at I1 and I2 (not I1 and A) of the meter and on the meter's side of the adapter's optocoupler, "
    "try another cable or adapter; if the meter's display shows no TIC mode, ask the supplier to switch it on"
)
_BRIDGE = (
    "set the bridge to the meter's speed, 7 data bits, even parity, raw: 1200 baud in historic mode, 9600 in standard mode"
)
_PARITY = "the line is 7 data bits, even parity, 1 stop bit (7E1)"
_RAW = "set it to raw, so that it passes every byte as it is: stty -F DEVICE raw, or 'raw' in the bridge's configuration"
_AFTER_A_PAUSE = "the adapter or bridge is too slow after a pause: switch off its power saving, or try another one"
_STRANGER = "is it the right device? Another one, or another program, talks there"
_REPORT = "please report it with what meterline doctor --bundle writes"
FEW, MANY = 5, 10
"""Times that something must be so before it is said: damage of a kind, and groups of a meter that says nothing else."""

FEW_FOREIGN, FEW_KNOWN = 5, 3
"""Groups with labels of other meters, and rejects that begin with a label of ours, from which a line is a TIC line."""
PIECE = 256
"""Bytes as they come in one read: only so many rejects of each are looked at."""


def pattern(symptoms: Symptoms) -> Hint | None:
    """What is strange about a line that gives groups; None where nothing is, or only chance damage."""
    if symptoms.heard < ENOUGH or not symptoms.groups:
        return None
    return next(_of_the_bytes(symptoms), None) or next(_of_the_groups(symptoms), None)


def _of_the_bytes(seen: Symptoms) -> Iterator[Hint]:
    if seen.nuls_in_rejects * 5 > seen.heard:
        yield Hint(
            "many bytes arrive as NUL: a weak signal, or wrong parity",
            remedy=f"{_PARITY}; {WIRES}",
        )
    if not seen.returns and seen.feeds * 2 > seen.groups_counted * 3:
        yield Hint("the line ends are changed on the way: something treats the line as a terminal (cooked mode)", remedy=_RAW)
    # All bytes have even parity then, eight bits of them: noise on a 7E1 line has bit 7 too, but no parity.
    if seen.high * 5 > seen.heard and seen.even * 10 > seen.heard * 9:
        yield Hint(
            "the bytes carry their parity bit: the line is read as 8N1",
            remedy="meterline drops that bit and goes on; where the bridge or adapter can, set it to 7E1",
        )


def says_nothing(seen: Symptoms) -> bool:
    """The meter is there, and has no value to say: nothing but its address comes."""
    accepted = {label for label, times in seen.accepted_by_label.items() if times}
    return accepted in ({"ADCO"}, {"ADSC"}) and seen.groups >= MANY and seen.rejected * 5 < seen.groups


def _of_the_groups(seen: Symptoms) -> Iterator[Hint]:
    rejected = seen.rejected_by_label.total()
    if says_nothing(seen):
        yield Hint(
            "only the meter's address arrives: its output is in standby",
            remedy="ask the supplier to have the customer's output (TIC) of the meter switched on",
        )
    if seen.ends >= FEW and seen.starts * 10 < seen.ends:
        yield Hint("no frame has its first byte: it is lost after each pause", remedy=_AFTER_A_PAUSE)
    yield from _of_the_rejects(seen)
    for label, times in seen.rejected_by_label.most_common(1):
        never = seen.accepted_by_label[label] * 10 < times
        if label and never and times >= FEW and (rejected - times) * 4 < times:
            yield Hint(f"the group {label} is damaged in each frame, and hardly any other", remedy=_REPORT)


def _of_the_rejects(seen: Symptoms) -> Iterator[Hint]:
    """Damage whose kind names its cause."""
    for kinds, what, remedy in (
        (seen.trimmed, "spaces at the ends of lines are cut off on the way, so that these groups are lost: {}", _RAW),
        (seen.headless, "the first byte after each pause is lost, so that these groups are: {}", _AFTER_A_PAUSE),
    ):
        if kinds.total() >= FEW and kinds.total() * 2 > seen.rejected_by_label.total():
            yield Hint(what.format(", ".join(sorted(label for label, times in kinds.items() if times))), remedy=remedy)


def nothing_valid(tried: Sequence[SpeedProbe]) -> Hint:
    """Why there is no valid group at any of the speeds that were tried."""
    came = "; ".join(map(str, tried))
    best = max(tried, key=lambda heard: (heard.symptoms.groups, heard.symptoms.known, heard.symptoms.foreign)).symptoms
    bridge = not tried[0].baud
    if not any(heard.size for heard in tried):
        where = "is it the right port of the bridge? " if bridge else ""
        return Hint(f"nothing arrives at all: {came}", remedy=where + _NOTHING)
    if best.groups and best.nuls * 5 > best.heard:
        return Hint(f"many bytes arrive as NUL: a weak signal, or wrong parity: {came}", remedy=f"{_PARITY}; {WIRES}")
    if best.groups:
        return Hint(f"hardly a valid group: {came}", remedy=f"{WIRES}; {RESISTOR}")
    if best.foreign > FEW_FOREIGN:
        return Hint(
            f"a meter of a company: its labels are not known here: {came}",
            remedy="this kind of meter speaks TIC, but not that of a household: it is not supported",
        )
    if hint := next(_of_the_rejects(best), None):
        return hint
    if best.known >= FEW_KNOWN and best.known * 10 >= best.rejected:
        return Hint(f"groups arrive, and every one of them is damaged: {came}", remedy=f"{WIRES}; {RESISTOR}")
    return _no_group(tried, came, bridge)


def _no_group(tried: Sequence[SpeedProbe], came: str, bridge: bool) -> Hint:
    """What else it may be where nothing that looks like a group comes."""
    heard = [each.symptoms for each in tried if each.size]
    if sum(each.heard for each in heard) < ENOUGH:
        return Hint(f"hardly anything arrives: {came}", remedy=_NOTHING)
    if all(each.nuls * 2 > each.heard for each in heard):
        remedy = _BRIDGE if bridge else f"{WIRES}; {_PARITY}; the adapter may be at its limit: {RESISTOR}"
        return Hint(f"hardly anything but NULs arrives: {came}", remedy=remedy)
    if any(each.noise * 20 < each.heard for each in heard):
        return Hint(f"text, but not of a meter: {came}", remedy=_STRANGER)
    if bridge:
        return Hint(f"only noise arrives: this is no meter, or the wrong speed: {came}", remedy=_BRIDGE)
    return Hint(
        f"only noise arrives: this is no meter, or the wrong speed: {came}",
        remedy=f"is this the adapter of the meter? If so: {WIRES}",
    )


def is_tic(tried: Sequence[SpeedProbe]) -> bool:
    """Whether a line that cannot be read is a TIC line all the same: groups, or rejects that begin like groups."""
    return any(
        seen.groups or seen.foreign > FEW_FOREIGN or seen.known >= FEW_KNOWN for seen in (heard.symptoms for heard in tried)
    )


def speeds(tried: Sequence[SpeedProbe]) -> Iterator[Finding]:
    """What came at each speed, where the last one is right."""
    *others, right = tried
    for heard in others:
        yield ok(f"{heard}: no valid data, as expected at the wrong speed" if heard.size else f"{heard}: nothing yet")
    yield ok(f"{right}: this is the output of a meter")


def damage(data: bytes) -> Iterator[Finding]:
    """How many of the groups in it are damaged, and what is strange about the line: the cause, where one shows."""
    symptoms, decoder = Symptoms(), Decoder()
    for start in range(0, len(data), PIECE):
        piece = data[start : start + PIECE]
        symptoms.feed(piece, decoder.feed(piece))
    groups, bad = symptoms.damage
    rate, hint = bad / max(groups, 1), pattern(symptoms)
    what = f"{groups} groups, {bad} of them damaged ({rate:.1%})"
    if not bad:
        yield ok(f"{groups} groups, none damaged")
    elif rate < FINE:
        yield ok(f"{what}: fine, damage is counted and never shown")
    elif hint:
        yield warning(what, "see the next line for the cause")
    else:
        remedy = f"{WIRES}; {RESISTOR}"
        yield fault(what, remedy) if rate >= TOO_MUCH else warning(f"{what}: more than a line should have", remedy)
    if hint:
        yield (fault if rate >= TOO_MUCH or says_nothing(symptoms) else warning)(hint.text, hint.remedy)


def spoken(trial: Trial) -> Finding:
    """Which meter it is."""
    said = ", ".join(f"{key} {value}" for key, value in trial.description.items() if value)
    if trial.meter.counters.frames:
        return ok(f"{trial.meter.counters.frames} frames: {said or 'the meter did not say what it is'}")
    return fault("no frame", trial.trouble or WIRES)
