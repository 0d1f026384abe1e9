"""Health check of a container: `python3 -m meterline.cli.health` ends with status 0 if the program answers /-/healthy.

The port is that of the replaced exporter's variables, or of the JSON file of `linky-exporter`, else HEALTH_PORT. The module
imports little, since the check runs twice a minute.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
from collections.abc import Mapping, Sequence

from meterline.compat import linky_exporter

ANSWER_TIMEOUT_S = 4.0
CONTAINER_ARGUMENTS = "/proc/1/cmdline"
"""The arguments that the container was started with."""
JSON_PORT = 9100
VARIABLES = ("LINKY_EXPORTER_PORT", "PROMETHEUS_PORT", "SMARTMETER_PORT", "HEALTH_PORT")


def port(words: Sequence[str], environment: Mapping[str, str]) -> int:
    """Return the port of a program with these arguments and this environment; 0 if none of them names a port.

    Raises:
        ValueError: A port is not a number.
        OSError: The JSON file is not readable.
    """
    if os.path.exists(linky_exporter.JSON_FILE) or (words and linky_exporter.choose(words, environment) == "linky-json"):
        return int(environment.get("PROMETHEUS_PORT", "").strip() or _of_file(_file(words)))
    given = [text for name in VARIABLES if (text := environment.get(name, "").strip())]
    return int(given[0]) if given else 0


def _file(words: Sequence[str]) -> str:
    """Return the JSON file of `linky-exporter`: ``--config FILE`` or ``--config=FILE``, else the default."""
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
    """Return the arguments of `linky-exporter`, if the container runs it; otherwise none."""
    try:
        with open(CONTAINER_ARGUMENTS, encoding="utf-8", errors="replace") as file:
            words = file.read().split("\0")
    except OSError:
        return []
    # The first process may be an init such as tini, which starts the program.
    return words if any(os.path.basename(word) == "linky-exporter" for word in words) else []


def main() -> None:
    """Run the check, and end with status 0 if the program is healthy."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port(started_as(), os.environ), timeout=ANSWER_TIMEOUT_S)
        connection.request("GET", "/-/healthy")
        status = connection.getresponse().status
    except (OSError, ValueError, http.client.HTTPException) as error:
        sys.exit(f"not healthy: {error}")
    sys.exit(status != http.HTTPStatus.OK)


if __name__ == "__main__":
    main()
