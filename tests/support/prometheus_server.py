"""A Prometheus for tests: started, asked and ended by them."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.live_meters import LIMIT, fetch, free_port, page


def tool(name: str) -> str:
    """Where prometheus or promtool is; without it the test is skipped."""
    found = shutil.which(name)
    if not found:
        pytest.skip(f"no {name} here: it is in Debian's package prometheus")
    return found


class Database:
    """A running Prometheus."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1/"

    def get(self, path: str, **words: str) -> Any:
        status, _, body = fetch(f"{self._url}{path}?{urllib.parse.urlencode(words)}")
        answer = json.loads(body)
        assert (status, answer["status"]) == (200, "success"), f"{words}: {answer}"
        return answer["data"]

    def now(self, expression: str, moment: float | None = None) -> dict[frozenset[tuple[str, str]], list[float]]:
        """Labels of each series → its value."""
        result = self.get("query", query=expression, time=str(moment or time.time()))["result"]
        return {labels(series): [float(series["value"][1])] for series in result}

    def lately(self, expression: str) -> dict[frozenset[tuple[str, str]], list[float]]:
        """Labels of each series → its values of the last seconds; where a point stands for the day that follows it, of one
        half a day ago.
        """
        end = time.time() - ("offset -24h" in expression) * 43_200
        result = self.get("query_range", query=expression, start=str(end - 4), end=str(end), step="1")["result"]
        return {labels(series): [float(value) for _, value in series["values"]] for series in result}


def labels(series: dict[str, Any]) -> frozenset[tuple[str, str]]:
    return frozenset((name, value) for name, value in series["metric"].items() if name != "__name__")


@contextmanager
def prometheus(binary: str, folder: Path, config: str) -> Iterator[Database]:
    """One on a free port, with its data in that folder."""
    port = free_port()
    (folder / "prometheus.yml").write_text(config, encoding="utf-8")
    run = [
        binary,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with (folder / "log").open("w") as log, subprocess.Popen(run, stdout=log, stderr=log) as process:
        try:
            deadline = time.monotonic() + LIMIT
            while "Ready" not in page(port, "/-/ready"):
                assert time.monotonic() < deadline, (folder / "log").read_text(encoding="utf-8")
                time.sleep(0.1)
            yield Database(port)
        finally:
            process.terminate()
            try:
                process.wait(LIMIT)
            except subprocess.TimeoutExpired:
                process.kill()
