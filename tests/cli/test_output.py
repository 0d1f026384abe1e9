"""Files that commands write: what was there before is not lost, and what is there is whole."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.live_meters import command, fake, program

from meterline.cli.output import output
from meterline.errors import UserError

OLD = b"an old capture" * 400


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file that somebody needs still."""
    file = tmp_path / "old.bin"
    file.write_bytes(OLD)
    return file


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """A frame."""
    file = tmp_path / "x.bin"
    file.write_bytes(fake().frame() * 3)
    return file


@pytest.mark.parametrize("link", ["/dev/serial/by-id/nobody", "tcp://127.0.0.1:1", "file:/etc/hostname", "file:/dev/null"])
def test_a_capture_of_a_link_that_does_not_open_or_says_nothing_leaves_the_old_file_as_it_was(old: Path, link: str) -> None:
    before = sorted(os.listdir(old.parent))
    for words in (["--force"], ["--force", "--baud", "1200"]):
        if words[1:] and link == "file:/etc/hostname":
            continue  # whatever it holds is captured: nobody asks what it is
        answer = command("capture", link, "-o", str(old), *words)
        assert (answer.returncode, answer.stdout) == (1, "")
        assert answer.stderr.count("\n") == 1
        assert old.read_bytes() == OLD
        assert sorted(os.listdir(old.parent)) == before, "nothing is left behind"


def test_a_file_that_exists_is_overwritten_only_with_force(old: Path, capture: Path) -> None:
    refused = command("capture", f"file:{capture}", "-o", str(old))
    assert refused.returncode == 2
    assert refused.stderr == f"meterline: {old}: the file exists; choose another name, or overwrite the file with --force\n"
    assert old.read_bytes() == OLD
    assert command("capture", f"file:{capture}", "-o", str(old), "--force").returncode == 0
    assert old.read_bytes() == capture.read_bytes()


def test_a_bundle_that_exists_is_overwritten_only_with_force_and_is_whole(old: Path, capture: Path) -> None:
    words = ("doctor", f"file:{capture}", "--web.listen-address", "127.0.0.1:0", "--bundle", str(old))
    refused = command(*words)
    assert refused.returncode == 2
    assert refused.stderr == f"meterline: {old}: the file exists; choose another name, or overwrite the file with --force\n"
    assert old.read_bytes() == OLD
    assert command(*words, "--force").returncode in (0, 1)
    assert "findings.txt" in zipfile.ZipFile(old).namelist()


def test_a_capture_is_there_from_its_first_byte_on(tmp_path: Path) -> None:
    path, file = tmp_path / "meter", tmp_path / "c.bin"
    with program("simulate", "tic", "--mode", "standard", "--pty", str(path)) as simulator:
        assert simulator.stdout
        simulator.stdout.readline()
        words = [sys.executable, "-m", "meterline", "capture", str(path), "-o", str(file)]
        quiet = {name: text for name, text in os.environ.items() if name != "PYTHONASYNCIODEBUG"}
        with subprocess.Popen(words, stderr=subprocess.PIPE, env=quiet) as capturing:
            while not file.exists():
                assert capturing.poll() is None
            size = file.stat().st_size
            while file.stat().st_size <= size:
                assert capturing.poll() is None
            capturing.terminate()
            assert capturing.stderr
            assert capturing.stderr.read().decode() == f"{file}: {file.stat().st_size} bytes\n"
            assert capturing.wait(60) == 0


def test_a_capture_may_go_to_a_pipe(capture: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "meterline", "capture", f"file:{capture}", "-o", "/dev/stdout"],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == capture.read_bytes()


def test_a_file_takes_its_name_only_when_it_is_published(tmp_path: Path) -> None:
    file = tmp_path / "x"
    with output(str(file), force=False) as out:
        out.file.write(b"one")
        assert not file.exists()
        out.publish()
        out.file.write(b" two")
    assert file.read_bytes() == b"one two"
    with pytest.raises(RuntimeError), output(str(file), force=True) as out:
        out.file.write(b"three")
        raise RuntimeError
    assert file.read_bytes() == b"one two"
    assert os.listdir(tmp_path) == ["x"]


def test_a_name_that_was_taken_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "x"
    with pytest.raises(UserError, match="the file exists"), output(str(file), force=False) as out:
        file.write_bytes(OLD)
        out.publish()
    assert file.read_bytes() == OLD
    assert os.listdir(tmp_path) == ["x"]


def test_a_file_of_the_user_beside_it_is_left_alone(tmp_path: Path, capture: Path) -> None:
    file, part = tmp_path / "y.bin", tmp_path / "y.bin.part"
    part.write_bytes(OLD)
    assert command("capture", "tcp://127.0.0.1:1", "-o", str(file)).returncode == 1
    assert part.read_bytes() == OLD
    assert command("capture", f"file:{capture}", "-o", str(file)).returncode == 0
    assert part.read_bytes() == OLD
    assert sorted(os.listdir(tmp_path)) == ["x.bin", "y.bin", "y.bin.part"]


@pytest.mark.parametrize("force", [False, True])
def test_of_two_that_write_to_the_same_name_each_is_whole(tmp_path: Path, force: bool) -> None:
    file = tmp_path / "x"
    with output(str(file), force) as one, output(str(file), force) as other:
        one.file.write(b"one, and more of it")
        other.file.write(b"other")
        one.publish()
        assert file.read_bytes() == b"one, and more of it"
        if force:
            other.publish()
            assert file.read_bytes() == b"other"
        else:
            with pytest.raises(UserError, match="the file exists"):
                other.publish()
    assert file.read_bytes() == (b"other" if force else b"one, and more of it")
    assert os.listdir(tmp_path) == ["x"]


def test_of_two_that_take_a_name_at_the_same_moment_only_one_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, replace = tmp_path / "x", os.replace
    with output(str(file), False) as one, output(str(file), False) as other:
        one.file.write(b"one")

        def both(source: str, target: str) -> None:
            monkeypatch.setattr(os, "replace", replace)
            with pytest.raises(UserError, match="the file exists"):
                other.publish()
            replace(source, target)

        monkeypatch.setattr(os, "replace", both)
        one.publish()
    assert file.read_bytes() == b"one"


def test_a_file_has_the_mode_of_an_ordinary_new_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with output(str(tmp_path / "x"), force=False) as out:
            out.publish()
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640
