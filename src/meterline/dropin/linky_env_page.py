"""The page of that exporter: `linky_…` with the French help texts of the original, labels as the meter sends them.

Historic mode is byte for byte the original's (its counters' TYPE lines say `_total`, their samples do not). Standard mode, in
which the original shows nothing, follows the same rule: each numeric label in lower case, `+` and `-` as `_`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from meterline.meter import Meter
from meterline.metrics import REGISTERS
from meterline.model import Series
from meterline.protocols.tic.frames import Group
from meterline.protocols.tic.labels import CONTRACT_OF, STANDARD
from meterline.protocols.tic.readers import READERS
from meterline.samples import labels, number
from meterline.web.server import Face

HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
HISTORIC_LABELS = ("ADCO", "HHPHC", "IMAX", "IMAX1", "IMAX2", "IMAX3", "MOTDETAT", "OPTARIF", "PTEC")
STANDARD_LABELS = ("ADSC", "LTARF", "NGTF", "VTIC")
_TEXTS = {"ADCO", "ADSC", "DATE", "LTARF", "MSG1", "MSG2", "NGTF", "PJOURF+1", "PPOINTE", "PRM", "STGE", "VTIC"}
NUMERIC_HISTORIC = (
    "ISOUSC",
    *CONTRACT_OF,
    *("IINST", "IINST1", "IINST2", "IINST3", "ADPS", "ADIR1", "ADIR2", "ADIR3", "PAPP", "PMAX"),
)
"""In the order of the page."""
NUMERIC_STANDARD = tuple(label for label in STANDARD if label not in _TEXTS)
_WHOLE_HISTORIC = {"ADCO", "OPTARIF", "PTEC"}
"""Without these a frame was torn, and its series would have other labels."""
_DAYS = {"B": "Bleus", "W": "Blancs", "R": "Rouges"}


def _historic_help() -> dict[str, str]:
    texts = {
        "ISOUSC": "Intensité Souscrite en A",
        "BASE": "Index Option Base en Wh",
        "HCHC": "Index Heures Creuses en Wh",
        "HCHP": "Index Heures Pleines en Wh",
        "EJPHN": "Index Option EJP Heures Normales en Wh",
        "EJPHPM": "Index Option EJP Heures de Pointe Mobile en Wh",
        "PAPP": "Puissance Apparente en VA",
        "PMAX": "Puissance Maximale Atteinte",
        "IINST": "Intensité Instantanée en A",
        "ADPS": "Avertissement de Dépassement de Puissance Souscrite en A",
    }
    for hours, name in (("HC", "Heures Creuses"), ("HP", "Heures Pleines")):
        texts |= {f"BBR{hours}J{day}": f"Index Option Tempo {name} Jours {days} en Wh" for day, days in _DAYS.items()}
    for phase in "123":
        texts[f"IINST{phase}"] = f"Intensité Instantanée Phase {phase} en A"
        texts[f"ADIR{phase}"] = f"Dépassement d'Intensité Phase {phase} en A"
    return texts


HELP = _historic_help()


@cache
def register(label: str) -> Series | None:
    """The series of a register, whose value is judged before it is shown; None for what is no register."""
    if label not in READERS or label in _TEXTS:
        return None
    series = next(iter(READERS[label](Group(label, " 000101000000", "00")))).series
    return series if series[0] in REGISTERS else None


def face(meter: Meter, job: str, prm: bool) -> Face:
    """What is served."""
    meter.keeps_words = True
    return Face(lambda _: page(meter, job, prm), plain=True, headers=HEADERS, home_is_metrics=True)


def page(meter: Meter, job: str, prm: bool = False) -> str:
    """The page now; empty while the meter is silent."""
    meter.expire()
    words = meter.words
    historic = "ADCO" in words
    if not (words.keys() >= _WHOLE_HISTORIC or "ADSC" in words):
        return ""
    named = HISTORIC_LABELS if historic else (*STANDARD_LABELS, *(("PRM",) if prm else ()))
    inside = labels({label.lower(): words[label].strip() for label in named if label in words} | {"job": job.strip()})
    numeric = NUMERIC_HISTORIC if historic else NUMERIC_STANDARD
    return "".join(line for label in numeric if label in words for line in _family(meter, label, words[label], inside))


def _family(meter: Meter, label: str, text: str, inside: str) -> Iterator[str]:
    """HELP, TYPE and the sample of one label; nothing where its register is not believed."""
    name = f"linky_{label.lower().replace('+', '_').replace('-', '_')}"
    series = register(label)
    value = meter.value(*series) if series else int(text)
    if value is None:
        return
    total, kind = ("_total", "counter") if series else ("", "gauge")
    yield f"# HELP {name}{total} {HELP.get(label, f'{label} de la TIC en mode standard')}\n# TYPE {name}{total} {kind}\n"
    yield f"{name}{{{inside}}} {number(float(value))}\n"
