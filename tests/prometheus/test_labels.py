"""Labels of a meter in a real Prometheus: on its series, by service discovery, and in the expressions of docs/configure.md."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

from support.live_meters import LIMIT, free_port, page, program
from support.prometheus_server import prometheus, tool

SECTION = (
    (Path(__file__).parents[2] / "docs" / "configure.md")
    .read_text(encoding="utf-8")
    .split("## Labels of a meter\n")[1]
    .split("\n## ")[0]
)
TEXT = " ".join(SECTION.split())


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def test_labels_reach_prometheus_once_and_the_documented_expressions_use_them(tmp_path: Path) -> None:
    binary, port = tool("prometheus"), free_port()
    (found,) = re.findall(r"```yaml\n(.*?)```", SECTION, re.DOTALL)
    (tmp_path / "meterline.yml").write_text(found.replace("tcp://192.168.1.20:2012", "/dev/ttyNONE"), encoding="utf-8")
    (honoured,) = re.findall(r"`(\{action: labelmap, regex: .*?\})`", TEXT)
    discovery = [{"url": f"http://127.0.0.1:{port}/sd"}]
    jobs = [
        {"job_name": "all", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]},
        {"job_name": "each", "http_sd_configs": discovery},
        {"job_name": "honoured", "http_sd_configs": discovery, "honor_labels": True, "relabel_configs": ["HERE"]},
    ]
    config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs}
    text = json.dumps(config).replace('"HERE"', re.sub(r"([\w(.][^:,{}]*)", lambda word: json.dumps(word[1].strip()), honoured))
    run = ("run", "--config.file", str(tmp_path / "meterline.yml"), "--state.dir", str(tmp_path / "state"))
    with program(*run, "--web.listen-address", f"127.0.0.1:{port}"):
        page(port)
        with prometheus(binary, tmp_path, text) as database:
            for job in ("all", "each", "honoured"):
                until(lambda job=job: len(database.now(f'smartmeter_up{{job="{job}"}}')) == 1, job)  # type: ignore[misc]
                (series,) = (dict(labels) for labels in database.now(f'smartmeter_up{{job="{job}"}}'))
                given = {name: text for name, text in series.items() if name not in ("job", "instance")}
                assert given == {"meter": "flat-12", "building": "north", "floor": "3", "area": "Living room"}, job
            up = {dict(labels)["job"]: dict(labels) for labels in database.now("up")}
            assert up["honoured"]["floor"] == "3"
            assert "floor" not in up["each"]
            (example,) = re.findall(r"`(smartmeter_up\{.*?\})`", TEXT)
            assert len(database.now(example)) == 3
            (join,) = re.findall(r"`other_metric (\* on .*?)`", TEXT)
            join = join.replace("smartmeter_up", 'smartmeter_up{job="all"}')
            joined = database.now(f'label_replace(vector(5), "meter", "flat-12", "", "") {join}')
            assert [(dict(labels)["building"], values) for labels, values in joined.items()] == [("north", [5.0])]
            (by,) = re.findall(r"`(sum by \(building\)) ", TEXT)
            assert database.now(f'{by} (smartmeter_link_opened_total{{job="all"}} + 1)') == {
                frozenset({("building", "north")}): [1.0]
            }
