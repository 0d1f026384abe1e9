"""The program on a real terminal: what a user would see there."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO


class Terminal:
    """A running program whose standard error, and standard output unless it is a pipe, are one terminal."""

    def __init__(self, master: int, process: subprocess.Popen[str]) -> None:
        self._master, self.process = master, process
        self.shown = ""

    def until(self, pattern: str, seconds: float = 60.0) -> str:
        """All that was shown, once it holds what the regular expression describes."""
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.shown):
            assert self._take(deadline), f"never shown: {pattern!r}; but {self.shown!r}"
        return self.shown

    def end(self, seconds: float = 60.0) -> str:
        """All that was shown, once the program has ended."""
        deadline = time.monotonic() + seconds
        while self._take(deadline):
            pass
        self.process.wait(max(0.1, deadline - time.monotonic()))
        return self.shown

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def _take(self, deadline: float) -> bool:
        """More of what is shown; False at its end, or when it is too late."""
        ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
        data = b""
        if ready:
            with contextlib.suppress(OSError):  # how a terminal ends
                data = os.read(self._master, 4096)
        self.shown += data.decode("utf-8", "replace")
        return bool(data)


def _interruptible() -> None:
    """As at a terminal: who runs the tests in the background ignores Ctrl-C, and its programs would too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def on_terminal(*words: str, stdout: int | IO[str] | None = None, env: dict[str, str] | None = None) -> Iterator[Terminal]:
    """`stdout`: somewhere else."""
    ours, theirs = pty.openpty()
    run = [sys.executable, "-m", "meterline", *words]
    out = theirs if stdout is None else stdout
    # asyncio's debug mode says on standard error what was slow.
    env = {name: text for name, text in (env or os.environ).items() if name != "PYTHONASYNCIODEBUG"}
    process = subprocess.Popen(
        run, stdin=subprocess.DEVNULL, stdout=out, stderr=theirs, text=True, env=env, preexec_fn=_interruptible
    )
    os.close(theirs)
    try:
        yield Terminal(ours, process)
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
        os.close(ours)
