"""TLS of the server: an SSLContext from `tls_server_config`."""

from __future__ import annotations

import os
import ssl
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from meterline.errors import UserError
from meterline.web.http.web_config import Tls

_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_CLIENTS = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_CIPHERS_BEFORE_TLS12 = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:@SECLEVEL=0"
"""TLS 1.0 and 1.1 sign with SHA-1, which OpenSSL accepts at security level 0 only."""


def context(tls: Tls) -> ssl.SSLContext:
    """Make the server's SSLContext.

    Args:
        tls: The checked section `tls_server_config`.

    Raises:
        UserError: A certificate or key is not usable. The text names the configuration key and the file, and repeats none of
            their content.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # About TLS 1.0 and 1.1, which the configuration asks for.
        made.minimum_version = _VERSIONS[tls.min_version]
        made.maximum_version = _VERSIONS[tls.max_version]
    if tls.min_version < "TLS12":
        made.set_ciphers(_CIPHERS_BEFORE_TLS12)
    _load_pair(made, tls)
    made.verify_mode = _CLIENTS[tls.client_auth_type]
    if tls.client_ca or tls.client_ca_file:
        _load_certificates(made, *_material(tls, "client_ca"))
    return made


def _load_pair(made: ssl.SSLContext, tls: Tls) -> None:
    of_cert, cert = _material(tls, "cert")
    of_key, key = _material(tls, "key")
    _load_certificates(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), of_cert, cert)
    try:
        with _file(cert) as cert_file, _file(key) as key_file:
            made.load_cert_chain(cert_file, key_file, password=_no_password)
    except _Encrypted:
        raise UserError(
            f"{of_key}: the key is encrypted, and a server cannot ask for its password; openssl pkey writes it without one"
        ) from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise UserError(f"{of_key}: not the key of this certificate; use the key and the certificate of one pair") from None
        if error.reason and ("KEY_TOO_SMALL" in error.reason or "MD_TOO_WEAK" in error.reason):
            raise UserError(f"{of_cert}: too weak for OpenSSL; make one with RSA 2048, P-256 or more, with SHA-256") from None
        raise UserError(f"{of_key}: no private key in PEM form (-----BEGIN PRIVATE KEY-----)") from None


def _material(tls: Tls, key: str) -> tuple[str, str]:
    """Return the PEM text of a configuration key or its file, after its place in the configuration, for errors."""
    file: str | None = getattr(tls, f"{key}_file")
    if not file:
        return f"tls_server_config: {key}", getattr(tls, key)
    place = f"tls_server_config: {key}_file: {file}"
    try:
        with open(file, encoding="ascii", errors="replace") as opened:  # Comments may be in any language.
            return place, opened.read()
    except OSError as error:
        raise UserError(f"{place}: {error.strerror}") from None


def _load_certificates(made: ssl.SSLContext, place: str, text: str) -> None:
    try:
        made.load_verify_locations(cadata=text.encode("ascii", "replace").decode())
    except (ssl.SSLError, ValueError):
        raise UserError(f"{place}: no certificate in PEM form (-----BEGIN CERTIFICATE-----)") from None


@contextmanager
def _file(text: str) -> Iterator[str]:
    """Put a text into a file in memory: OpenSSL reads a pair from files only, and an inline key must not reach a disk."""
    number = os.memfd_create("pem")
    try:
        os.write(number, text.encode())
        yield f"/proc/self/fd/{number}"
    finally:
        os.close(number)


class _Encrypted(Exception):
    pass


def _no_password() -> str:
    """Raise in place of the prompt that OpenSSL would show on the terminal."""
    raise _Encrypted
