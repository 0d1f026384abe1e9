"""What the program serves of each capture and of simulated meters is, byte for byte, what it served before."""

from __future__ import annotations

from pathlib import Path

import pytest
from make_pages import FOLDER, PAGES, made


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_the_kept_one(name: str) -> None:
    assert made(name) == (FOLDER / name).read_text(encoding="utf-8"), "run tests/pages/make_pages.py, and review what changed"


def test_every_kept_page_is_compared() -> None:
    kept = {str(file.relative_to(FOLDER)) for file in FOLDER.glob("*/*") if file.parent.name != "__pycache__"}
    assert kept == set(PAGES)


def test_each_capture_has_the_pages_of_ours_and_of_both_replaced_exporters() -> None:
    captures = [file.stem for file in (Path(__file__).parents[1] / "captures" / "tic").glob("*.bin")]
    assert len(captures) == 12
    assert {f"tic/{name}{kind}.prom" for name in captures for kind in ("", ".linky-env", ".linky-json")} <= PAGES.keys()
