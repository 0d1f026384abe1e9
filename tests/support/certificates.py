"""Certificates of a test's own authority, and what is wrong with some."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)


def make(folder: Path) -> trustme.CA:
    """A whole folder: server, client, another's key, an encrypted, a weak and a binary one. Returns the authority."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    key = renew(authority, folder).private_key_pem.bytes()
    authority.issue_cert("other").private_key_pem.write_to_path(folder / "other-key.pem")
    secret = load_pem_private_key(key, None).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    (folder / "encrypted-key.pem").write_bytes(secret)
    (folder / "server.der").write_bytes(ssl.PEM_cert_to_DER_cert((folder / "server.pem").read_text()))
    return authority


def make_weak(folder: Path) -> None:
    """A pair that OpenSSL does not take any more."""
    key = rsa.generate_private_key(65537, 1024)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "weak")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    (folder / "weak.pem").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    (folder / "weak-key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def renew(authority: trustme.CA, folder: Path) -> trustme.LeafCert:
    """A new certificate for the server, and its key."""
    pair = authority.issue_cert("localhost", "127.0.0.1")
    pair.private_key_pem.write_to_path(folder / "server-key.pem")
    pair.cert_chain_pems[0].write_to_path(folder / "server.pem")
    return pair


def client(authority: trustme.CA, own: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """A client that trusts the authority, and shows its own certificate where it has one."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if own:
        own.configure_cert(context)
    return context
