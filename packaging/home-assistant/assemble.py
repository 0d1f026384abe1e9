"""Put the app of Home Assistant OS together: `make app` writes a folder that is a whole app repository.

The Supervisor builds an app on the machine itself, and sees nothing but the folder of the app. So that folder gets everything
that the image is made of, and a Dockerfile with the stages of ours.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def dockerfile() -> str:
    """The stages of our Dockerfile on which all images stand, with MQTT, and then the app."""
    stages, _ = re.split(
        r"^FROM program AS ", (ROOT / "Dockerfile").read_text(encoding="utf-8"), maxsplit=1, flags=re.MULTILINE
    )
    text, count = re.subn(r"^ARG REQUIREMENTS=run\.txt$", "ARG REQUIREMENTS=mqtt.txt", stages, flags=re.MULTILINE)
    if count != 1:
        raise ValueError("the Dockerfile has no ARG REQUIREMENTS=run.txt")
    text = re.sub(r"\A(#.*\n)+", "# Put together from the Dockerfile of meterline by `make app`.\n", text)
    return text + (HERE / "meterline" / "Dockerfile.stage").read_text(encoding="utf-8")


def assemble(folder: Path) -> None:
    """Write the repository, in place of what is in that folder."""
    shutil.rmtree(folder, ignore_errors=True)
    app = folder / "meterline"
    shutil.copytree(HERE / "meterline", app, ignore=shutil.ignore_patterns("Dockerfile.stage"))
    shutil.copy(HERE / "repository.yaml", folder)
    for name in (".dockerignore", "CHANGELOG.md", "LICENSE", "pyproject.toml"):
        shutil.copy(ROOT / name, app)
    for name in ("requirements", "packaging/man", "src"):
        shutil.copytree(ROOT / name, app / name, ignore=shutil.ignore_patterns("__pycache__"))
    (app / "Dockerfile").write_text(dockerfile(), encoding="utf-8")


if __name__ == "__main__":
    assemble(Path(sys.argv[1]))
