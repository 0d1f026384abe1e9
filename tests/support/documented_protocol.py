"""The made-up protocol of docs/add-a-protocol.md, taken out of that page: the document is the example."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import meterline.protocols

ROOT = Path(__file__).parents[2]
NAME = "ember"
_FILE = re.compile(r"^```python\n# (ember/\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ENTRY = """\
import sys
import meterline.protocols
meterline.protocols.__path__.append({folder!r})
meterline.protocols.ENTRIES["ember"] = meterline.protocols.Entry("meterline.protocols.ember", "listen")
from meterline.cli.main import main
main(sys.argv[1:])
"""
"""A program that knows the protocol: its folder lies elsewhere, and one entry names it."""


def write(folder: Path) -> Path:
    """Write the files of the page; the script that starts the program with them."""
    text = (ROOT / "docs" / "add-a-protocol.md").read_text(encoding="utf-8")
    for name, code in _FILE.findall(text):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(code, encoding="utf-8")
    script = folder / "meterline_with_ember.py"
    script.write_text(ENTRY.format(folder=str(folder)))
    return script


def add(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process know the protocol: its folder lies elsewhere, and one entry names it."""
    write(folder)
    for name in [name for name in sys.modules if name.startswith("meterline.protocols.ember")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(meterline.protocols, "__path__", [*meterline.protocols.__path__, str(folder)])
    monkeypatch.setitem(meterline.protocols.ENTRIES, NAME, meterline.protocols.Entry("meterline.protocols.ember", "listen"))
