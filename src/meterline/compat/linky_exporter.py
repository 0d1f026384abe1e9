"""The choice between the two exporters with the name `linky-exporter`, by their settings."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

JSON_FILE = "/etc/linky-exporter.json"
_JSON_VARIABLES = ("PROMETHEUS_PORT", "DEVICE")
_OTHERS = ("LINKY_EXPORTER_", "LINKY_SOCAT_")


def choose(words: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return the exporter to replace, a key of `LIKE`.

    The exporter with a JSON file is chosen if its file exists, if arguments name a file, or if one of its variables is set and
    none of the other exporter's.
    """
    others = any(name.startswith(_OTHERS) for name, value in environment.items() if value.strip())
    variables = any(environment.get(name) for name in _JSON_VARIABLES) or any(
        name.startswith("INDEXWHRATES_") for name in environment
    )
    if os.path.exists(JSON_FILE) or "--config" in words or any(word.startswith("--config=") for word in words):
        return "linky-json"
    return "linky-json" if variables and not others else "linky-env"
