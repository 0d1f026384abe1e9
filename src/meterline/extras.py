"""How to install what an extra needs, into the very Python that runs: advice that works where it is typed."""

from __future__ import annotations

import os
import shlex
import sys
import sysconfig
from importlib import util
from pathlib import Path

SOURCE = Path(__file__).parents[2]
"""The copy of the project that this is a part of, where it is one."""


def how_to_install(extra: str, package: str, system_package: str = "") -> str:
    """The command. `package`: what the extra needs; `system_package`: what Debian calls it."""
    python = shlex.quote(sys.executable)
    wanted = _wanted(extra, package)
    if _is_managed_by_the_system():
        by_system = f"sudo apt install {system_package}; or " if system_package else ""
        return f"{by_system}run meterline from a virtual environment: this Python's packages are the system's (docs/install.md)"
    if util.find_spec("pip") is None:
        return f"uv pip install --python {python} {wanted}"
    sudo = "" if os.access(sysconfig.get_path("purelib"), os.W_OK) else "sudo "
    return f"{sudo}{python} -m pip install {wanted}"


def _wanted(extra: str, package: str) -> str:
    """The pinned file of our own copy; else our extra, where pip knows of us; else the package."""
    pinned = SOURCE / "requirements" / f"{extra}.txt"
    if pinned.is_file():
        return f"--require-hashes -r {shlex.quote(str(pinned))}"
    from importlib import metadata  # large, and only needed for this advice

    try:
        metadata.version("meterline")
    except metadata.PackageNotFoundError:
        return shlex.quote(package)
    return shlex.quote(f"meterline[{extra}]")


def _is_managed_by_the_system() -> bool:
    """Where pip refuses to install (PEP 668): not in a virtual environment, and marked so."""
    marked = os.path.exists(os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED"))
    return sys.prefix == sys.base_prefix and marked
