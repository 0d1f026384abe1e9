"""Two programs are called `linky-exporter`: they are told apart by their settings."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

JSON_FILE = "/etc/linky-exporter.json"
_JSON_VARIABLES = ("PROMETHEUS_PORT", "DEVICE")
_OTHERS = ("LINKY_EXPORTER_", "LINKY_SOCAT_")


def choose(words: Sequence[str], environment: Mapping[str, str]) -> str:
    """The JSON program where its file is there, a file is given, or one of its variables and none of the other's is set."""
    others = any(name.startswith(_OTHERS) for name, value in environment.items() if value.strip())
    variables = any(environment.get(name) for name in _JSON_VARIABLES) or any(
        name.startswith("INDEXWHRATES_") for name in environment
    )
    if os.path.exists(JSON_FILE) or "--config" in words or any(word.startswith("--config=") for word in words):
        return "linky-json"
    return "linky-json" if variables and not others else "linky-env"
