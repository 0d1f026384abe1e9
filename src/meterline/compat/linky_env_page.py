"""The metrics of the Linky exporter with environment variables: `linky_…`, with the French help texts of the original.

Historic mode is byte for byte the original's (TYPE lines of counters have `_total`, their samples have not). Standard mode, in
which the original shows nothing, follows the same rule: each numeric label in lower case, `+` and `-` as `_`. Labels that the
original does not show (the maximum of each phase) become families, never labels, which would change every series.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from meterline.meter.families import REGISTERS
from meterline.meter.meter import Meter
from meterline.meter.readings import Series
from meterline.meter.text_format import labels, number
from meterline.protocols.tic.contracts import CONTRACT_OF
from meterline.protocols.tic.fields import FIELDS, STANDARD
from meterline.web.http.server import MetricsSource

HEADERS = {
    "Cache-Control": "no-store",
    "Pragma": "no-cache",
    "Expires": "0",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
LABELS = {
    "historic": ("ADCO", "HHPHC", "IMAX", "MOTDETAT", "OPTARIF", "PTEC"),
    "standard": ("ADSC", "LTARF", "NGTF", "VTIC"),
}
"""Mode → labels of the frame that are labels of each series."""
EXPECTED = {"historic": {"ADCO", "OPTARIF", "PTEC"}, "standard": {"ADSC"}}
"""Mode → labels without which a frame was cut, unless whole frames lack them."""
MISSING_LABEL_WAIT_S = 3600.0
"""Time for which the page waits for a label that is not sent any more: without the label each series would be another one."""
_TEXTS = {"ADSC", "DATE", "LTARF", "MSG1", "MSG2", "NGTF", "PJOURF+1", "PPOINTE", "PRM", "STGE", "VTIC"}
NUMERIC_HISTORIC = (
    "ISOUSC",
    *CONTRACT_OF,
    *("IINST", "IINST1", "IINST2", "IINST3", "ADPS", "ADIR1", "ADIR2", "ADIR3", "IMAX1", "IMAX2", "IMAX3", "PAPP", "PMAX"),
)
NUMERIC = {"historic": NUMERIC_HISTORIC, "standard": tuple(label for label in STANDARD if label not in _TEXTS)}
"""Mode → labels of the frame that are families, in the order of the page."""
_DAYS = {"B": "Bleus", "W": "Blancs", "R": "Rouges"}


def _historic_help() -> dict[str, str]:
    texts = {
        "ISOUSC": "Intensité Souscrite en A",
        "BASE": "Index Option Base en Wh",
        "HCHC": "Index Heure Creuse en Wh",
        "HCHP": "Index Heure Pleine en Wh",
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
        texts[f"IMAX{phase}"] = f"Intensité Maximale Appelée Phase {phase} en A"
    return texts


HELP = _historic_help()


def register(label: str) -> Series | None:
    """Return the series of a register, whose value is checked before it is shown; None if the label is no register."""
    series = FIELDS[label].value
    return series if series and series[0] in REGISTERS else None


def metrics_source(meter: Meter, job: str, prm: bool) -> MetricsSource:
    """Make the source of /metrics.

    Args:
        meter: The meter.
        job: Value of the label `job`.
        prm: Whether the delivery point is a label, in standard mode.
    """
    page = Page(meter, job, prm)
    return MetricsSource(lambda _: page.text(), plain=True, headers=HEADERS, home_is_metrics=True, failure=page.failure)


class Page:
    """The page. A scrape fails (`failure`) whenever the original would have ended because it could not read."""

    def __init__(self, meter: Meter, job: str, prm: bool = False) -> None:
        meter.keeps_words = True
        self._meter, self._job = meter, job.strip()
        self._labels = {mode: (*labels, *(("PRM",) if prm and mode == "standard" else ())) for mode, labels in LABELS.items()}
        self._started = meter.clock()
        self._spoken = False

    def failure(self) -> str:
        """Return why a scrape must fail now; empty if it must not, also while the meter is silent after its first frame."""
        meter, now = self._meter, self._meter.clock()
        self._spoken = self._spoken or any(self._expected(mode, meter.said.known()) for mode in LABELS)
        lost_since = meter.counters.reach.lost_since(now)
        if lost_since is not None and now - lost_since > meter.stale_after:
            return "the link to the meter cannot be opened"
        if not self._spoken and now - self._started > meter.stale_after:
            return "no complete frame has come since the start"
        return ""

    def _expected(self, mode: str, known: Collection[str]) -> bool:
        """Return whether `known` has all labels that a series of this mode needs."""
        missing = EXPECTED[mode] - set(known)
        form = self._meter.said.form
        return not missing or (form is not None and not missing & form)

    def text(self) -> str:
        """Render the page; empty while the meter is silent, and while a label that it had is missing."""
        meter = self._meter
        meter.expire()
        words, mode = meter.words, str(meter.value("smartmeter_info", "mode"))
        if mode not in LABELS or not self._expected(mode, words):
            return ""
        before = meter.said.known(meter.clock() - MISSING_LABEL_WAIT_S)
        if any(label in before and label not in words for label in self._labels[mode]):
            return ""
        texts = {label.lower(): words[label].strip() for label in self._labels[mode] if label in words}
        inside = labels(texts | {"job": self._job})
        shown = [(label, words[label]) for label in NUMERIC[mode] if label in words]
        return "".join(line for label, text in shown for line in _family(meter, label, text, inside))


def _family(meter: Meter, label: str, text: str, inside: str) -> Iterator[str]:
    """Yield HELP, TYPE and the sample of one label; nothing while its register has no accepted value."""
    name = f"linky_{label.lower().replace('+', '_').replace('-', '_')}"
    series = register(label)
    value = meter.value(*series) if series else int(text)
    if value is None:
        return
    total, kind = ("_total", "counter") if series else ("", "gauge")
    yield f"# HELP {name}{total} {HELP.get(label, f'{label} de la TIC en mode standard')}\n# TYPE {name}{total} {kind}\n"
    yield f"{name}{{{inside}}} {number(float(value))}\n"
