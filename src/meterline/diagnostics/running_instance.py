"""A meterline that runs on this machine: findings about its meters, from its /metrics page. Its links are not opened."""

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

TIMEOUT_S = 3.0
PAGE_MAX_BYTES = 8 << 20
_TEXT = r'(?:[^"\\]|\\.)*'
_SAMPLE = re.compile(rf'^(smartmeter_\w+)\{{(?:\w+="{_TEXT}",)*?meter="({_TEXT})"[,}}].* (\S+)$', re.MULTILINE)
_LOG = "journalctl -u meterline -n 50, or docker logs meterline, shows the reason"


class Instance(NamedTuple):
    """A running meterline.

    Attributes:
        port: TCP port of its page.
        page: Text of its /metrics page.
        holder: The process that listens on the port; None if the process belongs to another user.
    """

    port: int
    page: str
    holder: Process | None

    def value(self, family: str, meter: str) -> float | None:
        """Return the sum of a family's samples for a meter; None if there is none."""
        wanted = (family, escape(meter))
        found = [float(value) for name, label, value in _SAMPLE.findall(self.page) if (name, label) == wanted]
        return sum(found) if found else None

    @property
    def meters(self) -> list[str]:
        """Names of all meters that the instance reads."""
        labels = (label for name, label, _ in _SAMPLE.findall(self.page) if name == "smartmeter_up")
        return [re.sub(r"\\(.)", lambda match: {"n": "\n"}.get(match[1], match[1]), label) for label in labels]

    def serves(self, address: str) -> Finding:
        """Return the finding that this instance listens on `address`."""
        return ok(f"the running meterline serves {address} ({self.holder or 'another user'}), {len(self.meters)} meters")

    def reads(self, names: Collection[str]) -> bool:
        """Return whether the instance reads these meters now, each of them."""
        return bool(names) and all(self.value("smartmeter_up", name) == 1 for name in names)

    def findings(self, names: Collection[str]) -> Iterator[Finding]:
        """Yield a finding for each of these meters; for all meters of the instance if it reads none of these."""
        for name in [name for name in self.meters if name in names] or self.meters:
            frames, rejected = (self.value(f"smartmeter_{what}_total", name) or 0 for what in ("frames", "rejected"))
            ratio = self.value(
                "smartmeter_line_accepted_ratio", name
            )  # The counts cover all time since the start: they say nothing about the line now.
            what = f"meter {name!r}: {frames:.0f} frames, {rejected:.0f} rejected"
            if self.value("smartmeter_up", name) != 1:
                yield fault(f"{what}; offline now", _LOG)
            elif ratio is not None and ratio < 1 - FINE:
                yield warning(
                    f"{what}; only {ratio:.1%} of the last minute was accepted: more damage than normal",
                    "stop meterline, then let doctor listen to the line",
                )
            else:
                yield ok(f"{what}; online")


def running(address: str) -> Instance | None:
    """Return the meterline that serves `address` on this machine; None if there is none, or another program answers.

    Args:
        address: HOST:PORT, as `--web.listen-address` takes it.

    Raises:
        UserError: `address` is not an address.
    """
    host, port = parse_address(address)
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    url = f"http://[{host}]:{port}/metrics" if ":" in host else f"http://{host}:{port}/metrics"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=TIMEOUT_S) as answer:
            page, until = b"", world.current.monotonic() + TIMEOUT_S
            while (piece := answer.read1(PAGE_MAX_BYTES)) and len(page) < PAGE_MAX_BYTES and world.current.monotonic() < until:
                page += piece
            text = page.decode("utf-8", "replace")
    except (OSError, ValueError, HTTPException):  # No server, or one that does not answer in HTTP.
        return None
    return Instance(port, text, processes.of_port(port)) if "meterline_build_info" in text else None
