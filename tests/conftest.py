"""What every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The captures and goldens that lie beside the project, in CI and at its developers'; elsewhere their tests skip."""
    folder = Path(os.environ.get("METERLINE_SHARED") or Path(__file__).parents[1].parent / "shared")
    if not folder.is_dir():
        pytest.skip(f"no {folder.name}/ beside the project: real captures are not part of it")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _no_state_in_the_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What a started program remembers stays in the tests' folder."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence, probing and pauses in tenths of a second, so that a fault and its end fit in a test."""
    monkeypatch.setattr("meterline.protocols.tic.PROBE", 0.6)
    monkeypatch.setattr("meterline.protocols.tic.SILENCE", 0.6)
    monkeypatch.setattr("meterline.protocols.tic.STALE_AFTER", 0.6)
    monkeypatch.setattr("meterline.service.supervisor.FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr("meterline.service.supervisor.STALE_AFTER_S", 0.6)
    monkeypatch.setattr("meterline.service.supervisor.PAUSE_MAX_S", {"device": 0.2, "tcp": 0.2})
