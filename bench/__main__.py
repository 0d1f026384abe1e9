"""`python -m bench` runs every subject, `python -m bench decoder scrape` those named."""

from __future__ import annotations

import importlib
import os
import platform
import signal
import sys
import time

from bench.process import allow_many_files

SUBJECTS = ("decoder", "frame", "scrape", "latency", "cpu", "memory", "page", "broute", "flood", "state", "security", "mqtt")


def main() -> None:
    names = sys.argv[1:] or list(SUBJECTS)
    if unknown := [name for name in names if name not in SUBJECTS]:
        sys.exit(f"bench: {', '.join(unknown)}: not a subject; known: {', '.join(SUBJECTS)}")
    allow_many_files()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that every process started here is ended
    interpreter = f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}"
    print(f"{interpreter}, {os.cpu_count()} cores, busy before: {os.getloadavg()[0]:.1f}")
    for name in names:
        start = time.monotonic()
        importlib.import_module(f"bench.{name}").main()
        print(f"({name}: {time.monotonic() - start:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
