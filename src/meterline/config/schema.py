"""The configuration: meters with links, options and tariffs, from a YAML file or a command. Errors name file, meter and key."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal
from zlib import crc32

from meterline.billing.tariff import Tariffs
from meterline.config.labels import Labels
from meterline.config.structure import structure
from meterline.config.yaml_file import parse, read, substitute, within
from meterline.errors import UserError
from meterline.link.url import Endpoint, UrlError, parse_url, shown
from meterline.protocols import PROTOCOLS


@dataclass(frozen=True, slots=True)
class MeterConfig:
    """One meter: its name (the label `meter`), where it is, and how to read it."""

    name: str = field(metadata={"public": True})
    link: str = field(metadata={"public": True})
    protocol: str | None = field(default=None, metadata={"public": True})
    options: Any = None
    """The protocol's `Options`; None where the protocol is detected."""
    stale_after: float | None = field(default=None, metadata={"public": True})
    """Seconds without confirmation until a value disappears; None: the runtime's default."""
    tariffs: Tariffs | None = None
    """What its energy costs."""
    labels: Labels = field(default_factory=Labels)
    """Labels of all its series beside `meter`: whose it is, and where."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything in the file."""

    meters: tuple[MeterConfig, ...]
    log_level: Literal["debug", "info", "warn", "error"] | None = field(default=None, metadata={"public": True})
    """In place of --log.level."""
    mqtt: Any = None
    """The `Mqtt` of a broker to publish on; None: on none."""


def single(link: str) -> Config:
    """The configuration of `meterline run LINK`: one meter, all of it detected."""
    return Config((MeterConfig(_endpoint(link).name, link),))


def with_options(meter: MeterConfig, protocol: str, options: str) -> MeterConfig:
    """Return the meter with another protocol and options.

    Args:
        meter: The meter; its options and tariffs are replaced.
        protocol: Name of the protocol.
        options: Options as a file has them, such as ``{baud: 1200}``; empty: none.

    Raises:
        UserError: The options are not valid.
    """
    entry = {"name": meter.name, "link": meter.link, "protocol": protocol}
    found = parse(options, "options") if options else None
    return _config(substitute({"meters": [entry | ({"options": found} if found else {})]})).meters[0]


def shard(config: Config, text: str) -> Config:
    """Return the share of one of several processes. All meters of a link belong to one process.

    Args:
        config: All meters.
        text: ``NUMBER/COUNT``, such as ``2/3`` for the second of three processes.

    Raises:
        UserError: `text` has another form.
    """
    number, slash, count = text.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise UserError(f"--shard {text!r}: expected NUMBER/COUNT, such as 1/2")
    names = {meter.link: meter.name for meter in reversed(config.meters)}
    mine = (meter for meter in config.meters if crc32(names[meter.link].encode()) % int(count) == int(number) - 1)
    return replace(config, meters=tuple(mine), mqtt=config.mqtt and config.mqtt.of_shard(int(number)))


def load(path: str) -> Config:
    """Read and check a file.

    Args:
        path: The YAML file of `--config.file`.

    Raises:
        UserError: The file is not readable or not valid: one line for each fault, with file, meter and key.
    """
    document = read(path)
    try:
        return _config(substitute(document))
    except UserError as error:
        raise within(f"{path}: ", error) from None


def _config(document: Any) -> Config:
    """Return the typed configuration. UserError: all faults, one line each."""
    entries = document.get("meters", []) if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UserError("expected 'meters:' and under it a list of meters, each with '- name: …' and 'link: …'")
    names = [f"meter {entry.get('name', n)!r}" for n, entry in enumerate(entries, 1)]
    config: Config = structure(document, Config, partial(_place, names))
    if not config.meters:
        raise UserError("meters: expected a list with at least one meter (- name: …)")
    for name, times in Counter(meter.name for meter in config.meters).items():
        if times > 1:
            raise UserError(f"meters: two meters with the name {name!r}; each needs its own")
    meters = tuple(_with_options(meter) for meter in config.meters)
    _check_sharing(meters)
    return replace(config, meters=meters, mqtt=_mqtt(config))


def _mqtt(config: Config) -> Any:
    """The broker; None where there is none, and then nothing of it is imported."""
    if config.mqtt is None:
        return None
    from meterline.config.mqtt import Mqtt, check_library, check_names

    if not isinstance(config.mqtt, dict):
        raise UserError("mqtt: expected keys and values, such as {url: mqtt://localhost}")
    check_library()
    check_names(meter.name for meter in config.meters)
    try:
        return structure(config.mqtt, Mqtt)
    except UserError as error:
        raise within("mqtt: ", error) from None


def _endpoint(link: str, where: str = "") -> Endpoint:
    """Parse a link. UserError, with `where` in front: `link` is no link."""
    try:
        return parse_url(link)
    except UrlError as error:
        raise UserError(f"{where}{error}") from None


def _check_sharing(meters: tuple[MeterConfig, ...]) -> None:
    """Check that a link has one meter only, unless its protocol polls several in turn."""
    known: dict[str, dict[Any, MeterConfig]] = {}
    for meter in meters:
        others = known.setdefault(meter.link, {})
        option = PROTOCOLS[meter.protocol].told_apart_by if meter.protocol else None
        for other in others.values():
            if option is None or meter.protocol != other.protocol:
                pair = f"meters {other.name!r} and {meter.name!r}"
                raise UserError(f"{pair}: two meters with the link {shown(meter.link)!r}; each needs its own")
        whose = getattr(meter.options, option) if option else None
        if whose in others:
            raise UserError(f"meters {others[whose].name!r} and {meter.name!r}: the same link and the same {option}")
        others[whose] = meter


def _with_options(meter: MeterConfig) -> MeterConfig:
    """Return the meter with the options of its protocol, after a check of its link and of the registers of its tariffs."""
    where = f"meter {meter.name!r}: "
    _check_tariffs(meter, where)
    _endpoint(meter.link, where)
    if meter.protocol is None:
        if meter.options is not None:
            raise UserError(f"{where}options: they need 'protocol:' ({', '.join(PROTOCOLS)}) beside them")
        return meter
    if meter.protocol not in PROTOCOLS:
        known = ", ".join(PROTOCOLS)
        raise UserError(f"{where}protocol: {meter.protocol!r} is not known; allowed: {known}, or left out")
    options = {} if meter.options is None else meter.options
    if not isinstance(options, dict):
        raise UserError(f"{where}options: expected keys and values, such as {{baud: 1200}}")
    try:
        return replace(meter, options=structure(options, PROTOCOLS[meter.protocol].options))
    except UserError as error:
        raise within(f"{where}options: ", error) from None


def _check_tariffs(meter: MeterConfig, where: str) -> None:
    """Check that the meter can have the registers of its tariffs: the energy of others would never be billed."""
    if meter.tariffs is None:
        return
    name = meter.protocol
    protocols = [PROTOCOLS[name]] if name and name in PROTOCOLS else PROTOCOLS.values()
    known = [register for protocol in protocols for register in protocol.import_registers]
    if faults := meter.tariffs.unknown_registers(known):
        raise UserError("\n".join(f"{where}tariffs: {fault}" for fault in faults))


def _place(names: list[str], place: str) -> str:
    """Replace ``meters[0]`` by ``meter 'home'``."""
    return re.sub(r"^meters\[(\d+)\]$", lambda match: names[int(match[1])], place)
