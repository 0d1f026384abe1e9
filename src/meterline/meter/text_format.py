"""How samples are written: what prometheus_client would write for the same values, and tests hold the one against the other.

Floats are as Go prints them, labels in alphabetical order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
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


@cache
def template(series: Series) -> str:
    """A sample's line with two gaps, for the escaped name of the meter and the number: the same for all meters."""
    values = (escape(value).replace("%", "%%") for value in series[1:])
    pairs = sorted((*zip(FAMILIES[series[0]].labels, values, strict=True), ("meter", "%s")))
    inner = ",".join(f'{name}="{value}"' for name, value in pairs)
    return f"{series[0]}{{{inner}}} %s\n"


def block(family: str, meter: str, shown: Iterable[tuple[Series, float | str]]) -> str:
    """The lines of one family of one meter. `meter` is its escaped name. The texts of an info family share one line."""
    if FAMILIES[family].type != "info":
        return "".join([template(series) % (meter, number(float(value))) for series, value in shown])
    pairs = sorted((*((series[1], escape(str(value))) for series, value in shown), ("meter", meter)))
    inner = ",".join(f'{name}="{value}"' for name, value in pairs)
    return f"{family}{{{inner}}} 1.0\n"


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

    def lines(self, family: str, meter: str) -> str:
        """Its samples. `meter` is the escaped name."""
        lines = [f'{family}_bucket{{le="{le}",meter="{meter}"}} {number(count)}\n' for le, count in self.buckets()]
        lines.append(f'{family}_count{{meter="{meter}"}} {number(self.count)}\n')
        lines.append(f'{family}_sum{{meter="{meter}"}} {number(self.sum)}\n')
        return "".join(lines)
