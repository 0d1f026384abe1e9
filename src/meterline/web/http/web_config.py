"""The web configuration in the format of Prometheus' exporter-toolkit (`--web.config.file`), read and checked.

Format: https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from meterline.config.structure import Lines, structure
from meterline.config.yaml_file import read, within
from meterline.errors import UserError

ClientAuth: TypeAlias = Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"]
Version: TypeAlias = Literal["TLS10", "TLS11", "TLS12", "TLS13"]


@dataclass(frozen=True, slots=True)
class Tls:
    """`tls_server_config`. Relative names of files are relative to the folder of the configuration file."""

    cert: Lines | None = None
    key: Lines | None = field(default=None, repr=False)
    client_ca: Lines | None = None
    cert_file: str | None = None
    key_file: str | None = None
    client_ca_file: str | None = None
    client_auth_type: ClientAuth = "NoClientCert"
    min_version: Version = "TLS12"
    max_version: Version = "TLS13"

    @property
    def files(self) -> tuple[str, ...]:
        """The files that the section names."""
        return tuple(filter(None, (self.cert_file, self.key_file, self.client_ca_file)))


@dataclass(frozen=True, slots=True)
class Http:
    """`http_server_config`."""

    http2: bool = True
    """Accepted and ignored: meterline serves HTTP/1.1, which every HTTP/2 client supports."""
    headers: Any = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WebConfig:
    """The checked content of the file."""

    tls_server_config: Tls | None = None
    http_server_config: Http = field(default_factory=Http)
    basic_auth_users: Any = field(default_factory=dict, repr=False)

    @property
    def protections(self) -> tuple[str, ...]:
        """The protections that the web configuration turns on."""
        tls = self.tls_server_config
        protections = {
            "TLS": tls is not None,
            "client certificates": tls is not None and tls.client_auth_type == "RequireAndVerifyClientCert",
            "passwords": bool(self.basic_auth_users),
        }
        return tuple(name for name, is_on in protections.items() if is_on)


_UNVERIFIED = "Python's ssl cannot request a certificate without verifying it; use RequireAndVerifyClientCert"
REFUSED: Mapping[tuple[str, str], str] = {
    ("tls_server_config", "cipher_suites"): "OpenSSL uses other names; its default choice is good",
    ("tls_server_config", "prefer_server_cipher_suites"): "the option orders cipher_suites, which OpenSSL chooses here",
    ("tls_server_config", "curve_preferences"): "Python's ssl cannot order curves",
    (
        "tls_server_config",
        "client_allowed_sans",
    ): "Python's ssl does not check names of clients; sign their certificates with a CA of their own",
    ("client_auth_type", "RequestClientCert"): _UNVERIFIED,
    ("client_auth_type", "RequireAnyClientCert"): _UNVERIFIED,
    ("client_auth_type", "RequireClientCert"): _UNVERIFIED,
    ("", "rate_limit"): "meterline has its own limits of connections and password checks (docs/security.md)",
}
"""(section or key, key or value) of the toolkit that meterline does not support → the reason."""

HEADERS: Mapping[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
"""Headers that may be set → their allowed values; empty: any value."""

_HASH = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
"""Cost, salt (128 bits: the last character holds two of them), digest."""
COST_MAX = 18
"""Highest accepted cost of a hash. Each step doubles the time; at 18 a check takes about 12 s, longer than a scrape waits."""


def load(path: str) -> WebConfig:
    """Read and check a file.

    Args:
        path: The YAML file of `--web.config.file`.

    Raises:
        UserError: The file is not readable or not valid: one line for each fault, with the file and the key.
    """
    document = read(path)
    try:
        return _checked(document, os.path.dirname(path))
    except UserError as error:
        raise within(f"{path}: ", error) from None


def _checked(document: Any, folder: str) -> WebConfig:
    """Return the typed configuration. UserError: all faults, one line each."""
    if not isinstance(document, dict):
        raise UserError("expected keys and values, such as basic_auth_users:")
    sections = {name: section for name, section in document.items() if section not in ("", {})}
    for name in ("tls_server_config", "http_server_config", "basic_auth_users"):
        if not isinstance(sections.get(name, {}), dict):
            raise UserError(f"{name}: expected keys and values under it, with a space after each colon")
    _refuse(sections)
    config: WebConfig = structure(sections, WebConfig)
    faults = [*_wrong_headers(config.http_server_config.headers), *_wrong_users(config.basic_auth_users)]
    if tls := config.tls_server_config:
        faults += [f"tls_server_config: {fault}" for fault in _wrong_tls(tls)]
        config = replace(config, tls_server_config=_in_folder(tls, folder))
    if faults:
        raise UserError("\n".join(faults))
    shown = {name: value for name, value in config.http_server_config.headers.items() if value}
    return replace(config, http_server_config=replace(config.http_server_config, headers=shown))


def _refuse(sections: Mapping[str, Any]) -> None:
    """Raise UserError for keys and values of the toolkit that meterline does not support."""
    faults = []
    tls = sections.get("tls_server_config", {})
    for (where, what), why in REFUSED.items():
        if where == "client_auth_type" and tls.get(where) == what:
            faults.append(f"tls_server_config: client_auth_type: {what} is not supported: {why}")
        elif what in (sections.get(where, {}) if where else sections):
            place = f"{where}: {what}" if where else what
            faults.append(f"{place}: not supported: {why}; remove the key")
    if faults:
        raise UserError("\n".join(faults))


def _wrong_tls(tls: Tls) -> list[str]:
    faults = []
    for key in ("cert", "key", "client_ca"):
        inline, file = getattr(tls, key), getattr(tls, f"{key}_file")
        if inline and file:
            faults.append(f"{key} and {key}_file: set one of the two")
        if not inline and not file and key != "client_ca":
            faults.append(f"{key}_file: missing; TLS needs a certificate (cert_file or cert) and its key (key_file or key)")
        if file and "-----BEGIN" in file:
            faults.append(f"{key}_file: expected the name of a file; the text itself belongs under {key}")
    authority = tls.client_ca or tls.client_ca_file
    if authority and tls.client_auth_type == "NoClientCert":
        faults.append("client_auth_type: NoClientCert does not use client_ca; set RequireAndVerifyClientCert")
    if not authority and tls.client_auth_type != "NoClientCert":
        faults.append(f"client_auth_type: {tls.client_auth_type} needs client_ca_file or client_ca")
    if tls.max_version < tls.min_version:
        faults.append(f"max_version: {tls.max_version} is below min_version {tls.min_version}; no client could connect")
    return faults


def _in_folder(tls: Tls, folder: str) -> Tls:
    """Return the section with relative names of files resolved against `folder`."""
    cert, key, authority = (file and os.path.join(folder, file) for file in (tls.cert_file, tls.key_file, tls.client_ca_file))
    return replace(tls, cert_file=cert, key_file=key, client_ca_file=authority)


def _wrong_headers(headers: Any) -> list[str]:
    place = "http_server_config: headers: "
    if not isinstance(headers, Mapping):
        return [f"{place}expected names and values, such as X-Frame-Options: deny"] if headers else []
    faults = []
    for name, value in headers.items():
        allowed = HEADERS.get(name)
        if allowed is None:
            faults.append(f"{place}unknown header {name.partition(':')[0]!r}; allowed: {', '.join(HEADERS)}")
        elif not isinstance(value, str) or not (value.isascii() and value.isprintable()):
            faults.append(f"{place}{name}: expected one line of ASCII text")
        elif value and allowed and value not in allowed:
            faults.append(f"{place}{name}: {value!r} is not allowed; allowed: {', '.join(allowed)}")
    return faults


def _wrong_users(users: Mapping[Any, Any]) -> list[str]:
    """Return the faults of the users. No fault repeats a value, which may be a password."""
    faults = []
    for name, value in users.items():
        place = f"basic_auth_users: {name.partition(':')[0]!r}: "
        found = _HASH.fullmatch(value) if isinstance(value, str) else None
        if not name or ":" in name:
            faults.append(f"{place}expected a user's name without a colon, then a colon and a space, then the hash")
        elif not found:
            faults.append(f"{place}expected a bcrypt hash ($2y$10$…); meterline hash-password makes one")
        elif not 4 <= int(found[1]) <= COST_MAX:
            faults.append(f"{place}a hash of cost {int(found[1])}; allowed: 4 to {COST_MAX}; meterline hash-password uses 10")
    return faults
