"""meterline completion SHELL: a script that lets a shell complete commands and flags, made from the parser."""

from __future__ import annotations

import argparse
from types import ModuleType

from meterline.cli.parser import Parser
from meterline.errors import UserError
from meterline.extras import how_to_install

FILES = ("FILE",)
FOLDERS = ("FOLDER",)
"""Names of flags' values in the help that stand for paths."""


def completion(top: Parser, shell: str) -> None:
    """Print the script for a shell.

    Raises:
        UserError: shtab is not installed.
    """
    shtab = _library()
    _name_paths(top, shtab)
    print(shtab.complete(top, shell))


def _library() -> ModuleType:
    try:
        import shtab
    except ImportError:
        how = how_to_install("completion", "shtab")
        raise UserError(f"completion: the package shtab, which writes the script, is not installed; {how}") from None
    return shtab


def _name_paths(command: Parser, shtab: ModuleType) -> None:
    """Mark the arguments that are files and folders, for shtab."""
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            continue
        if action.metavar in FILES or action.dest in ("file", "link"):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.metavar in FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    for kind in command.commands.values():
        _name_paths(kind, shtab)
