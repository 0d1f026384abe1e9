"""The groups that a simulated Linky sends, in the order, widths and characters of 02E and 54E."""

from __future__ import annotations

from datetime import datetime, timedelta

from meterline.protocols.tic.contracts import CONTRACTS, PERIODS
from meterline.protocols.tic.frames import Group
from meterline.protocols.tic.simulator.state import PARIS, State

Row = tuple[str, str | None, str]

OPTIONS = {"BASE": "BASE", "HC": "HC..", "EJP": "EJP.", "TEMPO": "BBR("}
NAMES = {
    "BASE": ("BASE",),
    "HC": ("HEURE  CREUSE", "HEURE  PLEINE"),
    "EJP": ("HEURE NORMALE", "HEURE POINTE"),
    "TEMPO": ("HC  BLEU", "HP  BLEU", "HC  BLANC", "HP  BLANC", "HC  ROUGE", "HP  ROUGE"),
}
CALENDARS = {"BASE": "BASE", "HC": "H PLEINE/CREUSE", "EJP": "EJP", "TEMPO": "TEMPO"}
_PTEC = {register: period for period, register in PERIODS.items()}
_DEMAIN = ("BLEU", "BLAN", "ROUG")
_UNUSED = "NONUTILE"


def short_groups(meter: State) -> list[Group]:
    """Return the groups of a short frame, which a three-phase meter sends in overload."""
    amperes = f"{meter.amperes:03d}"
    over = [Group(f"ADIR{n}", None, amperes) for n in (1, 2, 3)] if meter.over else []
    return [*over, Group("ADCO", None, meter.address), *(Group(f"IINST{n}", None, amperes) for n in (1, 2, 3))]


def historic_groups(meter: State) -> list[Group]:
    """Return the groups of a long frame in historic mode."""
    tempo, ejp = meter.contract == "TEMPO", meter.contract == "EJP"
    registers = zip(CONTRACTS[meter.contract], meter.registers.values(), strict=True)
    rows: list[tuple[str, str]] = [
        ("ADCO", meter.address),
        ("OPTARIF", OPTIONS[meter.contract]),
        ("ISOUSC", f"{meter.subscribed_amperes:02d}"),
        *((label, f"{value % 10**9:09d}") for label, value in registers),
    ]
    if ejp and not meter.peak_at(meter.local) and meter.peak_at(meter.local + timedelta(minutes=30)):
        rows.append(("PEJP", "30"))
    rows.append(("PTEC", _PTEC[CONTRACTS[meter.contract][meter.index - 1]]))
    if tempo:
        rows.append(("DEMAIN", _DEMAIN[meter.colour_tomorrow] if meter.announced else "----"))
    amperes = f"{meter.amperes:03d}"
    if meter.phases == 1:
        rows += [("IINST", amperes), *([("ADPS", amperes)] if meter.over else []), ("IMAX", "090")]
    else:
        rows += [*((f"IINST{n}", amperes) for n in (1, 2, 3)), *((f"IMAX{n}", "060") for n in (1, 2, 3))]
        rows.append(("PMAX", f"{round(meter.peaks['SMAXSN-1'][0]):05d}"))
    rows += [("PAPP", f"{round(max(meter.watts, 0), -1):05.0f}"), ("HHPHC", "A"), ("MOTDETAT", "000000")]
    if meter.phases == 3:
        rows.append(("PPOT", "00"))
    return [Group(label, None, data) for label, data in rows]


