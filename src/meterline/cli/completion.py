"""meterline completion SHELL: a script by which a shell completes our commands and flags, made from the parser."""

from __future__ import annotations

import argparse
from types import ModuleType

from meterline.cli.parser import Parser
from meterline.errors import UserError
from meterline.extras import how_to_install

FILES = ("FILE",)
FOLDERS = ("FOLDER",)
"""What a flag's value is called in the help where it is a path."""


def completion(top: Parser, shell: str) -> None:
    """Print it."""
    shtab = _library()
    _name_paths(top, shtab)
    print(shtab.complete(top, shell))


def _library() -> ModuleType:
    try:
        import shtab
    except ImportError:
        how = how_to_install("completion", "shtab")
        raise UserError(f"completion: shtab is not installed, which writes the script; {how}") from None
    return shtab


def _name_paths(command: Parser, shtab: ModuleType) -> None:
    """Tell shtab which words are files and folders."""
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            continue
        if action.metavar in FILES or action.dest in ("file", "link"):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.metavar in FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    for kind in command.commands.values():
        _name_paths(kind, shtab)
