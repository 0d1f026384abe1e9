"""Removal of secrets in flags from the process list.

The kernel shows /proc/PID/cmdline to every user, from the memory of the process. The secrets are overwritten there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

_ARG_START, _ARG_END = 48 - 3, 49 - 3
"""Fields of /proc/PID/stat, proc(5), after the name of the program: where the arguments begin and end in memory."""


def hide(flags: Iterable[str]) -> bool:
    """Overwrite the values of flags, ``-flag=value`` and ``-flag value``, with x.

    Returns:
        False if a value could not be overwritten.
    """
    try:
        fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
        start, end = int(fields[_ARG_START]), int(fields[_ARG_END])
        # With this file, a wrong address is an OSError, not a crash.
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            memory.seek(start)
            given = memory.read(end - start)
            for value in _values(given, flags):
                memory.seek(start + value.start(1))
                memory.write(b"x" * len(value[1]))
        return not any(value[1].strip(b"x") for value in _values(Path("/proc/self/cmdline").read_bytes(), flags))
    except (OSError, ValueError, IndexError):
        return False


def _values(arguments: bytes, flags: Iterable[str]) -> Iterable[re.Match[bytes]]:
    """Find the values of flags, as group 1 of each match. Every argument ends with NUL."""
    names = b"|".join(re.escape(flag.encode()) for flag in flags)
    return re.finditer(rb"(?<=\0)--?(?:%b)[=\0]([^\0]+)" % names, arguments)
