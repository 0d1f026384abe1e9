"""Ask the program in this container whether it is healthy: `python3 -m meterline.cli.health`, status 0 where it is.

It is asked where it serves: at the port of its variables or of the JSON file of `linky-exporter`, else at HEALTH_PORT. Little
is imported, since a container asks twice a minute.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
from collections.abc import Mapping, Sequence

from meterline.compat import linky_exporter

PATIENCE = 4.0
FIRST = "/proc/1/cmdline"
"""The words with which the container was started."""
JSON_PORT = 9100
VARIABLES = ("LINKY_EXPORTER_PORT", "PROMETHEUS_PORT", "SMARTMETER_PORT", "HEALTH_PORT")


def port(words: Sequence[str], environment: Mapping[str, str]) -> int:
    """Where a program serves that was started so."""
    if os.path.exists(linky_exporter.JSON_FILE) or (words and linky_exporter.choose(words, environment) == "linky-json"):
        return int(environment.get("PROMETHEUS_PORT", "").strip() or _of_file(_file(words)))
    said = [text for name in VARIABLES if (text := environment.get(name, "").strip())]
    return int(said[0]) if said else 0


def _file(words: Sequence[str]) -> str:
    """The file of `linky-exporter`: ``--config FILE`` or ``--config=FILE``."""
    waiting = iter(words)
    for word in waiting:
        name, equals, value = word.partition("=")
        if name == "--config":
            return value if equals else next(waiting, linky_exporter.JSON_FILE)
    return linky_exporter.JSON_FILE


def _of_file(path: str) -> int:
    try:
        with open(path, encoding="utf-8-sig") as file:
            return int(json.load(file).get("prometheus", {}).get("port", JSON_PORT))
    except FileNotFoundError:
        return JSON_PORT


def started_as() -> list[str]:
    """The words with which the container runs `linky-exporter`; none where it runs something else."""
    try:
        with open(FIRST, encoding="utf-8", errors="replace") as file:
            words = file.read().split("\0")
    except OSError:
        return []
    # The first process may also be one that starts it, such as tini.
    return words if any(os.path.basename(word) == "linky-exporter" for word in words) else []


def main() -> None:
    """The command."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port(started_as(), os.environ), timeout=PATIENCE)
        connection.request("GET", "/-/healthy")
        status = connection.getresponse().status
    except (OSError, ValueError, http.client.HTTPException) as error:
        sys.exit(f"not healthy: {error}")
    sys.exit(status != http.HTTPStatus.OK)


if __name__ == "__main__":
    main()
