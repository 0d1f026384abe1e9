"""What docs/troubleshoot.md says that doctor says, it says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ("diagnostics/*.py", "web/**/*.py", "protocols/**/*.py", "link/*.py", "service/*.py", "meter/*.py")


def literals() -> str:
    """Every text of the code, formatted ones in pieces."""
    files = [file for pattern in SOURCES for file in (ROOT / "src" / "meterline").glob(pattern)]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    return "\n".join(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def test_every_finding_that_the_page_explains_is_one_of_doctor() -> None:
    page, known = (ROOT / "docs" / "troubleshoot.md").read_text(encoding="utf-8"), literals()
    cells = re.findall(r"^\|[^|]*\|([^|]*)\|", page, re.MULTILINE)
    said = [phrase for cell in cells for phrase in re.findall(r"\*([^*]+)\*", cell)]
    assert len(said) > 30
    for phrase in said:
        pieces = [piece.strip(" ,:") for piece in re.split(r"…|: |'[^']*'|process \d+|\d[\d.]*|[()]", phrase)]
        for piece in filter(lambda piece: len(piece) > 3, pieces):
            assert piece in known, f"{phrase}: {piece}"
