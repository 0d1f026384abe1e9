"""Basic authentication against bcrypt hashes, as the exporter-toolkit has it.

A check costs a tenth of a second of CPU on purpose, so it runs in a thread, two at most at once, and who waits for one is
counted. Passwords found right are remembered by a keyed digest, so that each scrape after the first costs nothing.
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

AT_ONCE = 2
WAITING = 32
WAITING_OF_ONE = 8
"""Checks that wait or run, and those of one address: a guesser who fills his share shuts nobody else out."""
REMEMBERED = 256
LONGEST = 72
"""Bytes of a password that bcrypt looks at."""
COST = 10


def library() -> ModuleType:
    """The package bcrypt. UserError where it is not installed."""
    try:
        import bcrypt
    except ImportError:
        raise UserError(f"bcrypt is not installed; {how_to_install('auth', 'bcrypt', 'python3-bcrypt')}") from None
    return bcrypt


def hash_password(password: bytes) -> str:
    """The hash for `basic_auth_users`. UserError: empty or too long."""
    if not password:
        raise UserError("the password is empty; write one line")
    if len(password) > LONGEST:
        raise UserError(f"the password has {len(password)} bytes; bcrypt looks at {LONGEST} only: take a shorter one")
    bcrypt = library()
    return str(bcrypt.hashpw(password, bcrypt.gensalt(COST)).decode())


class Auth:
    """Who may enter."""

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting: Counter[str] = Counter()
        self.use({})

    def use(self, users: Mapping[str, str]) -> None:
        """From now on these: name → hash. What is still being checked by the old ones is not remembered."""
        try:
            self._bcrypt: Any = library() if users else None
        except UserError as error:
            raise UserError(f"basic_auth_users: {error}") from None
        self._hashes = {name.encode(): value.encode() for name, value in users.items()}
        self._right: set[bytes] = set()

    async def status(self, header: str | None, place: str) -> int:
        """What an `Authorization` header is worth: 200, 401, or 503 where too many checks wait, in all or of this place."""
        if not self._hashes:
            return 200
        if not (credentials := _credentials(header)):
            return 401
        right, digest = self._right, hmac.digest(self._key, b":".join(credentials), "sha256")
        if digest in right:
            return 200
        if self._waiting.total() >= WAITING or self._waiting[place] >= WAITING_OF_ONE:
            return 503
        self._waiting[place] += 1
        try:
            entered = await self._check(*credentials)
        finally:
            self._waiting[place] -= 1
            self._waiting += Counter()  # forgets the places that wait for nothing
        if entered:
            if len(right) >= REMEMBERED:
                right.clear()
            right.add(digest)
        return 200 if entered else 401

    async def _check(self, name: bytes, password: bytes) -> bool:
        """An unknown name is checked against the hash of another, always the same one, so that time tells nothing."""
        check, hashes = self._bcrypt.checkpw, list(self._hashes.values())
        number = int.from_bytes(hmac.digest(self._key, name, "sha256")) % len(hashes)
        known = self._hashes.get(name)
        async with self._turns:
            matches = await world.current.in_thread(check, password[:LONGEST], known or hashes[number])
        return bool(matches) and known is not None


def _credentials(header: str | None) -> tuple[bytes, bytes] | None:
    """Name and password; None where there are none."""
    scheme, _, encoded = (header or "").partition(" ")
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except ValueError:
        return None
    return (name, password) if colon and scheme.lower() == "basic" else None
