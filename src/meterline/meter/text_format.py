"""How samples are written: what prometheus_client would write for the same values, and tests hold the one against the other.

Floats are as Go prints them, labels in alphabetical order.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate

from meterline.meter.families import FAMILIES
from meterline.meter.readings import Series


def number(value: float) -> str:
    """A sample's value as prometheus_client prints it: 30.0, 2.354947e+06."""
    text = repr(float(value))
    point = text.find(".")
    if value > 0 and point > 6:
        mantissa = f"{text[0]}.{text[1:point]}{text[point + 1 :]}".rstrip("0.")
        return f"{mantissa}e+{point - 1:02d}"
    return text


def escape(text: str) -> str:
    """A label value as both text formats want it."""
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def labels(texts: Mapping[str, str]) -> str:
    """What stands between the braces of a sample: `texts` are not escaped yet."""
    return ",".join(f'{name}="{escape(text)}"' for name, text in sorted(texts.items()))


def _line(name: str, pairs: Iterable[tuple[str, str]], value: str) -> str:
    """A sample's line. `pairs`: name and escaped text of each label."""
    inner = ",".join([f'{label}="{text}"' for label, text in sorted(pairs)])
    return f"{name}{{{inner}}} {value}\n"


class _Templates(dict[Series, str]):
    """Series → its line with gaps: for each label of the meter, in the order of their names, and for the number."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._gaps = [(name, "%s") for name in names]

    def __missing__(self, series: Series) -> str:
        values = (escape(value).replace("%", "%%") for value in series[1:])
        self[series] = _line(series[0], (*zip(FAMILIES[series[0]].labels, values, strict=True), *self._gaps), "%s")
        return self[series]


_templates = lru_cache(maxsize=64)(_Templates)
"""Meters whose labels have the same names share their templates."""


class MeterLabels:
    """The labels of every series of a meter: `meter`, its name, and those that the configuration gives it.

    Attributes:
        texts: Name → escaped text, in the order of the names.
    """

    __slots__ = ("_templates", "_values", "texts")

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = {name: escape(text) for name, text in sorted(texts.items())}
        self._values = tuple(self.texts.values())
        self._templates = _templates(tuple(self.texts))

    def block(self, family: str, shown: Iterable[tuple[Series, float | str]]) -> str:
        """The lines of one family. The texts of an info family share one line."""
        if FAMILIES[family].type != "info":
            templates, values = self._templates, self._values
            return "".join([templates[series] % (*values, number(float(value))) for series, value in shown])
        own = ((series[1], escape(str(value))) for series, value in shown)
        return _line(family, (*own, *self.texts.items()), "1.0")

    def line(self, name: str, value: float, **own: str) -> str:
        """One sample. `own`: its own labels, as texts that need no escape."""
        return _line(name, (*own.items(), *self.texts.items()), number(value))

    def instead_of(self, others: MeterLabels, lines: str) -> str:
        """Lines that were written with the labels `others`, with these labels."""

        def line(match: re.Match[str]) -> str:
            own = (pair for pair in _PAIR.findall(match[2]) if pair[0] not in others.texts)
            return _line(match[1], (*own, *self.texts.items()), match[3])

        return _LINE.sub(line, lines)


_LINE = re.compile(r"^(\w+)\{(.*)\} (\S+)\n", re.MULTILINE)
_PAIR = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Histogram:
    """Observations, counted by their upper limits."""

    def __init__(self, limits: Sequence[float]) -> None:
        self.limits = limits
        self._counts = [0] * (len(limits) + 1)
        self.sum = 0.0

    @property
    def count(self) -> int:
        """How many."""
        return sum(self._counts)

    def observe(self, value: float) -> None:
        """Count it."""
        self._counts[bisect_left(self.limits, value)] += 1
        self.sum += value

    def buckets(self) -> Iterator[tuple[str, int]]:
        """Upper limit, as text → how many are not above it."""
        return zip([*map(number, self.limits), "+Inf"], accumulate(self._counts), strict=True)

    def lines(self, family: str, labels: MeterLabels) -> str:
        """Its samples, of a meter with these labels."""
        lines = [labels.line(f"{family}_bucket", count, le=le) for le, count in self.buckets()]
        lines.append(labels.line(f"{family}_count", self.count))
        lines.append(labels.line(f"{family}_sum", self.sum))
        return "".join(lines)
