"""The text that /metrics shows of one meter, kept by family and written again when a value changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from meterline.meter.families import CATALOGUE, COLUMNS
from meterline.meter.readings import Series
from meterline.meter.text_format import MeterLabels


class TextCache:
    """The sample lines of one meter.

    Attributes:
        labels: Those of all its lines.
        columns: The lines of each family, in the order of the catalogue; empty where nothing is shown.
    """

    def __init__(self, name: str) -> None:
        self.labels = MeterLabels({"meter": name})
        self.columns = [""] * len(CATALOGUE)
        self._written: dict[str, float | None] = {}

    def label(self, texts: Mapping[str, str]) -> None:
        """Give all lines these labels, also those that are written already."""
        before, self.labels = self.labels, MeterLabels(texts)
        self.columns = [self.labels.instead_of(before, lines) for lines in self.columns]

    def show(self, family: str, shown: Iterable[tuple[Series, float | str]]) -> None:
        """Show these samples of a family, and no others."""
        shown = list(shown)
        self.columns[COLUMNS[family]] = self.labels.block(family, shown) if shown else ""

    def show_lines(self, family: str, lines: str) -> None:
        """Show these sample lines of a family, and no others."""
        self.columns[COLUMNS[family]] = lines

    def write(self, family: str, value: float | None) -> None:
        """Show the one sample of a family; none for None. The text is written where the value is another than before."""
        if self._written.get(family) != value:
            self._written[family] = value
            self.columns[COLUMNS[family]] = "" if value is None else self.labels.block(family, [((family,), value)])

    @property
    def blocks(self) -> dict[str, str]:
        """Family → its lines, of what the meter says."""
        lines = zip(CATALOGUE, self.columns, strict=True)
        return {family.name: text for family, text in lines if text and family.origin == "meter"}

    def clear(self) -> None:
        """Show nothing any more of what the meter says."""
        for family in self.blocks:
            self.columns[COLUMNS[family]] = ""
