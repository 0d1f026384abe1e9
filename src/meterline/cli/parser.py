"""An argument parser whose errors are one line, with the word that was probably meant."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """argparse's parser, with errors of one line."""

    @property
    def commands(self) -> dict[str, Parser]:
        """Name of each command → its parser."""
        kinds = (action.choices for action in self._actions if isinstance(action, argparse._SubParsersAction))
        return next((dict(choices) for choices in kinds), {})

    @property
    def flags(self) -> list[str]:
        """The flags that the parser accepts."""
        return [flag for action in self._actions for flag in action.option_strings]

    def command(self, words: Iterable[str]) -> Parser:
        """Return the parser of a command; this parser if `words` is empty. An unknown command ends the program."""
        found = self
        for word in words:
            if word not in found.commands:
                found.error(_unknown("command", word, found.commands))
            found = found.commands[word]
        return found

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse arguments as argparse does. Unknown words are reported as an error of the command that they follow."""
        found, rest = self.parse_known_args(args, namespace)
        if rest:
            command = self.command(filter(None, (getattr(found, "command", ""), getattr(found, "kind", ""))))
            flag = next((word.partition("=")[0] for word in rest if word.startswith("-")), None)
            command.error(_unknown("flag", flag, command.flags) if flag else f"unexpected argument: {rest[0]!r}")
        return found

    def error(self, message: str) -> NoReturn:
        """Print an error of one line, and end the program with status 2."""
        program, *command = self.prog.split()
        where = f"{' '.join(command)}: " if command else ""
        self.exit(2, f"{program}: {where}{message} ({' '.join([program, 'help', *command])})\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Replace argparse's check, whose error lists all choices."""
        if action.choices is None or value in action.choices:
            return
        if isinstance(action, argparse._SubParsersAction):
            kind = "command" if action.dest == "command" else "kind"
        else:
            kind = f"{'/'.join(action.option_strings) or action.dest}:"
        raise argparse.ArgumentError(None, _unknown(kind, str(value), map(str, action.choices)))


def _unknown(kind: str, word: str, known: Iterable[str]) -> str:
    """Return an error that names the most similar known word; without one, all known words."""
    from difflib import get_close_matches  # Imported here: `run` must not pay memory for it.

    known = sorted(known)
    near = get_close_matches(word, known, 1)
    return f"{kind} {word!r} is not known; " + (f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}")