def standard_groups(meter: State) -> list[Group]:
    """Return the groups of a frame in standard mode."""
    energy = [value % 10**9 for value in meter.registers.values()]
    supplier = energy + [0] * (10 - len(energy))
    rows: list[Row] = [
        ("ADSC", None, meter.address),
        ("VTIC", None, "02"),
        ("DATE", _stamp(meter.now), ""),
        ("NGTF", None, CALENDARS[meter.contract].center(16)),
        ("LTARF", None, NAMES[meter.contract][meter.index - 1].center(16)),
        ("EAST", None, f"{sum(energy) % 10**9:09d}"),
        *((f"EASF{n:02d}", None, f"{value:09d}") for n, value in enumerate(supplier, 1)),
        *((f"EASD{n:02d}", None, f"{value % 10**9:09d}") for n, value in meter.distributed.items()),
    ]
    if meter.producer:
        rows.append(("EAIT", None, f"{int(meter.exported) % 10**9:09d}"))
        rows += [(f"ERQ{n}", None, f"{int(meter.reactive * n / 10) % 10**9:09d}") for n in (1, 2, 3, 4)]
    rows += _instant(meter)
    if meter.producer and len(meter.curve) == 2:
        for label, (when, watts) in zip(("CCAIN", "CCAIN-1"), meter.curve, strict=True):
            rows.append((label, _stamp(when), f"{max(-watts, 0):05.0f}"))
    ten_minutes = meter.now // 600 * 600
    for n in range(1, meter.phases + 1):
        rows.append((f"UMOY{n}", _stamp(ten_minutes), f"{meter.house.volts(ten_minutes, n):03.0f}"))
    rows += [("STGE", None, f"{meter.status:08X}"), *_announcements(meter)]
    rows += [
        ("MSG1", None, "PAS DE          MESSAGE         "),
        ("PRM", None, f"0000000{meter.number:07d}"),
        ("RELAIS", None, "000"),
        ("NTARF", None, f"{meter.index:02d}"),
        ("NJOURF", None, "00"),
        ("NJOURF+1", None, "00"),
        ("PJOURF+1", None, _profile(_switches(meter, 0))),
    ]
    if meter.contract == "TEMPO" and meter.peak_ahead:
        rows.append(("PPOINTE", None, _profile(_switches(meter, meter.colour_tomorrow))))
    return [Group(*row) for row in rows]


def _instant(meter: State) -> list[Row]:
    """Return the groups from IRMS to the load curve."""
    drawn = max(meter.watts, 0)
    rows: list[Row] = [
        *((f"IRMS{n}", None, f"{meter.amperes:03d}") for n in range(1, meter.phases + 1)),
        *((f"URMS{n}", None, f"{meter.house.volts(meter.now, n):03.0f}") for n in range(1, meter.phases + 1)),
        ("PREF", None, f"{meter.house.subscribed // 1000:02d}"),
        ("PCOUP", None, f"{meter.house.subscribed // 1000:02d}"),
        ("SINSTS", None, f"{drawn:05.0f}"),
    ]
    if meter.phases == 3:
        rows += [(f"SINSTS{n}", None, f"{drawn / 3:05.0f}") for n in (1, 2, 3)]
    for suffix in ("", "-1"):
        power, when = meter.peaks[f"SMAXSN{suffix}"]
        rows.append((f"SMAXSN{suffix}", _stamp(when), f"{power:05.0f}"))
        if meter.phases == 3:
            rows += [(f"SMAXSN{n}{suffix}", _stamp(when), f"{power / 3:05.0f}") for n in (1, 2, 3)]
    if meter.producer:
        rows.append(("SINSTI", None, f"{max(-meter.watts, 0):05.0f}"))
        for label in ("SMAXIN", "SMAXIN-1"):
            power, when = meter.peaks[label]
            rows.append((label, _stamp(when), f"{power:05.0f}"))
    for label, (when, watts) in zip(("CCASN", "CCASN-1"), meter.curve, strict=False):
        rows.append((label, _stamp(when), f"{max(watts, 0):05.0f}"))
    return rows


def _announcements(meter: State) -> list[Row]:
    """Return DPM and FPM of the current white (1) or red (2) day, and of the announced one."""
    days: dict[int, datetime] = {}
    today = (meter.local - timedelta(hours=6)).replace(hour=6, minute=0, second=0)
    if meter.contract == "TEMPO":
        days = {meter.colour: today}
        if meter.peak_ahead:
            days.setdefault(meter.colour_tomorrow, today + timedelta(days=1))
    rows: list[Row] = []
    for peak, start in sorted(days.items()):
        if peak:
            rows.append((f"DPM{peak}", f" {start:%y%m%d}060000", "00"))
            rows.append((f"FPM{peak}", f" {start + timedelta(days=1):%y%m%d}060000", "00"))
    return rows


def _switches(meter: State, colour: int) -> list[str]:
    if meter.contract == "HC":
        return ["0000C001", "06308002", "2230C001"]
    if meter.contract == "TEMPO":
        return [f"0000400{2 * colour + 1}", f"0600400{2 * colour + 2}", f"2200400{2 * colour + 1}"]
    return ["00008001"]


def _stamp(when: float) -> str:
    local = datetime.fromtimestamp(when, PARIS)
    return f"{'E' if local.dst() else 'H'}{local:%y%m%d%H%M%S}"


def _profile(blocks: list[str]) -> str:
    return " ".join(blocks + [_UNUSED] * (11 - len(blocks)))
