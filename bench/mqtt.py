"""What publishing on an MQTT broker costs.

Measured: CPU time (by the kernel's clock of the process, over 60 s) and VmRSS of a `meterline run` that publishes on a
mosquitto of this machine while its meters speak at line speed: one standard meter, a message each 10 s (the default) and each
second; 300 standard meters with a message each 10 s. Messages are those of /metrics in that time. Reference: at the same time
another `meterline run` that reads the same bytes and publishes nothing; what the goals are about is the difference.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.process import Server, cpu_seconds, line, memory, meterline, sleep
from bench.table import NONE, Row, show

WINDOW = 60.0
WARM_UP = 15.0
MANY = 300


@contextlib.contextmanager
def _broker() -> Iterator[int]:
    """A mosquitto; its port."""
    binary = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="meterline-bench-") as folder:
        config = Path(folder, "mosquitto.conf")
        config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n", encoding="utf-8")
        with subprocess.Popen([binary, "-c", str(config)], stderr=subprocess.DEVNULL) as process:
            try:
                yield port
            finally:
                process.terminate()


def _sent(server: Server) -> float:
    return sum(map(float, re.findall(rb"\nmeterline_mqtt_messages_total (\S+)", server.scrape())))


def _rows(what: str, place: str, count: int, interval: float, goals: tuple[str, str]) -> list[Row]:
    top = f"mqtt: {{url: 'mqtt://127.0.0.1:%d', interval: {interval:g}}}"
    talk = WINDOW + WARM_UP + 40.0 + count / 3
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(_broker())
        links = stack.enter_context(line("standard", place, 2 if place == "pty" else count, talk))
        ours, others = ([links[0]], [links[1]]) if place == "pty" else (links, links)
        silent = stack.enter_context(meterline(others, config=True))
        loud = stack.enter_context(meterline(ours, config=True, top=top % port))
        time.sleep(WARM_UP)
        start, before, sent = time.monotonic(), [cpu_seconds(one.pid) for one in (loud, silent)], _sent(loud)
        sleep(start + WINDOW - time.monotonic())
        used = [cpu_seconds(one.pid) - seconds for one, seconds in zip((loud, silent), before, strict=True)]
        rate = (_sent(loud) - sent) / (time.monotonic() - start)
        shares = [100 * seconds / (time.monotonic() - start) for seconds in used]
        sizes = [memory(one.pid).resident / 1024 for one in (loud, silent)]
    return [
        Row(f"{what}, {rate:.2f} messages/s: CPU", f"{shares[0]:.2f} %", f"{shares[1]:.2f} %"),
        Row("  more than without", f"{shares[0] - shares[1]:.2f} %", NONE, NONE, goals[0]),
        Row("  memory", f"{sizes[0]:.1f} MiB", f"{sizes[1]:.1f} MiB"),
        Row("  more than without", f"{sizes[0] - sizes[1]:.1f} MiB", NONE, NONE, goals[1]),
    ]


def main() -> None:
    rows = _rows("1 standard meter", "pty", 1, 10.0, ("<= 0.2 %", "<= 5 MiB"))
    rows += _rows("1 standard meter, interval 1", "pty", 1, 1.0, ("", ""))
    rows += _rows(f"{MANY} standard meters", "tcp", MANY, 10.0, ("<= 10 %", ""))
    show("mqtt", (__doc__ or "").partition("\n\n")[2].strip(), rows)
