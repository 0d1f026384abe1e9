"""HTTP basic authentication against bcrypt hashes, compatible with Prometheus' exporter-toolkit.

A check of bcrypt takes about 0.1 s of CPU by design. Checks therefore run in a thread, at most two at once, and the number
of waiting checks is bounded. Accepted passwords are remembered as keyed digests: later requests need no check.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import os
from collections import Counter
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from meterline import world
from meterline.errors import UserError
from meterline.extras import how_to_install

RUNNING_MAX = 2
"""Checks that run at once, each in a thread."""
PENDING_MAX = 32
PENDING_MAX_OF_ADDRESS = 8
"""Checks that wait or run, of all addresses and of one: an attacker who uses up the share of an address blocks no other."""
REMEMBERED_MAX = 256
"""Digests of accepted passwords that are kept."""
PASSWORD_MAX_BYTES = 72
"""bcrypt ignores all further bytes."""
COST = 10
"""Base-2 logarithm of the rounds of a new hash."""


def library() -> ModuleType:
    """Import the package bcrypt.

    Raises:
        UserError: bcrypt is not installed.
    """
    try:
        import bcrypt
    except ImportError:
        raise UserError(f"bcrypt is not installed; {how_to_install('auth', 'bcrypt', 'python3-bcrypt')}") from None
    return bcrypt


def hash_password(password: bytes) -> str:
    """Hash a password for `basic_auth_users`.

    Args:
        password: 1 to 72 bytes.

    Returns:
        The hash, such as ``$2b$10$…``.

    Raises:
        UserError: The password is empty or too long, or bcrypt is not installed.
    """
    if not password:
        raise UserError("the password is empty; enter one line")
    if len(password) > PASSWORD_MAX_BYTES:
        raise UserError(
            f"the password has {len(password)} bytes; bcrypt uses the first {PASSWORD_MAX_BYTES} only: choose a shorter one"
        )
    bcrypt = library()
    return str(bcrypt.hashpw(password, bcrypt.gensalt(COST)).decode())


class Auth:
    """Checks `Authorization` headers against the users of the web configuration."""

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._running = asyncio.Semaphore(RUNNING_MAX)
        self._pending: Counter[str] = Counter()
        self.use({})

    def use(self, users: Mapping[str, str]) -> None:
        """Replace the users. The result of a check that is running is not remembered.

        Args:
            users: Name → bcrypt hash; empty: requests need no password.

        Raises:
            UserError: bcrypt is not installed.
        """
        try:
            self._bcrypt: Any = library() if users else None
        except UserError as error:
            raise UserError(f"basic_auth_users: {error}") from None
        self._hashes = {name.encode(): value.encode() for name, value in users.items()}
        self._accepted: set[bytes] = set()

    async def status(self, header: str | None, address: str) -> int:
        """Check the `Authorization` header of a request.

        Args:
            header: Value of the header; None if there is none.
            address: The client's address, as `share_of` groups it.

        Returns:
            Status for the answer: 200 if the request may pass, 401 if not, 503 if too many checks are pending.
        """
        if not self._hashes:
            return 200
        if not (credentials := _credentials(header)):
            return 401
        accepted, digest = self._accepted, hmac.digest(self._key, b":".join(credentials), "sha256")
        if digest in accepted:
            return 200
        if self._pending.total() >= PENDING_MAX or self._pending[address] >= PENDING_MAX_OF_ADDRESS:
            return 503
        self._pending[address] += 1
        try:
            is_valid = await self._check(*credentials)
        finally:
            self._pending[address] -= 1
            self._pending += Counter()  # Removes the addresses without a pending check.
        if is_valid:
            if len(accepted) >= REMEMBERED_MAX:
                accepted.clear()
            accepted.add(digest)
        return 200 if is_valid else 401

    async def _check(self, name: bytes, password: bytes) -> bool:
        """Check a password. An unknown name is checked against the hash of another user, always the same one, so that the
        duration of a check does not reveal which names exist.
        """
        check, hashes = self._bcrypt.checkpw, list(self._hashes.values())
        number = int.from_bytes(hmac.digest(self._key, name, "sha256")) % len(hashes)
        known = self._hashes.get(name)
        async with self._running:
            matches = await world.current.in_thread(check, password[:PASSWORD_MAX_BYTES], known or hashes[number])
        return bool(matches) and known is not None


def _credentials(header: str | None) -> tuple[bytes, bytes] | None:
    """Return name and password; None if the header has no valid ones."""
    scheme, _, encoded = (header or "").partition(" ")
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except ValueError:
        return None
    return (name, password) if colon and scheme.lower() == "basic" else None
