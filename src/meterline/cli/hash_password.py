"""meterline hash-password: a password → the bcrypt hash that `basic_auth_users` of a web configuration takes."""

from __future__ import annotations

import getpass
import sys

from meterline.errors import UserError
from meterline.web.http import basic_auth


def hash_password() -> None:
    """Read one line, at a terminal twice and unseen; print the hash and nothing else."""
    try:
        basic_auth.library()  # where it is missing, that is said before anything is typed
        password = _typed() if sys.stdin.isatty() else sys.stdin.buffer.readline().rstrip(b"\r\n")
        print(basic_auth.hash_password(password))
    except UserError as error:
        raise UserError(f"hash-password: {error}") from None


def _typed() -> bytes:
    try:
        first, second = getpass.getpass("Password: "), getpass.getpass("Once more: ")
    except EOFError:
        return b""
    if first != second:
        raise UserError("the two differ; try again")
    return first.encode("utf-8", "surrogateescape")
