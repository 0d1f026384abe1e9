"""A meterline that runs already on this machine: what its /metrics page says of its meters, whose links are left alone."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Collection, Iterator
from http.client import HTTPException
from typing import NamedTuple

from meterline import world
from meterline.link import processes
from meterline.link.processes import Process
from meterline.meter.line_quality import FINE
from meterline.meter.text_format import escape
from meterline.protocols.api import Finding, fault, ok, warning
from meterline.web.http.server import parse_address

TIMEOUT = 3.0
LARGEST = 8 << 20
_TEXT = r'(?:[^"\\]|\\.)*'
_SAMPLE = re.compile(rf'^(smartmeter_\w+)\{{(?:\w+="{_TEXT}",)*?meter="({_TEXT})"[,}}].* (\S+)$', re.MULTILINE)
_LOG = "journalctl -u meterline -n 50, or docker logs meterline, says why"


class Instance(NamedTuple):
    """A running meterline."""

    port: int
    page: str
    holder: Process | None
    """The process that listens on the port; None where it belongs to another user."""

    def value(self, family: str, meter: str) -> float | None:
        """The sum of a family's samples for a meter."""
        wanted = (family, escape(meter))
        found = [float(value) for name, label, value in _SAMPLE.findall(self.page) if (name, label) == wanted]
        return sum(found) if found else None

    @property
    def meters(self) -> list[str]:
        """Names of all that it reads."""
        labels = (label for name, label, _ in _SAMPLE.findall(self.page) if name == "smartmeter_up")
        return [re.sub(r"\\(.)", lambda match: {"n": "\n"}.get(match[1], match[1]), label) for label in labels]

    def serves(self, address: str) -> Finding:
        """The port is taken, by ourselves."""
        return ok(f"our own meterline serves {address} ({self.holder or 'another user'}), {len(self.meters)} meters")

    def reads(self, names: Collection[str]) -> bool:
        """All of them speak there."""
        return bool(names) and all(self.value("smartmeter_up", name) == 1 for name in names)

    def findings(self, names: Collection[str]) -> Iterator[Finding]:
        """What it says of these meters; of all that it reads where it knows none of them."""
        for name in [name for name in self.meters if name in names] or self.meters:
            frames, rejected = (self.value(f"smartmeter_{what}_total", name) or 0 for what in ("frames", "rejected"))
            ratio = self.value("smartmeter_line_accepted_ratio", name)  # the counts are since the start, and judge nothing
            what = f"meter {name!r}: {frames:.0f} frames, {rejected:.0f} rejected"
            if self.value("smartmeter_up", name) != 1:
                yield fault(f"{what}; it is silent now", _LOG)
            elif ratio is not None and ratio < 1 - FINE:
                yield warning(
                    f"{what}; of the last minute only {ratio:.1%} was accepted: more damage than a line should have",
                    "stop meterline, and let doctor listen to the line itself",
                )
            else:
                yield ok(f"{what}; it speaks")


def running(address: str) -> Instance | None:
    """The one that serves at our address; None where nobody does, or something else."""
    host, port = parse_address(address)
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    url = f"http://[{host}]:{port}/metrics" if ":" in host else f"http://{host}:{port}/metrics"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=TIMEOUT) as answer:
            page, until = b"", world.current.monotonic() + TIMEOUT
            while (piece := answer.read1(LARGEST)) and len(page) < LARGEST and world.current.monotonic() < until:
                page += piece
            text = page.decode("utf-8", "replace")
    except (OSError, ValueError, HTTPException):  # nobody, or nobody who speaks HTTP
        return None
    return Instance(port, text, processes.of_port(port)) if "meterline_build_info" in text else None
