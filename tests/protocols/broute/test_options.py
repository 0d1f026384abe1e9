"""What the configuration of a B-route meter may say; its ID and password are told to nobody."""

from __future__ import annotations

import pickle
import traceback
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.decoder_contract import fuzz

from meterline.config.schema import Config, load
from meterline.errors import UserError
from meterline.protocols.broute.options import Options, secret

ID, PASSWORD = "0000ABCD12345678FEDC9876A1B2C3D4", "7QK2ZX9WMB4T"
OTHER_ID = "0000ABCD12345678FEDC9876A1B2C3D5"
LENGTHS = {
    "id": (32, "0-9 and A-F", "0123456789ABCDEF"),
    "password": (12, "0-9 and A-Z", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
}
NAMES = pytest.mark.parametrize("name", LENGTHS)
RIGHT = {"id": ID, "password": PASSWORD}


def options(**facts: Any) -> Options:
    return Options(**(RIGHT | facts))


def fault(**facts: Any) -> str:
    """Why these are refused. Neither the message nor a traceback holds the half of a secret."""
    with pytest.raises(ValueError, match=": ") as caught:
        Options(**facts)
    for text in (str(caught.value), repr(caught.value), "".join(traceback.format_exception(caught.value))):
        assert not holds_a_secret(text)
    return str(caught.value)


def holds_a_secret(text: str) -> bool:
    plain = text.upper().replace(" ", "").replace("-", "")
    return any(word[place : place + 6] in plain for word in (ID, PASSWORD) for place in range(len(word) - 5))


def expected(name: str, size: int, foreign: bool) -> str:
    length, words, _ = LENGTHS[name]
    end = ", and others than those" if foreign else ""
    return f"{name}: expected {length} characters {words}, as the grid company wrote them; this one has {size} characters{end}"


class TestSecret:
    @pytest.mark.parametrize(
        "written",
        [
            ID,
            ID.lower(),
            "0000 ABCD 1234 5678 FEDC 9876 A1B2 C3D4",
            "0000-abcd-1234-5678-fedc-9876-a1b2-c3d4",
            f"  {ID}\r\n",
            f"\t{ID[:16]}\n{ID[16:]}\n",
            f"{ID[:8]} - {ID[8:]}",
            f"{ID[:8]}\u3000{ID[8:16]}\u00a0{ID[16:]}",
        ],
    )
    def test_an_id_is_taken_as_letters_and_web_pages_write_it(self, written: str) -> None:
        assert options(id=written).id == ID

    @pytest.mark.parametrize("written", [PASSWORD, PASSWORD.lower(), "7QK2 ZX9W MB4T", "7qk2-zx9w-mb4t\n", " 7QK2ZX9WMB4T "])
    def test_a_password_too(self, written: str) -> None:
        assert options(password=written).password == PASSWORD

    @NAMES
    @pytest.mark.parametrize("change", [-12, -1, 1, 100])
    def test_a_wrong_length_is_told_and_nothing_else(self, name: str, change: int) -> None:
        wrong = (RIGHT[name] * 9)[: len(RIGHT[name]) + change]
        missing = f"{name}: missing; or {name}_file"
        assert fault(**(RIGHT | {name: wrong})) == (expected(name, len(wrong), False) if wrong else missing)

    @NAMES
    @pytest.mark.parametrize("letter", ["!", "_", "é", "\u2010", "\uff10", "\0", "\x1b", "😀", "'"])
    def test_a_foreign_letter_is_told_but_not_which(self, name: str, letter: str) -> None:
        wrong = RIGHT[name][:-1] + letter
        assert fault(**(RIGHT | {name: wrong})) == expected(name, len(wrong), True)

    def test_an_id_has_no_letters_beyond_f_but_a_password_may(self) -> None:
        assert fault(id=ID[:-1] + "G", password=PASSWORD) == expected("id", 32, True)
        assert options(password="GZ" * 6).password == "GZ" * 6

    @NAMES
    def test_only_spaces_and_hyphens_are_no_characters_at_all(self, name: str) -> None:
        assert fault(**(RIGHT | {name: " - - "})) == expected(name, 0, False)

    @NAMES
    def test_without_it_the_file_is_offered_and_both_are_refused(self, name: str) -> None:
        left = {key: value for key, value in RIGHT.items() if key != name}
        assert fault(**left) == f"{name}: missing; or {name}_file"
        assert fault(**left, **{f"{name}_file": ""}) == f"{name}: missing; or {name}_file"
        assert fault(**RIGHT, **{f"{name}_file": "/nowhere"}) == f"{name}: expected either {name} or {name}_file"

    def test_neither_id_nor_password_is_shown_anywhere(self) -> None:
        shown = options(channel="21", mac="02AB5C00D1E2F301")
        for text in (repr(shown), str(shown), f"{shown}", f"{shown!r}", repr([shown]), repr({"x": shown})):
            assert not holds_a_secret(text)
            assert "id=" not in text.replace("pan_id=", "")
            assert "password=" not in text

    @fuzz
    @given(st.sampled_from(["id", "password"]), st.text(min_size=1, max_size=40))
    @example("password", "ı" * 12)
    @example("password", "straße-straße")
    def test_fuzz_any_text_is_taken_or_refused_by_its_length_and_alphabet_alone(self, name: str, text: str) -> None:
        length, _, alphabet = LENGTHS[name]
        clean = "".join(letter for letter in text if not letter.isspace() and letter != "-")
        clean = clean.upper() if clean.isascii() else clean  # a dotless i is no capital I
        foreign = not set(clean) <= set(alphabet)
        if len(clean) == length and not foreign:
            assert secret(name, text) == clean
            return
        with pytest.raises(ValueError, match=": ") as caught:
            secret(name, text)
        assert str(caught.value) == expected(name, len(clean), foreign)


class TestFile:
    @pytest.fixture(autouse=True)
    def no_credentials(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)

    @staticmethod
    def written(folder: Path, data: bytes = f"{ID[:16]}-{ID[16:].lower()}\r\n".encode()) -> str:
        file = folder / "broute-id"
        file.write_bytes(data)
        return str(file)

    def test_a_file_holds_it_with_line_end_spaces_and_hyphens(self, tmp_path: Path) -> None:
        assert Options(id_file=self.written(tmp_path), password=PASSWORD).id == ID

    def test_a_bare_name_is_one_of_systemds_credentials(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.written(tmp_path)
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
        monkeypatch.chdir("/")
        assert Options(id_file="broute-id", password=PASSWORD).id == ID

    def test_a_whole_path_is_no_credential(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/nowhere")
        assert Options(id_file=self.written(tmp_path), password=PASSWORD).id == ID

    def test_without_systemd_a_bare_name_is_here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.written(tmp_path)
        monkeypatch.chdir(tmp_path)
        assert Options(id_file="broute-id", password=PASSWORD).id == ID

    def test_a_missing_credential_is_named_with_its_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
        found = fault(id_file="broute-id", password=PASSWORD)
        assert found == f"id_file: {tmp_path}/broute-id: No such file or directory"

    def test_what_cannot_be_read_says_why(self, tmp_path: Path) -> None:
        loop = tmp_path / "loop"
        loop.symlink_to(loop)
        below = f"{self.written(tmp_path)}/x"
        for path, why in (
            (tmp_path, "Is a directory"),
            (loop, "Too many levels of symbolic links"),
            (below, "Not a directory"),
        ):
            assert fault(id=ID, password_file=str(path)) == f"password_file: {path}: {why}"

    @pytest.mark.parametrize("data", [b"\xef\xbb\xbf" + ID.encode(), ID.encode("utf-16"), b"\xff" * 32, "０".encode() * 32])
    def test_a_file_in_another_encoding_says_so(self, tmp_path: Path, data: bytes) -> None:
        path = self.written(tmp_path, data)
        assert fault(id_file=path, password=PASSWORD) == f"id_file: {path}: holds other characters than 0-9 and A-Z"

    @pytest.mark.parametrize(("data", "size"), [(b"", 0), (b"\n", 0), (ID[1:].encode(), 31), (ID.encode() * 2, 64)])
    def test_a_file_with_another_length_says_it(self, tmp_path: Path, data: bytes, size: int) -> None:
        assert fault(id_file=self.written(tmp_path, data), password=PASSWORD) == expected("id", size, False)

    def test_what_is_read_from_a_file_is_not_shown(self, tmp_path: Path) -> None:
        assert not holds_a_secret(repr(Options(id_file=self.written(tmp_path), password=PASSWORD)))


class TestFacts:
    @pytest.mark.parametrize("interval", [0.1, 9.5, -30.0])
    def test_an_interval_is_at_least_ten_seconds(self, interval: float) -> None:
        assert fault(**RIGHT, interval=interval) == f"interval: {interval:g} is not allowed; allowed: 10 seconds or more"

    def test_ten_seconds_are_taken_and_thirty_are_usual(self) -> None:
        assert options(interval=10.0).interval == 10
        assert options().interval == 30

    @pytest.mark.parametrize("channel", ["21", "2F", "2f", "30", "3C", "3c"])
    def test_a_channel_is_taken_as_a_scan_shows_it(self, channel: str) -> None:
        assert options(channel=channel).channel == channel.upper()

    @pytest.mark.parametrize("channel", ["20", "3D", "3F", "40", "1", "221", "33 ", "0x21", "21\n", "２１", ""])
    def test_other_channels_are_refused(self, channel: str) -> None:
        words = "21 to 3C (hexadecimal, as a scan shows it)"
        assert fault(**RIGHT, channel=channel) == f"channel: {channel!r} is not allowed; allowed: {words}"

    def test_pan_id_and_mac_are_taken_as_a_scan_shows_them(self) -> None:
        found = options(pan_id="8f3a", mac="02ab5c00d1e2f301")
        assert (found.pan_id, found.mac) == ("8F3A", "02AB5C00D1E2F301")

    @pytest.mark.parametrize("pan_id", ["8F3", "8F3A0", "0x8F3A", "8F3G", "8F3A\n", ""])
    def test_another_pan_id_is_refused(self, pan_id: str) -> None:
        words = "four hexadecimal digits, as a scan shows them"
        assert fault(**RIGHT, pan_id=pan_id) == f"pan_id: {pan_id!r} is not allowed; allowed: {words}"

    @pytest.mark.parametrize("mac", ["02AB5C00D1E2F30", "02AB5C00D1E2F3011", "02:AB:5C:00:D1:E2:F3:01", "02AB5C00D1E2F30G", ""])
    def test_another_mac_is_refused(self, mac: str) -> None:
        words = "16 hexadecimal digits, as a scan shows them"
        assert fault(**RIGHT, mac=mac) == f"mac: {mac!r} is not allowed; allowed: {words}"

    def test_without_them_the_radio_is_scanned_and_the_flash_is_left_alone(self) -> None:
        found = options()
        assert (found.channel, found.pan_id, found.mac, found.write_flash) == (None, None, None, False)

    def test_the_pairing_id_is_the_end_of_the_id(self) -> None:
        assert options(id=f"{ID[:24]}-a1b2-c3d4").pairing_id == "A1B2C3D4"

    def test_options_are_equal_when_they_say_the_same(self) -> None:
        assert options() == options(id=ID.lower(), password="7qk2-zx9w-mb4t")
        assert options() != options(id=OTHER_ID)
        assert hash(options()) == hash(options(id=ID.lower()))
        assert pickle.loads(pickle.dumps(options())) == options()

    @pytest.mark.parametrize(
        ("interval", "meters", "seconds"),
        [(10.0, 1, 30), (30.0, 1, 90), (60.0, 1, 180), (30.0, 2, 150), (10.0, 2, 150), (60.0, 2, 180), (30.0, 5, 375)],
    )
    def test_a_value_lives_for_three_polls_or_three_rounds_over_all_meters(
        self, interval: float, meters: int, seconds: float
    ) -> None:
        assert options(interval=interval).stale_after(meters) == seconds


class TestConfiguration:
    @staticmethod
    def file(folder: Path, text: str) -> str:
        path = folder / "meterline.yml"
        path.write_text(
            f"meters:\n  - name: home\n    link: /dev/ttyUSB0\n    protocol: broute\n    options: {text}\n", "utf-8"
        )
        return str(path)

    def load(self, folder: Path, text: str) -> Any:
        return load(self.file(folder, text)).meters[0].options

    def refused(self, folder: Path, text: str) -> str:
        """The message, after the file's name."""
        path = self.file(folder, text)
        with pytest.raises(UserError) as caught:
            load(path)
        found = str(caught.value)
        assert found.startswith(f"{path}: meter 'home': options: ")
        assert "\n" not in found
        assert not holds_a_secret(found)
        return found.removeprefix(f"{path}: meter 'home': options: ")

    def test_secrets_come_from_the_environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BROUTE_ID", "0000 ABCD 1234 5678 FEDC 9876 A1B2 C3D4")
        monkeypatch.setenv("BROUTE_PASSWORD", PASSWORD.lower())
        assert self.load(tmp_path, "{id: '${BROUTE_ID}', password: '${BROUTE_PASSWORD}'}") == options()

    def test_an_unquoted_id_of_digits_stays_text(self, tmp_path: Path) -> None:
        found = self.load(tmp_path, "{id: 00001234567890123456789012345678, password: 012345678901}")
        assert (found.id, found.password) == ("00001234567890123456789012345678", "012345678901")

    def test_what_yaml_takes_for_a_number_stays_text_too(self, tmp_path: Path) -> None:
        found = self.load(tmp_path, f"{{id: {ID}, password: 123456789E10, pan_id: 1E10, channel: 21, mac: 0000000000000001}}")
        assert (found.password, found.pan_id, found.channel, found.mac) == ("123456789E10", "1E10", "21", "0" * 15 + "1")

    def test_an_empty_mapping_misses_the_id(self, tmp_path: Path) -> None:
        assert self.refused(tmp_path, "{}") == "id: missing; or id_file"

    def test_no_options_at_all_miss_it_too(self, tmp_path: Path) -> None:
        path = tmp_path / "x.yml"
        path.write_text("meters: [{name: home, link: /dev/ttyUSB0, protocol: broute}]")
        with pytest.raises(UserError) as caught:
            load(str(path))
        assert str(caught.value) == f"{path}: meter 'home': options: id: missing; or id_file"

    def test_a_wrong_secret_is_not_repeated(self, tmp_path: Path) -> None:
        assert self.refused(tmp_path, f"{{id: {ID}0, password: {PASSWORD}}}") == expected("id", 33, False)
        assert self.refused(tmp_path, f"{{id: {ID}, password: '{PASSWORD}!'}}") == expected("password", 13, True)

    def test_both_a_secret_and_its_file_are_refused(self, tmp_path: Path) -> None:
        found = self.refused(tmp_path, f"{{id: {ID}, id_file: /x, password: {PASSWORD}}}")
        assert found == "id: expected either id or id_file"

    def test_a_short_interval_is_refused(self, tmp_path: Path) -> None:
        found = self.refused(tmp_path, f"{{id: {ID}, password: {PASSWORD}, interval: 5}}")
        assert found == "interval: 5 is not allowed; allowed: 10 seconds or more"

    def test_an_empty_variable_is_no_id(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BROUTE_ID", "")
        assert self.refused(tmp_path, f"{{id: '${{BROUTE_ID}}', password: {PASSWORD}}}").startswith("id: ")

    @pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\t"])
    def test_a_variable_with_a_line_end_is_taken(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
        monkeypatch.setenv("BROUTE_ID", ID + end)
        assert self.load(tmp_path, f"{{id: '${{BROUTE_ID}}', password: {PASSWORD}}}") == options()

    @pytest.mark.parametrize(
        "text",
        [
            f"{{id: [{ID}], password: {PASSWORD}}}",
            f"{{id: {{{ID}: x}}, password: {PASSWORD}}}",
            f'{{id: "{ID}\\0", password: {PASSWORD}}}',
        ],
        ids=["list", "mapping", "not_printable"],
    )
    def test_an_id_that_is_no_text_is_not_repeated(self, tmp_path: Path, text: str) -> None:
        self.refused(tmp_path, text)

    def test_a_forgotten_space_after_the_colon_does_not_print_the_id(self, tmp_path: Path) -> None:
        self.refused(tmp_path, f"{{id:{ID}, password: {PASSWORD}}}")

    def test_nothing_printed_of_a_configuration_holds_id_or_password(self, tmp_path: Path) -> None:
        found: Config = load(self.file(tmp_path, f"{{id: {ID}, password: {PASSWORD}}}"))
        assert not holds_a_secret(repr(found) + str(found.meters))


class TestSharing:
    @staticmethod
    def load(folder: Path, first: str, second: str) -> Config:
        path = folder / "meterline.yml"
        meters = (
            f"{{name: {name}, link: /dev/x, protocol: broute, options: {text}}}" for name, text in (("a", first), ("b", second))
        )
        path.write_text(f"meters: [{', '.join(meters)}]")
        return load(str(path))

    def test_meters_with_other_ids_share_a_module(self, tmp_path: Path) -> None:
        both = [f"{{id: {one}, password: {PASSWORD}}}" for one in (ID, OTHER_ID)]
        assert [meter.options.id for meter in self.load(tmp_path, *both).meters] == [ID, OTHER_ID]

    def test_the_same_id_written_otherwise_is_one_meter(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="meters 'a' and 'b': the same link and the same id"):
            self.load(tmp_path, f"{{id: {ID}, password: {PASSWORD}}}", f"{{id: {ID.lower()}, password: {PASSWORD}}}")

    @pytest.mark.parametrize("more", ["interval: 60", "channel: 21", "write_flash: true"])
    def test_the_same_id_with_other_options_is_one_meter(self, tmp_path: Path, more: str) -> None:
        with pytest.raises(UserError, match="the same link and the same id"):
            self.load(tmp_path, f"{{id: {ID}, password: {PASSWORD}}}", f"{{id: {ID}, password: {PASSWORD}, {more}}}")

    def test_the_third_meter_is_not_the_second(self, tmp_path: Path) -> None:
        path = tmp_path / "meterline.yml"
        ids = (ID, OTHER_ID, OTHER_ID)
        meters = (
            f"{{name: m{n}, link: /dev/x, protocol: broute, options: {{id: {one}, password: {PASSWORD}}}}}"
            for n, one in enumerate(ids)
        )
        path.write_text(f"meters: [{', '.join(meters)}]")
        with pytest.raises(UserError, match="the same link and the same id"):
            load(str(path))
