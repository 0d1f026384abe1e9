"""Make the virtual environment in which the tests start a real Home Assistant: FOLDER, unless it is there already.

Home Assistant 2025.4.4 where a Python 3.13 is found, else 2024.3.3 on Python 3.11. The program needs nothing of it.
"""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RELEASES = {"3.13": "2025.4.4", "3.11": "2024.3.3"}
"""Python → the release of Home Assistant for it, the best first."""


def main(folder: Path) -> None:
    found = ((python, release) for version, release in RELEASES.items() if (python := find_python(version)))
    python, release = next(found, ("", ""))
    if not python:
        sys.exit(f"home-assistant: no Python {' or '.join(RELEASES)} here; install one, with its module venv")
    if release != RELEASES["3.13"]:
        print(
            f"home-assistant: no Python 3.13 here, so Home Assistant is {release}. It knows no device discovery: "
            "the tests take `discovery: component` instead.",
            flush=True,
        )
    pins = HERE / f"requirements-{release}.txt"
    mark, wanted = folder / "ready", f"{release} {hashlib.sha256(pins.read_bytes()).hexdigest()}\n"
    if mark.exists() and mark.read_text(encoding="utf-8") == wanted:
        return
    print(f"home-assistant: installing Home Assistant {release} into {folder}; that takes some minutes, once", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "pip"), "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "--no-deps", "-r", str(pins)], check=True)
    mark.write_text(wanted, encoding="utf-8")


def find_python(version: str) -> str | None:
    """A Python of this version that runs: in PATH, or one of pyenv's. pyenv's shims in PATH run only what was chosen."""
    folders = os.get_exec_path() + sorted(glob.glob(os.path.expanduser(f"~/.pyenv/versions/{version}.*/bin")), reverse=True)
    for folder in folders:
        python = os.path.join(folder, f"python{version}")
        if os.access(python, os.X_OK):
            tried = subprocess.run([python, "-c", "import ensurepip, venv"], capture_output=True, check=False)
            if not tried.returncode:
                return python
    return None


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
