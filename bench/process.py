"""Real processes: `meterline run`, lines and references; what each costs, as the kernel counts it."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

PROMETHEUS = {
    "Accept": "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
    "Accept-Encoding": "gzip",
}
"""Headers of Prometheus' own scrape."""
PATIENCE = 60.0
"""Seconds until a process that does not get ready is given up."""


def allow_many_files() -> None:
    """A thousand meters are thousands of sockets: as many open files as this user may have. Child processes inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextlib.contextmanager
def python(*words: str) -> Iterator[subprocess.Popen[str]]:
    """`python -m WORDS`, ended at the end."""
    root = Path(__file__).parent.parent
    command = [sys.executable, "-m", *words]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    """What a process of ours prints when it is ready."""
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise RuntimeError(f"{process.args!r} ended before it was ready")
    return line


@contextlib.contextmanager
def line(mode: str, place: str, count: int, seconds: float) -> Iterator[list[str]]:
    """The links of a running `bench.line`."""
    with python("bench.line", mode, place, str(count), str(seconds)) as process:
        yield json.loads(first_line(process))


class Server(NamedTuple):
    """A process that answers HTTP on the loopback address."""

    pid: int
    port: int

    def connect(self) -> http.client.HTTPConnection:
        """A connection that stays open from request to request."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def scrape(self) -> bytes:
        """One scrape as Prometheus makes it, on a new connection; the page."""
        with contextlib.closing(self.connect()) as connection:
            return gzip.decompress(get(connection, "/metrics", PROMETHEUS))


def get(connection: http.client.HTTPConnection, path: str, headers: dict[str, str] | None = None) -> bytes:
    """The body of an answer."""
    connection.request("GET", path, headers=headers or {})
    return connection.getresponse().read()


@contextlib.contextmanager
def meterline(
    links: Sequence[str],
    config: bool,
    meter: str = "protocol: tic",
    state: str | None = None,
    wait: bool = True,
    flags: Sequence[str] = (),
    top: str = "",
) -> Iterator[Server]:
    """`meterline run` with these links, once all of its meters speak; with `config` they are in a file.

    `meter`: what the file says of each. `state`: the folder of what it remembers; None: one that lasts as long as it does.
    `flags`: more of `run`'s. `top`: lines of the file beside the meters.
    """
    with tempfile.TemporaryDirectory(prefix="meterline-bench-") as folder:
        if config:
            file = Path(folder, "meterline.yml")
            meters = [f"  - {{name: {name(n)}, link: '{link}', {meter}}}\n" for n, link in enumerate(links)]
            file.write_text(f"{top}\nmeters:\n{''.join(meters)}", encoding="utf-8")
            what = ["--config.file", str(file)]
        else:
            (link,) = links
            what = [link]
        serving = ["--web.listen-address", "127.0.0.1:0", "--log.level", "error"]
        with python("meterline", "run", *what, *serving, "--state.dir", state or folder, *flags) as process:
            server = Server(process.pid, port_of(process))
            if wait:
                _wait_until_all_speak(process, server)
            yield server


def name(number: int) -> str:
    """Of a meter in the file, from 0 on."""
    return f"meter-{number + 1:04d}"


def port_of(process: subprocess.Popen[Any]) -> int:
    """The port on which a process listens that was told to listen on port 0, once it does: the kernel knows it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            sockets = {os.readlink(file) for file in Path(f"/proc/{process.pid}/fd").iterdir()}
            for table in ("tcp", "tcp6"):
                for row in map(str.split, Path(f"/proc/{process.pid}/net/{table}").read_text().splitlines()[1:]):
                    if row[3] == "0A" and f"socket:[{row[9]}]" in sockets:
                        return int(row[1].rpartition(":")[2], 16)
        if process.poll() is not None:
            raise RuntimeError(f"it ended with status {process.returncode}: {process.args!r}")
        time.sleep(0.02)
    raise RuntimeError(f"it listens on no port after {PATIENCE:.0f} s: {process.args!r}")


def sleep(seconds: float) -> None:
    """Not at all where the moment has passed already, since the machine was busy."""
    time.sleep(max(0.0, seconds))


def _wait_until_all_speak(process: subprocess.Popen[str], server: Server) -> None:
    deadline = time.monotonic() + PATIENCE
    answer = b""
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"meterline ended with status {process.returncode}")
        with contextlib.suppress(OSError), contextlib.closing(server.connect()) as connection:
            answer = get(connection, "/-/ready")
            if answer and b"silent:" not in answer:
                return
        time.sleep(0.2)
    raise RuntimeError(f"not all meters speak after {PATIENCE:.0f} s: {answer.decode()}")


@contextlib.contextmanager
def bare(*words: str) -> Iterator[Server]:
    """A running `bench.bare`."""
    with python("bench.bare", *words) as process:
        yield Server(process.pid, int(first_line(process)))


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, all its threads, user and system, in nanoseconds' resolution."""
    # The kernel's clock of another process: what clock_getcpuclockid(3) returns.
    return time.clock_gettime((~pid << 3) | 2)


def wake_ups(pid: int) -> int:
    """How often a process has slept and was woken so far, all its threads: voluntary context switches."""
    return sum(_field(f"{task}/status", "voluntary_ctxt_switches:") for task in Path(f"/proc/{pid}/task").iterdir())


class Memory(NamedTuple):
    """KiB."""

    resident: int
    proportional: int
    """The same with shared pages divided among those who share them."""
    peak: int
    """The highest resident so far."""


def memory(pid: int) -> Memory:
    """VmRSS, PSS and VmHWM."""
    status = f"/proc/{pid}/status"
    return Memory(_field(status, "VmRSS:"), _field(f"/proc/{pid}/smaps_rollup", "Pss:"), _field(status, "VmHWM:"))


def _field(path: str, name: str) -> int:
    lines = Path(path).read_text(encoding="ascii").splitlines()
    return next(int(words[1]) for words in map(str.split, lines) if words[0] == name)
