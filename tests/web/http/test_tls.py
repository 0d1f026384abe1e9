"""TLS by real handshakes: what is presented, what is demanded, and what changes while the server runs."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import ssl
import warnings
from pathlib import Path

import pytest
import trustme
from support import certificates
from support.http_client import CLOSED, ask, connected
from support.https_server import serving
from support.live_meters import logged

from meterline.web.http import server as server_module
from meterline.web.http.reloading import Rules

PAIR = "cert_file: server.pem, key_file: server-key.pem"


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    """Of the certificates beside the file."""
    return certificates.make(tmp_path)


def write(folder: Path, text: str) -> Path:
    file = folder / "web.yml"
    file.write_text(text, encoding="utf-8")
    return file


def test_pages_are_served_over_tls_and_only_so(tmp_path: Path, authority: trustme.CA) -> None:
    async def test() -> None:
        async with serving(write(tmp_path, f"tls_server_config: {{{PAIR}}}")) as port:
            answer = await ask(port, certificates.client(authority), "/metrics")
            assert (answer.status, answer.version) == (200, "TLSv1.3")
            assert await ask(port) == CLOSED

    asyncio.run(test())


def test_a_pair_written_inline_is_served(tmp_path: Path, authority: trustme.CA) -> None:
    pair = authority.issue_cert("localhost")
    indented = [pem.bytes().decode().replace("\n", "\n    ") for pem in (pair.cert_chain_pems[0], pair.private_key_pem)]
    file = write(tmp_path, "tls_server_config:\n  cert: |\n    {}\n  key: |\n    {}\n".format(*indented))

    async def test() -> None:
        async with serving(file) as port:
            answer = await ask(port, certificates.client(authority))
            assert answer.certificate == ssl.PEM_cert_to_DER_cert(pair.cert_chain_pems[0].bytes().decode())

    asyncio.run(test())


def test_a_certificate_replaced_on_disk_is_served_without_a_restart(tmp_path: Path, authority: trustme.CA) -> None:
    async def test() -> None:
        client = certificates.client(authority)
        async with serving(write(tmp_path, f"tls_server_config: {{{PAIR}}}")) as port, connected(port, client) as kept:
            first = await kept.ask()
            certificates.renew(authority, tmp_path)
            second = await ask(port, client)
            assert second.status == 200
            assert second.certificate == ssl.PEM_cert_to_DER_cert((tmp_path / "server.pem").read_text())
            assert second.certificate != first.certificate
            assert (await kept.ask()).certificate == first.certificate

    asyncio.run(test())


def test_a_bad_certificate_leaves_the_old_one_in_force_and_is_said_once(
    tmp_path: Path, authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        client = certificates.client(authority)
        async with serving(write(tmp_path, f"tls_server_config: {{{PAIR}}}")) as port:
            first = await ask(port, client)
            key = (tmp_path / "server-key.pem").read_text()
            for text in ("not a key", "still not"):
                (tmp_path / "server-key.pem").write_text(text)
                for _ in range(3):
                    assert (await ask(port, client)).certificate == first.certificate
            place = f"{tmp_path}/web.yml: tls_server_config: key_file: {tmp_path}/server-key.pem"
            wrong = f"{place}: no private key in PEM form (-----BEGIN PRIVATE KEY-----)"
            assert logged(caplog) == [f"{wrong}; the previous web configuration stays in force"]
            (tmp_path / "server-key.pem").write_text(key)
            caplog.set_level(logging.INFO, "meterline")
            assert (await ask(port, client)).status == 200
            assert logged(caplog)[1:] == [f"{tmp_path}/web.yml: in force: TLS"]

    asyncio.run(test())


def test_what_cannot_be_read_for_want_of_files_is_read_later(
    tmp_path: Path, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none_left(_: str) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    rules = Rules(str(write(tmp_path, f"tls_server_config: {{{PAIR}}}")))
    first = rules.context
    with monkeypatch.context() as patch:
        patch.setattr(os, "memfd_create", none_left)
        certificates.renew(authority, tmp_path)
        rules.renew()
        rules.renew()
        assert rules.context is first
    rules.renew()
    assert rules.context is not first
    assert logged(caplog) == [f"{tmp_path}/web.yml: Too many open files; the previous web configuration stays in force"]


def test_a_pair_of_which_one_half_is_new_is_served_once_the_other_is_too(tmp_path: Path, authority: trustme.CA) -> None:
    async def test() -> None:
        client = certificates.client(authority)
        async with serving(write(tmp_path, f"tls_server_config: {{{PAIR}}}")) as port:
            first = await ask(port, client)
            pair = authority.issue_cert("localhost")
            pair.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
            assert (await ask(port, client)).certificate == first.certificate
            pair.private_key_pem.write_to_path(tmp_path / "server-key.pem")
            assert (await ask(port, client)).certificate not in (None, first.certificate)

    asyncio.run(test())


def test_a_file_that_the_new_configuration_names_may_come_later(tmp_path: Path, authority: trustme.CA) -> None:
    async def test() -> None:
        client = certificates.client(authority)
        file = write(tmp_path, f"tls_server_config: {{{PAIR}}}")
        async with serving(file) as port:
            first = await ask(port, client)
            write(tmp_path, "tls_server_config: {cert_file: later.pem, key_file: later-key.pem}")
            assert (await ask(port, client)).certificate == first.certificate
            pair = authority.issue_cert("localhost")
            pair.private_key_pem.write_to_path(tmp_path / "later-key.pem")
            pair.cert_chain_pems[0].write_to_path(tmp_path / "later.pem")
            assert (await ask(port, client)).certificate not in (None, first.certificate)

    asyncio.run(test())


def test_tls_can_be_added_while_it_runs_and_not_taken_away(
    tmp_path: Path, authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        client = certificates.client(authority)
        async with serving(write(tmp_path, "http_server_config: {}")) as port:
            assert (await ask(port)).status == 200
            write(
                tmp_path, f"tls_server_config: {{{PAIR}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem}}"
            )
            own = certificates.client(authority, authority.issue_cert("prometheus"))
            assert (await ask(port, own)).status == 200
            write(tmp_path, f"tls_server_config: {{{PAIR}}}")
            assert await ask(port, client) == CLOSED
            write(tmp_path, "")
            assert await ask(port) == CLOSED
            assert (await ask(port, own)).status == 200

    asyncio.run(test())
    ending = "a protection is turned off by a restart only; the previous web configuration stays in force"
    assert [record.getMessage() for record in caplog.records if record.name == "meterline"] == [
        f"{tmp_path}/web.yml: client certificates removed; {ending}",
        f"{tmp_path}/web.yml: TLS and client certificates removed; {ending}",
    ]


@pytest.mark.parametrize(
    ("kind", "with_none", "with_ours", "with_anothers"),
    [("NoClientCert", 200, 200, 200), ("VerifyClientCertIfGiven", 200, 200, 0), ("RequireAndVerifyClientCert", 0, 200, 0)],
)
def test_client_certificates_are_taken_and_refused(
    tmp_path: Path, authority: trustme.CA, kind: str, with_none: int, with_ours: int, with_anothers: int
) -> None:
    async def test() -> None:
        ca = "" if kind == "NoClientCert" else ", client_ca_file: ca.pem"
        async with serving(write(tmp_path, f"tls_server_config: {{{PAIR}, client_auth_type: {kind}{ca}}}")) as port:
            ours, anothers = authority.issue_cert("prometheus"), trustme.CA().issue_cert("prometheus")
            assert (await ask(port, certificates.client(authority))).status == with_none
            assert (await ask(port, certificates.client(authority, ours))).status == with_ours
            assert (await ask(port, certificates.client(authority, anothers))).status == with_anothers

    asyncio.run(test())


def test_a_new_authority_of_clients_is_in_force_without_a_restart(tmp_path: Path, authority: trustme.CA) -> None:
    async def test() -> None:
        demand = "client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem"
        async with serving(write(tmp_path, f"tls_server_config: {{{PAIR}, {demand}}}")) as port:
            new = trustme.CA()
            own = certificates.client(authority, new.issue_cert("prometheus"))
            assert await ask(port, own) == CLOSED
            new.cert_pem.write_to_path(tmp_path / "ca.pem")
            assert (await ask(port, own)).status == 200

    asyncio.run(test())


def old(authority: trustme.CA, least: ssl.TLSVersion, most: ssl.TLSVersion) -> ssl.SSLContext:
    """A client that would speak every version."""
    context = certificates.client(authority)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = least, most
    return context


NAMES = {"TLSv1": ssl.TLSVersion.TLSv1, "TLSv1.1": ssl.TLSVersion.TLSv1_1}
NAMES |= {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


@pytest.mark.parametrize(
    ("keys", "spoken"),
    [
        ("", {"TLSv1.2", "TLSv1.3"}),
        (", min_version: TLS13", {"TLSv1.3"}),
        (", max_version: TLS12", {"TLSv1.2"}),
        (", min_version: TLS10", {"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"}),
        (", min_version: TLS11, max_version: TLS11", {"TLSv1.1"}),
    ],
)
def test_versions_are_spoken_as_configured(tmp_path: Path, authority: trustme.CA, keys: str, spoken: set[str]) -> None:
    async def test() -> None:
        async with serving(write(tmp_path, f"tls_server_config: {{{PAIR}{keys}}}")) as port:
            answers = {name: await ask(port, old(authority, version, version)) for name, version in NAMES.items()}
            assert {name for name, answer in answers.items() if answer.status == 200} == spoken
            assert all(answer.version == name for name, answer in answers.items() if answer.status)

    asyncio.run(test())


def test_a_handshake_that_hangs_is_dropped_and_holds_nobody_up(
    tmp_path: Path, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    hello = bytes.fromhex("1603010200010001fc0303")  # the first bytes of a ClientHello

    async def test() -> None:
        file = write(tmp_path, f"tls_server_config: {{{PAIR}}}")
        async with serving(file) as port, connected(port), connected(port) as halfway:
            halfway.send(hello)
            assert (await ask(port, certificates.client(authority))).status == 200
        monkeypatch.setattr(server_module, "HEADER_TIMEOUT_S", 0.3)
        async with serving(file) as port, connected(port) as silent, connected(port) as halfway:
            halfway.send(hello)
            assert await silent.closed()
            assert await halfway.closed()

    asyncio.run(test())


def test_the_files_headers_are_on_every_answer(tmp_path: Path) -> None:
    file = write(
        tmp_path, "http_server_config: {headers: {X-Frame-Options: deny, Content-Security-Policy: default-src 'self'}}"
    )

    async def test() -> None:
        async with serving(file) as port:
            for path in ("/", "/metrics", "/-/healthy", "/-/ready", "/nothing"):
                headers = (await ask(port, path=path)).headers
                assert (headers["X-Frame-Options"], headers["Content-Security-Policy"]) == ("deny", "default-src 'self'")
            write(tmp_path, "http_server_config: {headers: {X-Frame-Options: sameorigin}}")
            headers = (await ask(port)).headers
            assert headers["X-Frame-Options"] == "sameorigin"
            assert "Content-Security-Policy" not in headers

    asyncio.run(test())


def test_reading_a_pair_leaves_no_file_open(tmp_path: Path, authority: trustme.CA) -> None:
    before = len(os.listdir("/proc/self/fd"))
    Rules(str(write(tmp_path, f"tls_server_config: {{{PAIR}}}")))
    assert len(os.listdir("/proc/self/fd")) == before
