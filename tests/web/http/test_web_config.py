"""The web configuration file: every key is honoured, or refused with its reason; nothing secret is repeated."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from support import certificates
from support.live_meters import command

from meterline.errors import UserError
from meterline.extras import how_to_install
from meterline.web.http.reloading import Rules
from meterline.web.http.web_config import HEADERS, REFUSED, Http, Tls, load

FILES = Path(__file__).parent / "web_config"
INVALID = sorted(FILES.glob("invalid-*.yml"))
GOOD = sorted(FILES.glob("good-*.yml"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With certificates of every kind."""
    made = tmp_path_factory.mktemp("certificates")
    certificates.make(made)
    certificates.make_weak(made)
    return made


def place(file: Path, folder: Path) -> Path:
    """Put a file beside the certificates; a line ``@name`` becomes what is in that file."""
    text = re.sub(
        r"^( *)@(.+)$",
        lambda match: "\n".join(match[1] + line for line in (folder / match[2]).read_text().splitlines()),
        file.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    placed = folder / "web.yml"
    placed.write_text(text, encoding="utf-8")
    return placed


@pytest.mark.parametrize("file", INVALID, ids=lambda file: file.stem.removeprefix("invalid-"))
def test_an_invalid_file_says_file_key_and_remedy_in_one_line(file: Path, folder: Path) -> None:
    expected = file.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ").replace("FOLDER", str(folder))
    placed = place(file, folder)
    with pytest.raises(UserError) as caught:
        Rules(str(placed))
    assert str(caught.value) == f"{placed}: {expected}"
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem.removeprefix("good-"))
def test_a_good_file_is_in_force(file: Path, folder: Path) -> None:
    expected = file.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    assert (", ".join(Rules(str(place(file, folder))).protections) or "nothing") == expected


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem.removeprefix("good-"))
def test_what_we_take_the_toolkit_takes_too(file: Path, folder: Path) -> None:
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("no promtool here: it is in Debian's package prometheus")
    run = [promtool, "check", "web-config", str(place(file, folder))]
    told = subprocess.run(run, capture_output=True, text=True, check=False)
    if "inline" in file.name and "not found in type web.TLSConfig" in told.stderr:
        pytest.skip("this promtool is older than certificates inline")
    assert told.returncode == 0, told.stderr


def test_there_is_a_good_and_an_invalid_file_for_each_key() -> None:
    keys = [item.name for kind in (Tls, Http) for item in fields(kind)] + list(HEADERS)
    for files in (GOOD, INVALID):
        text = "\n".join(file.read_text(encoding="utf-8") for file in files)
        for key in keys:
            assert f"{key}:" in text, key


def test_there_is_a_file_for_each_key_of_the_toolkit_that_is_refused() -> None:
    bodies = [file.read_text(encoding="utf-8").partition("\n")[2] for file in INVALID if "refused" in file.name]
    for _, what in REFUSED:
        assert any(re.search(rf"\b{what}\b", body) for body in bodies), what


def test_every_fault_has_a_line_of_its_own(folder: Path) -> None:
    file = folder / "web.yml"
    file.write_text("basic_auth_users: {alice: SECRET, bob: SECRET}\ntls_server_config: {min_version: TLS13}")
    with pytest.raises(UserError) as caught:
        load(str(file))
    assert [line.split(": ")[1] for line in str(caught.value).splitlines()] == ["basic_auth_users"] * 2 + [
        "tls_server_config"
    ] * 2


def test_no_secret_is_in_a_repr(folder: Path) -> None:
    users = repr(load(str(place(FILES / "good-users.yml", folder))))
    inline = repr(load(str(place(FILES / "good-cert-and-key-inline.yml", folder))))
    assert "$2" not in users
    assert "PRIVATE" not in inline


def test_relative_names_are_those_of_the_files_own_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    placed = place(FILES / "good-cert-file-and-key-file.yml", folder)
    tls = load(str(placed)).tls_server_config
    assert tls
    assert tls.files == (str(folder / "server.pem"), str(folder / "server-key.pem"))
    monkeypatch.chdir(folder)
    assert Rules("web.yml").protections == ("TLS",)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_certificates_may_have_comments_in_any_language(folder: Path, encoding: str) -> None:
    for name in ("server.pem", "server-key.pem", "ca.pem"):
        (folder / f"é-{name}").write_bytes("# Autorité\n".encode(encoding) + (folder / name).read_bytes())
    demand = "client_auth_type: RequireAndVerifyClientCert, client_ca_file: é-ca.pem"
    file = folder / "web.yml"
    file.write_text(f"tls_server_config: {{cert_file: é-server.pem, key_file: é-server-key.pem, {demand}}}", encoding="utf-8")
    assert Rules(str(file)).protections == ("TLS", "client certificates")
    indented = "# Autorité\n    " + (folder / "server.pem").read_text().replace("\n", "\n    ")
    file.write_text(f"tls_server_config:\n  key_file: server-key.pem\n  cert: |\n    {indented}", encoding="utf-8")
    assert Rules(str(file)).protections == ("TLS",)


def test_brackets_without_end_are_one_line(folder: Path) -> None:
    file = folder / "web.yml"
    file.write_text("[" * 5000)
    with pytest.raises(UserError, match="brackets are nested too deeply"):
        Rules(str(file))


def test_a_blank_header_is_not_set(folder: Path) -> None:
    headers = Rules(str(place(FILES / "good-headers.yml", folder))).headers
    assert set(headers) == set(HEADERS) - {"X-XSS-Protection"}


def test_users_without_bcrypt_are_one_line_that_says_how_to_install_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bcrypt", None)
    placed = place(FILES / "good-users.yml", folder)
    with pytest.raises(UserError) as caught:
        Rules(str(placed))
    remedy = f"bcrypt is not installed; {how_to_install('auth', 'bcrypt', 'python3-bcrypt')}"
    assert str(caught.value) == f"{placed}: basic_auth_users: {remedy}"


def test_tls_needs_no_bcrypt(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bcrypt", None)
    assert Rules(str(place(FILES / "good-cert-file-and-key-file.yml", folder))).protections == ("TLS",)


def test_a_bad_file_ends_the_program_before_anything_is_read(folder: Path) -> None:
    placed = place(FILES / "invalid-no-key.yml", folder)
    ended = command("run", "/dev/null", "--web.config.file", str(placed))
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"meterline: {placed}: tls_server_config: key_file: missing")
    assert len(ended.stderr.splitlines()) == 1


def test_a_missing_file_is_one_line() -> None:
    with pytest.raises(UserError, match=r"^/nowhere\.yml: No such file or directory$"):
        Rules("/nowhere.yml")
