"""A file of the state that a command reads."""

from __future__ import annotations

import os
from pathlib import Path

from meterline.errors import UserError


def check_readable(path: Path, if_missing: str) -> None:
    """Make sure that a file of the state can be read.

    Args:
        path: The file.
        if_missing: What to do if the file does not exist, for the error.

    Raises:
        UserError: The file does not exist, or is not readable by this user.
    """
    if not path.exists():
        raise UserError(f"{path}: {if_missing}", 1)
    if not os.access(path, os.R_OK):
        raise UserError(f"{path}: not readable by this user; try with sudo", 1)
