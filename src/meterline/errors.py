"""The one kind of error that ends a command: something that a person must change."""

from __future__ import annotations

import sys


class UserError(Exception):
    """A command, flag or file that cannot be used. The text is for people: a line for each fault. `status` is the program's."""

    def __init__(self, text: str, status: int = 2) -> None:
        super().__init__(text)
        self.status = status

    def say(self, program: str) -> None:
        """Each fault on a line of standard error."""
        for line in str(self).splitlines():
            print(f"{program}: {line}", file=sys.stderr)
