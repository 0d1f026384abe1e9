"""The ledger on a disk that lies: rows come back as they were written, or not at all."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import pytest

from meterline.history.day_row import LIVE, METER, DayRow, RowKey
from meterline.history.ledger import FILE, FORM, Ledger, NewerForm, _checksum
from meterline.history.salvage import PAGE_BYTES
from meterline.meter.exposition import Page

EXAMPLES = int(os.environ.get("METERLINE_EXAMPLES", "25"))
FIRST = 20_000
Days: TypeAlias = dict[int, tuple[Any, ...]]


def facts_of(row: DayRow) -> tuple[Any, ...]:
    return row.key, {name: (column.values, column.origins) for name, column in row.registers.items()}, row.facts


def row_of(day: int, meter: str = "home", slot_s: int = 900) -> DayRow:
    """A day of a Tempo contract, whose registers are a function of the time."""
    row = DayRow(RowKey(meter, 0, day, slot_s))
    random = Random(day)
    for edge in range(row.edges):
        total = 0
        for tariff in range(6):
            value = 10_000_000_000 + 1000 * ((day - FIRST) * 12_000 + edge * 100 + random.randrange(100)) * (tariff == day % 6)
            total += value
            row.take(f"import/{tariff}", edge, value, LIVE + random.randrange(3))
        row.take("import", edge, total, LIVE + 1)
        row.take("export", edge, 5_000_000 + edge, METER)
        row.note("tariff", edge, "HP" if 24 <= edge < 88 else "HC")
    return row


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Days]:
    """A ledger of a year, and what its rows say by day."""
    folder = tmp_path_factory.mktemp("year")
    ledger = Ledger(str(folder))
    rows = [row_of(FIRST + number) for number in range(365)]
    for row in rows:
        assert ledger.write([row])
    assert ledger.write([], [("counters", b"42 euros")])
    ledger.close()
    return folder, {row.key.day: facts_of(row) for row in rows}


def read(folder: Path) -> Days:
    ledger = Ledger(str(folder))
    found = {row.key.day: facts_of(row) for row in ledger.rows("home", 0, 99_999)}
    assert ledger.entry("counters") in (None, b"42 euros")
    ledger.close()
    return found


def test_rows_come_back_as_they_were_written(year: tuple[Path, Days]) -> None:
    folder, written = year
    assert read(folder) == written
    assert (folder / FILE).stat().st_size < 2 << 20


def test_fuzz_a_flipped_bit_is_never_a_number(year: tuple[Path, Days], tmp_path: Path) -> None:
    folder, written = year
    whole, random, lost = (folder / FILE).read_bytes(), Random(7), 0
    for _ in range(EXAMPLES):
        damaged, at = bytearray(whole), random.randrange(len(whole))
        damaged[at] ^= 1 << random.randrange(8)
        lost += assert_only_absences(damaged, written, tmp_path)
    assert lost < 30 * EXAMPLES


def test_fuzz_a_lost_page_costs_its_rows_alone(year: tuple[Path, Days], tmp_path: Path) -> None:
    folder, written = year
    whole, random = (folder / FILE).read_bytes(), Random(8)
    for _ in range(EXAMPLES):
        damaged, page = bytearray(whole), random.randrange(len(whole) // PAGE_BYTES)
        filler = random.choice([bytes(PAGE_BYTES), random.randbytes(PAGE_BYTES)])
        damaged[page * PAGE_BYTES : (page + 1) * PAGE_BYTES] = filler
        assert assert_only_absences(damaged, written, tmp_path) <= 8, f"page {page}"


def assert_only_absences(damaged: bytearray, written: Days, folder: Path) -> int:
    """Each row is as it was written, or absent, also after one more day was written. How many are absent."""
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / FILE).write_bytes(damaged)
    found = read(folder)
    assert all(written[day] == facts for day, facts in found.items())
    again, ledger = row_of(FIRST + 400), Ledger(str(folder))
    assert ledger.write([again]), "the ledger cannot be used any more"
    ledger.close()
    after = read(folder)
    assert after.pop(again.key.day) == facts_of(again)
    assert all(written[day] == facts for day, facts in after.items())
    return len(written) - len(after)


def test_a_row_that_fails_its_check_is_set_aside_with_its_reason_and_can_be_written_anew(tmp_path: Path) -> None:
    row, ledger = row_of(FIRST), Ledger(str(tmp_path))
    ledger.write([row, row_of(FIRST + 1)])
    ledger.close()
    file = sqlite3.connect(tmp_path / FILE)
    with file:
        file.execute("UPDATE day SET content = ? WHERE day = ?", (b"x", FIRST))
    assert ledger.row(row.key) is None
    assert ledger.health().aside == {"checksum": 1}
    assert file.execute("SELECT reason, day, content FROM aside").fetchall() == [("checksum", FIRST, b"x")]
    assert ledger.write([row])
    assert [found.key.day for found in ledger.rows("home", FIRST, FIRST + 2)] == [FIRST, FIRST + 1]
    file.close()
    ledger.close()


def test_each_change_of_a_row_has_a_higher_revision(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path))
    first, second = row_of(FIRST), row_of(FIRST + 1)
    ledger.write([first, second])
    ledger.write([first])
    assert [(row.key.day, row.revision) for row in ledger.changed_after(0, 10)] == [(FIRST + 1, 2), (FIRST, 3)]
    assert [row.key.day for row in ledger.changed_after(2, 10)] == [FIRST]
    ledger.close()


def test_a_file_of_a_later_form_is_refused_in_one_sentence(tmp_path: Path) -> None:
    ledger, content = Ledger(str(tmp_path)), str(FORM + 1).encode()
    ledger.write([row_of(FIRST)])
    ledger.close()
    file = sqlite3.connect(tmp_path / FILE)
    with file:
        file.execute(
            "UPDATE kept SET content = ?, checksum = ? WHERE key = 'form'", (content, _checksum("kept", "form", content))
        )
    file.close()
    with pytest.raises(NewerForm, match="later version"):
        ledger.row(row_of(FIRST).key)


def test_an_entry_is_read_although_one_of_its_copies_is_damaged(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path))
    ledger.write([], [("counters", b"42")])
    for table, expected in (("kept", b"42"), ("kept_again", None)):
        file = sqlite3.connect(tmp_path / FILE)
        with file:
            file.execute(f"UPDATE {table} SET content = x'00' WHERE key = 'counters'")
        file.close()
        assert ledger.entry("counters") == expected
    ledger.close()


def test_a_full_disk_loses_no_row_that_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(str(tmp_path))
    ledger.write([row_of(FIRST)])
    ledger._opened().execute("PRAGMA max_page_count = 1")
    rows = [row_of(FIRST + number) for number in range(1, 60)]
    assert not ledger.write(rows)
    assert not ledger.health().is_writable
    ledger._opened().execute("PRAGMA max_page_count = 100000")
    assert ledger.write(rows)
    assert ledger.health().is_writable
    assert len(list(ledger.rows("home", 0, 99_999))) == 60
    ledger.close()


def test_copies_that_were_set_aside_are_never_overwritten(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / FILE).write_bytes(b"no database " * 1000 + bytes([number]))
        ledger = Ledger(str(tmp_path))
        assert ledger.write([row_of(FIRST)])
        ledger.close()
    assert {path.read_bytes()[-1] for path in tmp_path.glob("*.damaged-*")} >= {1, 2}


def test_the_health_of_the_ledger_is_on_the_page(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path))
    ledger.write([row_of(FIRST)])
    text = Page([], ledger=ledger.health).text()
    assert "\nmeterline_ledger_writable 1.0\n" in text
    assert '\nmeterline_ledger_aside_total{reason="checksum"} 0.0\n' in text
    sizes = [file.stat().st_size for file in tmp_path.glob(f"{FILE}*") if file.suffix != ".sqlite-shm"]
    assert f"\nmeterline_ledger_bytes {float(sum(sizes))}\n" in text
    assert "meterline_ledger" not in Page([]).text()
    ledger.close()
