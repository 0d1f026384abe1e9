"""What a meter says in the wire's own labels, for the pages that show them: as it was sent, and when."""

from __future__ import annotations

import math

from meterline.meter.readings import Snapshot


class RawFields:
    """The fields of the wire that a meter sent, and when. Times are those of the meter's clock."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[str, float]] = {}
        self._last_form: frozenset[str] | None = None
        self.form: frozenset[str] | None = None
        """The labels of a whole long frame: believed when two in a row have the same."""

    def take(self, snapshot: Snapshot | None, now: float) -> None:
        """Remember what it says; None: nobody wants to know, so forget all."""
        if snapshot is None:
            self._said.clear()
            self._last_form = self.form = None
            return
        self._said |= {label: (text, now) for label, text in snapshot.words.items()}
        if snapshot.whole and not snapshot.short:
            form = frozenset(snapshot.words)
            if form == self._last_form:
                self.form = form
            self._last_form = form

    def since(self, moment: float) -> dict[str, str]:
        """Label → its data, of what was said from that moment on."""
        return {label: text for label, (text, said) in self._said.items() if said >= moment}

    def known(self, moment: float = -math.inf) -> set[str]:
        """The labels that were said from that moment on."""
        return {label for label, (_, said) in self._said.items() if said >= moment}
