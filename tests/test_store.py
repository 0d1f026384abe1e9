"""What is remembered over a restart, and that nothing wrong with the file ever stops the program."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import stat
import threading
from pathlib import Path
from random import Random

import pytest

from meterline.meter.exposition import Page
from meterline.store import FILE, State, default_folder

LINK = "/dev/serial/by-id/usb-module"
MEMORY = {"home": {"channel": 49, "mac": "02AB5C00D1E2F301", "known": [1, 2.5, None, True], "name": "déjà"}}


def keep(folder: Path, link: str = LINK, memory: dict[str, object] | None = None) -> None:
    state = State(str(folder))
    state.keep(link, MEMORY if memory is None else dict(memory))
    state.close()


def recall(folder: Path, link: str = LINK) -> dict[str, object]:
    state = State(str(folder))
    try:
        return state.recall(link)
    finally:
        state.close()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert {record.levelno for record in caplog.records} <= {logging.WARNING}
    assert {record.name for record in caplog.records} <= {"meterline"}
    return [record.getMessage() for record in caplog.records]


def write_row(folder: Path, text: object) -> None:
    """What another program, or a later version, may have written."""
    file = sqlite3.connect(folder / FILE)
    with file:
        file.execute("INSERT OR REPLACE INTO memory VALUES (?, ?)", (LINK, text))
    file.close()


class TestMemory:
    def test_the_state_survives_closing(self, tmp_path: Path) -> None:
        keep(tmp_path)
        assert recall(tmp_path) == MEMORY

    def test_the_state_survives_a_program_that_was_killed(self, tmp_path: Path) -> None:
        killed = State(str(tmp_path))
        killed.keep(LINK, MEMORY)
        assert recall(tmp_path) == MEMORY
        killed.close()

    def test_each_link_has_its_own(self, tmp_path: Path) -> None:
        keep(tmp_path, "/dev/a", {"a": 1})
        keep(tmp_path, "/dev/b", {"b": 2})
        assert recall(tmp_path, "/dev/a") == {"a": 1}
        assert recall(tmp_path, "/dev/b") == {"b": 2}
        assert recall(tmp_path, "/dev/c") == {}

    def test_the_last_one_counts(self, tmp_path: Path) -> None:
        for channel in range(5):
            keep(tmp_path, memory={"channel": channel})
        assert recall(tmp_path) == {"channel": 4}

    def test_a_memory_may_become_empty(self, tmp_path: Path) -> None:
        keep(tmp_path)
        keep(tmp_path, memory={})
        assert recall(tmp_path) == {}

    def test_a_link_with_quotes_is_only_a_name(self, tmp_path: Path) -> None:
        link = "file:/x'); DROP TABLE memory; --"
        keep(tmp_path, link, {"a": 1})
        assert recall(tmp_path, link) == {"a": 1}

    @pytest.mark.parametrize("text", ["[1]", '"x"', "1", "null", "true", "", "{", "{'a': 1}", "NaN", b"\xff\xfe", 7, 1.5])
    def test_what_is_no_dictionary_is_nothing(self, tmp_path: Path, text: object) -> None:
        keep(tmp_path)
        write_row(tmp_path, text)
        assert recall(tmp_path) == {}

    def test_after_closing_nothing_is_kept_and_nothing_fails(self, tmp_path: Path) -> None:
        state = State(str(tmp_path))
        state.close()
        state.close()
        state.keep(LINK, MEMORY)
        assert state.recall(LINK) == {}

    def test_without_a_folder_nothing_is_kept(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        state = State()
        state.keep(LINK, MEMORY)
        assert shown(state) is None
        assert state.recall(LINK) == {}
        state.close()
        assert warnings(caplog) == []

    def test_a_link_whose_name_is_not_utf_8_is_taken(self, tmp_path: Path) -> None:
        link = os.fsdecode(b"file:/captures/\xe9.bin")
        keep(tmp_path, link)
        assert recall(tmp_path, link) == MEMORY


class TestTransactions:
    def test_what_is_kept_is_on_the_disk_when_it_is_said_to_be_kept(self, tmp_path: Path) -> None:
        state = State(str(tmp_path))
        state.keep(LINK, MEMORY)
        assert state._file
        (level,) = state._file.execute("PRAGMA synchronous").fetchone()
        state.close()
        assert level == 2, "FULL: a commit waits for the disk, so a power failure takes nothing of it"

    def test_one_of_another_thread_waits_for_the_end_of_the_first_and_is_none_of_it(self, tmp_path: Path) -> None:
        state, inside, kept = State(str(tmp_path)), threading.Event(), threading.Event()
        state.keep("/dev/before", MEMORY)

        def fail(file: sqlite3.Connection) -> None:
            file.execute("INSERT INTO memory VALUES ('/dev/failed', '{\"a\": 1}')")
            inside.set()
            kept.wait(0.3)
            raise sqlite3.OperationalError("the disk is full")

        def keep_another() -> None:
            inside.wait()
            state.keep("/dev/other", MEMORY)
            kept.set()

        other = threading.Thread(target=keep_another)
        other.start()
        state._do("written", fail, None)
        other.join()
        assert state.recall("/dev/failed") == {}
        assert state.recall("/dev/other") == MEMORY
        state.close()


def shown(state: State) -> str | None:
    """What /metrics says of it."""
    text = Page([], writable=state.writable if state.kept else None).text()
    found = re.search(r"^meterline_state_writable (\S+)$", text, re.MULTILINE)
    return found[1] if found else None


class TestFolder:
    def test_the_file_is_made_for_its_owner_alone(self, tmp_path: Path) -> None:
        folder = tmp_path / "state" / "meterline"
        keep(folder)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert (folder / FILE).is_file()

    def test_one_that_is_there_keeps_its_mode(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o750)
        keep(tmp_path)
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o750

    def test_one_that_cannot_be_made_is_one_warning_and_the_program_goes_on(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").touch()
        folder = str(tmp_path / "file" / "state")
        state = State(folder)
        assert shown(state) == "1.0"
        for _ in range(3):
            state.keep(LINK, MEMORY)
            assert state.recall(LINK) == {}
            assert shown(state) == "0.0"
        state.close()
        remedy = "nothing is stored for the next start. --state.dir names another folder"
        assert warnings(caplog) == [f"{folder}: the state cannot be written: Not a directory; {remedy}"]

    def test_a_file_in_its_place_is_one_warning_too(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        (tmp_path / "file").touch()
        State(str(tmp_path / "file")).keep(LINK, MEMORY)
        (text,) = warnings(caplog)
        assert text.startswith(f"{tmp_path}/file: the state cannot be written: File exists; nothing is stored")

    def test_a_folder_in_the_files_place_is_one_warning_too(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        (tmp_path / FILE).mkdir()
        state = State(str(tmp_path))
        state.keep(LINK, MEMORY)
        assert state.recall(LINK) == {}
        (text,) = warnings(caplog)
        assert text.startswith(f"{tmp_path}: the state cannot be written: unable to open database file; nothing is stored")

    def test_a_file_that_another_program_holds_is_one_warning(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        keep(tmp_path)
        state = State(str(tmp_path))
        other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        state.keep(LINK, {})
        state.keep(LINK, {})
        assert shown(state) == "0.0"
        other.execute("ROLLBACK")
        other.close()
        assert warnings(caplog) == [f"{tmp_path}: the state cannot be written now: database is locked; trying again"]
        assert recall(tmp_path) == MEMORY
        caplog.set_level(logging.INFO, "meterline")
        state.keep(LINK, {})
        assert caplog.messages[-1] == f"{tmp_path}: the state can be written again"
        assert shown(state) == "1.0"
        state.close()
        assert recall(tmp_path) == {}


class TestDamage:
    @pytest.mark.parametrize(
        "data", [b"not a database, but as long as a page\n" * 200, b"\0" * 4096, Random(1).randbytes(5000)]
    )
    def test_a_damaged_file_is_set_aside_and_a_new_one_begins(
        self, tmp_path: Path, data: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        file = tmp_path / FILE
        file.write_bytes(data)
        keep(tmp_path)
        assert recall(tmp_path) == MEMORY
        aside = file.with_suffix(".damaged")
        assert aside.read_bytes() == data
        (text,) = warnings(caplog)
        assert text.startswith(f"{file} was damaged (")
        assert text.endswith(f"): the file is renamed to {aside}, and a new one begins")

    def test_a_second_damage_replaces_the_first(self, tmp_path: Path) -> None:
        for data in (b"first" * 1000, b"second" * 1000):
            (tmp_path / FILE).write_bytes(data)
            keep(tmp_path)
        assert (tmp_path / FILE).with_suffix(".damaged").read_bytes() == b"second" * 1000

    def test_an_empty_file_is_a_new_one(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        (tmp_path / FILE).touch()
        keep(tmp_path)
        assert recall(tmp_path) == MEMORY
        assert warnings(caplog) == []

    @pytest.mark.parametrize("end", [1, 16, 100, 4095, 4097, 8191])
    def test_a_file_that_was_cut_off_stops_nothing(self, tmp_path: Path, end: int) -> None:
        keep(tmp_path)
        data = (tmp_path / FILE).read_bytes()
        (tmp_path / FILE).write_bytes(data[:end])
        assert recall(tmp_path) == {}
        keep(tmp_path, memory={"new": 1})
        assert recall(tmp_path) == {"new": 1}

    def test_damage_in_one_page_is_nothing_remembered(self, tmp_path: Path) -> None:
        for number in range(50):
            keep(tmp_path, f"/dev/{number}", {"x": "y" * 3000})
        data = (tmp_path / FILE).read_bytes()
        (tmp_path / FILE).write_bytes(data[:12288] + b"\xff" * (len(data) - 12288))
        assert all(recall(tmp_path, f"/dev/{number}") == {} for number in range(50))
        assert (tmp_path / FILE).with_suffix(".damaged").exists()

    def test_a_table_of_another_shape_is_nothing_remembered(self, tmp_path: Path) -> None:
        file = sqlite3.connect(tmp_path / FILE)
        file.execute("CREATE TABLE memory (another TEXT)")
        file.close()
        assert recall(tmp_path) == {}


class TestDefaultFolder:
    @pytest.fixture(autouse=True)
    def nothing_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("STATE_DIRECTORY", raising=False)
        monkeypatch.delenv("XDG_STATE_HOME", raising=False)
        monkeypatch.setenv("HOME", "/home/user")

    def test_systemds_comes_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/meterline")
        monkeypatch.setenv("XDG_STATE_HOME", "/state")
        assert default_folder() == "/var/lib/meterline"

    def test_of_several_of_systemds_the_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/meterline:/var/lib/other")
        assert default_folder() == "/var/lib/meterline"

    def test_the_folder_is_then_that_of_the_users_state(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_STATE_HOME", "/state")
        assert default_folder() == "/state/meterline"

    def test_the_folder_is_then_in_the_home(self) -> None:
        assert default_folder() == "/home/user/.local/state/meterline"

    def test_empty_variables_are_not_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("STATE_DIRECTORY", "")
        monkeypatch.setenv("XDG_STATE_HOME", "")
        assert default_folder() == "/home/user/.local/state/meterline"


def test_what_can_be_read_is_not_thereby_writable(tmp_path: Path) -> None:
    keep(tmp_path)
    state = State(str(tmp_path))
    assert state.recall(LINK)
    assert state._file
    state._file.execute("PRAGMA query_only = ON")
    assert not state.keep(LINK, {})
    assert not state.writable()
    assert state.recall(LINK)
    assert state.book({}, [])
    assert not state.writable()
    state._file.execute("PRAGMA query_only = OFF")
    assert state.keep(LINK, {})
    assert state.writable()
    state.close()
