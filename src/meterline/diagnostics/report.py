"""The report for a bug report: a zip of texts, and of the bytes that the lines sent.

The report holds nothing that identifies the household or gives access to its meter. Settings and labels are masked unless
their declaration says that they are public. Captures pass the redactor of their protocol; of a line whose protocol is not
known, the report holds counts only. From free text, names of this machine and everything that looks like an address are
removed.
"""

from __future__ import annotations

import os
import platform
import re
import socket
import zipfile
from collections.abc import Iterable, Iterator
from importlib import metadata
from typing import IO
from urllib.parse import urlsplit

from meterline import __version__
from meterline.config.schema import Config, MeterConfig
from meterline.config.settings import Setting, settings, settings_of
from meterline.diagnostics.link_check import Case
from meterline.diagnostics.running_instance import Instance
from meterline.meter.families import privacy
from meterline.protocols import PROTOCOLS
from meterline.protocols.api import Finding

MASK = "(masked)"
_PUBLIC = ("/dev", "/dev/serial/by-id", "/dev/serial/by-path")
"""Folders whose paths identify nobody."""
_SAMPLE = re.compile(r"^(\w+)\{(.*)\} (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_LOOKS_LIKE = (
    re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{1,4}:{1,2}){3,7}[0-9A-Fa-f]{0,4}(?![\w:])"),  # IPv6, and a MAC with colons
    re.compile(r"(?<!\w)(?<!\d\.)[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?!\w|\.\d)"),
    re.compile(r"(?<=/by-id/)\S+?(?=-if\d|-port\d|[\s,;]|$)"),  # holds the adapter's serial number
    re.compile(r"(?<=/dev/meterline-)\w+"),
    re.compile(r"(?<=/home/)[^/\s:;,]+"),
)


def write(file: IO[bytes], config: Config, machine: Iterable[Finding], cases: list[Case], own: Instance | None) -> None:
    """Write the report.

    Args:
        file: Open for writing, in binary mode.
        config: The configuration whose meters were examined.
        machine: Findings about this machine.
        cases: The examined links, with their findings.
        own: The meterline that runs on this machine, if any.
    """
    known = _known(config)
    meters = dict.fromkeys([*(meter.name for meter in config.meters), *(own.meters if own else ())])
    names = {name: f"meter{number}" for number, name in enumerate(meters, 1)}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as report:
        report.writestr("versions.txt", _lines(versions()))
        report.writestr("findings.txt", scrubbed(_lines(_findings(machine, cases)), known, names))
        report.writestr("configuration.txt", scrubbed(_lines(configuration(config, names)), known, names))
        for number, case in enumerate(cases, 1):
            if case.sent and case.protocol:
                report.writestr(f"link{number}.bin", PROTOCOLS[case.protocol].redactor(True).feed(bytes(case.sent)))
            elif case.counts:
                report.writestr(f"link{number}.txt", _lines(case.counts))
        if own:
            report.writestr("metrics.txt", scrubbed(_lines(metrics(own.page, names)), known, names))


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def versions() -> Iterator[str]:
    """Yield a line for each version: of meterline, Python, the system, the kernel and the libraries; without the host name."""
    yield f"meterline {__version__}"
    yield f"python {platform.python_implementation()} {platform.python_version()}"
    try:
        yield f"system {platform.freedesktop_os_release().get('PRETTY_NAME', '')}"
    except OSError:
        yield "system unknown"
    yield f"kernel {platform.system()} {platform.release()} {platform.machine()}"
    for wanted in metadata.requires("meterline") or []:
        if "extra ==" not in wanted:
            library = re.split(r"[^\w.-]", wanted)[0]
            yield f"{library} {_version(library)}"


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "missing"


def _findings(machine: Iterable[Finding], cases: list[Case]) -> Iterator[str]:
    yield "this machine"
    yield from map(_line, machine)
    for number, case in enumerate(cases, 1):
        kind = urlsplit(case.url).scheme or "device"
        yield f"link{number}: {kind}, {case.protocol or 'unknown'}"
        yield from map(_line, case.findings)


def _line(finding: Finding) -> str:
    return f"  {finding.level:8} {finding.what}" + (f" → {finding.remedy}" if finding.remedy else "")


def configuration(config: Config, names: dict[str, str]) -> Iterator[str]:
    """Yield the settings that differ from their defaults, a line each; a value that is not public is masked.

    Args:
        config: The configuration.
        names: Name of each meter → its name in the report.
    """
    for setting in settings(config):
        if setting.key != "meters":
            yield f"{setting.key}: {setting.masked(MASK)}"
    for meter in config.meters:
        yield f"{names[meter.name]}:"
        yield f"  link: {_kind(meter.link)}"
        for setting in _settings(meter):
            yield f"  {setting.key}: {setting.masked(MASK)}"


def _settings(meter: MeterConfig) -> Iterator[Setting]:
    """Return the settings of a meter, except its name and link, which the report shows elsewhere, and flags that are off."""
    return (found for found in settings_of(meter) if found.key not in ("name", "link") and found.value is not False)


def _kind(link: str) -> str:
    parts = urlsplit(link)
    if parts.scheme:
        return f"{parts.scheme}:{MASK}"
    if re.fullmatch(r"/dev/(tty[A-Z]+[0-9]+|serial[0-9])", link):
        return link
    folder = os.path.dirname(link)
    return f"{folder if folder in _PUBLIC else ''}/{MASK}"


def metrics(page: str, names: dict[str, str]) -> Iterator[str]:
    """Yield the lines of a /metrics page, with every label masked that is not public. Lines of unknown form are left out."""

    def label(match: re.Match[str]) -> str:
        key, value = match.groups()
        if key == "meter":
            value = names.get(value, MASK)
        elif privacy(key) != "public":
            value = MASK
        return f'{key}="{value}"'

    for line in page.splitlines():
        if sample := _SAMPLE.match(line):
            yield f"{sample[1]}{{{_LABEL.sub(label, sample[2])}}} {sample[3]}"
        elif line.startswith("# ") or "{" not in line:
            yield line


def _known(config: Config) -> list[str]:
    """Return the texts that identify this machine or its links, longest first: a host name may hold a shorter one."""
    texts = [os.path.expanduser("~"), socket.gethostname(), socket.gethostname().split(".")[0]]
    for meter in config.meters:
        texts += [urlsplit(meter.link).hostname or "", meter.link if _kind(meter.link) != meter.link else ""]
        hidden = [found for found in _settings(meter) if found.privacy != "public" and found.value is not True]
        # A label that is a number alone, such as that of a flat, names nobody, and stands for much else.
        texts += [str(found.value) for found in hidden if found.privacy == "secret" or not found.value.isdecimal()]
    return sorted({text for text in texts if len(text) > 1 and text != "localhost"}, key=len, reverse=True)


def scrubbed(text: str, known: list[str], names: dict[str, str]) -> str:
    """Mask everything in a free text that may identify the household.

    Args:
        text: The text.
        known: Texts that identify this machine or its links, longest first.
        names: Name of each meter → its name in the report.

    Returns:
        The text, without `known` and without anything that has the form of an identifier of a protocol or of an address.
    """
    for name, number in names.items():
        text = text.replace(repr(name), number)
    for secret in known:
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", MASK, text, flags=re.IGNORECASE)
    identifiers = (pattern for protocol in PROTOCOLS.values() for pattern in protocol.identifiers)
    for pattern in (*identifiers, *_LOOKS_LIKE):
        text = pattern.sub(MASK, text)
    return text
