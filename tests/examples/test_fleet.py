"""The example of a fleet: processes that share the meters, Prometheus agents, and one VictoriaMetrics that knows all.

`make test` has a few meters; METERLINE_FLEET=1000 (`make fleet`) as many as the example speaks of.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.live_meters import LIMIT, fetch, free_port, page, program

from bench.process import allow_many_files, line

EXAMPLE = Path(__file__).parents[2] / "examples" / "fleet"
METERS = int(os.environ.get("METERLINE_FLEET", "24"))
SHARDS = 2

pytestmark = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("victoria-metrics")),
    reason="no prometheus or victoria-metrics here: they are in Debian's packages of these names",
)


@contextlib.contextmanager
def server(*words: str) -> Iterator[None]:
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def ask(port: int, query: str) -> list[dict[str, object]]:
    """The vector that a query answers with."""
    try:
        body = fetch(f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': query})}")[2]
    except urllib.error.URLError:
        return []
    result: list[dict[str, object]] = json.loads(body)["data"]["result"]
    return result


def wait_for(port: int, query: str, wanted: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while ((found := [sample["value"] for sample in ask(port, query)]) and found[0][1] != str(wanted)) or not found:  # type: ignore[index]
        assert time.monotonic() < deadline, f"{query}: {found}, not {wanted}"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[int]]:
    """Simulated meters, and the processes that read them: their ports."""
    folder = tmp_path_factory.mktemp("fleet")
    allow_many_files()
    with contextlib.ExitStack() as stack:
        links = stack.enter_context(line("historic", "tcp", METERS, 60 + METERS / 5))
        meters = [
            f"  - {{name: flat-{n:04}, link: '{link}', protocol: tic, options: {{mode: historic}}}}"
            for n, link in enumerate(links)
        ]
        config = folder / "meterline.yml"
        config.write_text("\n".join(["meters:", *meters, ""]))
        ports = [free_port() for _ in range(SHARDS)]
        for number, port in enumerate(ports, 1):
            words = ["--config.file", str(config), "--shard", f"{number}/{SHARDS}", "--log.level", "warn"]
            words += ["--state.dir", str(folder / f"state-{number}"), "--web.listen-address", f"127.0.0.1:{port}"]
            stack.enter_context(program("run", *words))
        for port in ports:
            page(port)
        yield ports


@contextlib.contextmanager
def collected(folder: Path, example: str, ports: list[int]) -> Iterator[int]:
    """An agent for each process, with the example's configuration, and VictoriaMetrics: its port."""
    database = free_port()
    with contextlib.ExitStack() as stack:
        flags = ("-search.latencyOffset=1s", f"-httpListenAddr=127.0.0.1:{database}", f"-storageDataPath={folder / 'vm'}")
        stack.enter_context(server("victoria-metrics", *flags))
        text = (EXAMPLE / example).read_text().replace("victoria-metrics.example:8428", f"127.0.0.1:{database}")
        for number, port in enumerate(ports):
            mine = text.replace("15s", "2s").replace('"localhost:10231", "localhost:10232"', f'"127.0.0.1:{port}"')
            mine = mine.replace("localhost:10231", f"127.0.0.1:{port}").replace("      - url: http://localhost:10232/sd\n", "")
            config = folder / f"agent-{number}.yml"
            config.write_text(mine)
            agent = ("--enable-feature=agent", f"--config.file={config}", f"--storage.agent.path={folder / f'agent-{number}'}")
            stack.enter_context(server("prometheus", *agent, f"--web.listen-address=127.0.0.1:{free_port()}"))
        yield database


def test_one_query_answers_for_the_meters_of_all_processes(fleet: list[int], tmp_path: Path) -> None:
    with collected(tmp_path, "agent.yml", fleet) as database:
        wait_for(database, "count(smartmeter_up == 1)", METERS, LIMIT + METERS / 10)
        wait_for(database, "count(smartmeter_energy_import_watthours_total > 0)", METERS, LIMIT)
        wait_for(database, "count(count by (meter) (smartmeter_up))", METERS, LIMIT)
        assert len(ask(database, "count by (instance) (smartmeter_up)")) == SHARDS


def test_each_meter_is_a_target_of_its_own_by_service_discovery(fleet: list[int], tmp_path: Path) -> None:
    with collected(tmp_path, "agent-by-meter.yml", fleet) as database:
        wait_for(database, "count(smartmeter_up == 1)", METERS, LIMIT + METERS / 10)
        wait_for(database, 'count(up{job="meterline",instance=~"flat-.+"} == 1)', METERS, LIMIT)


def test_the_example_file_of_meters_is_good_in_every_part() -> None:
    from meterline.config.schema import load, shard

    config = load(str(EXAMPLE / "meterline.yml"))
    parts = [shard(config, f"{number}/{SHARDS}").meters for number in range(1, SHARDS + 1)]
    assert all(parts)
    assert sum(map(len, parts)) == len(config.meters)
