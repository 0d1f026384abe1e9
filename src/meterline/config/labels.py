"""Labels that a person gives a meter: the flat, the building, who lives there."""

from __future__ import annotations

import re

from meterline.meter.families import LABELS

GIVEN_BY_PROMETHEUS = ("alertname", "instance", "job", "severity")
"""Labels of a target or of an alert: Prometheus would rename or replace ours."""


class Labels(dict[str, str]):
    """Name → text."""


def check_name(name: object) -> None:
    """Make sure that a label of all series of a meter may have this name. ValueError says why not."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name, re.ASCII):
        # Without a space after its colon a key holds its text, which may name a person.
        shown = repr(name.partition(":")[0]) if isinstance(name, str) else "a list or keys"
        raise ValueError(f"{shown} is no name of a label; allowed: letters, digits and _, and no digit in front")
    if name.startswith("__"):
        raise ValueError(f"{name!r} is no name of a label; those that begin with __ are Prometheus' own")
    if name == "meter" or name in LABELS:
        raise ValueError(f"{name!r} is a label of meterline already; choose another name")
    if name in GIVEN_BY_PROMETHEUS:
        raise ValueError(f"{name!r} is a label that Prometheus gives; choose another name")
