"""meterline hash-password: hash a password for `basic_auth_users` of a web configuration."""

from __future__ import annotations

import getpass
import sys

from meterline.errors import UserError
from meterline.web.http import basic_auth


def hash_password() -> None:
    """Read a password and print its hash only. At a terminal the password is read twice, without echo.

    Raises:
        UserError: The password is empty or too long, the two differ, or bcrypt is not installed.
    """
    try:
        basic_auth.library()  # Report a missing package before the user types.
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
        raise UserError("the two passwords differ; try again")
    return first.encode("utf-8", "surrogateescape")
