"""docs/security.md, done: its commands, its web configuration, and a real Prometheus with its scrape_config."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from support.live_meters import LIMIT, command, fetch, free_port, page, program

from meterline.web.http.web_config import HEADERS, REFUSED, load

PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
SECRET = "correct horse"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """After the first two commands of the page."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl here: it is in Debian's package openssl")
    words = next(line for line in PAGE.splitlines() if line.startswith("$ openssl"))[2:].replace("meter.home", "localhost")
    subprocess.run(shlex.split(words), cwd=tmp_path, check=True, capture_output=True)
    form = re.search(r"\$ printf '(.+)' \"\$\(meterline hash-password\)\" > web\.yml", PAGE)
    assert form
    made = form[1].replace("\\n", "\n") % command("hash-password", input=SECRET + "\n").stdout.strip()
    (tmp_path / "web.yml").write_text(made, encoding="utf-8")
    return tmp_path


def test_the_web_configuration_of_the_page_is_good(folder: Path) -> None:
    assert load(str(folder / "web.yml")).protections == ("TLS", "passwords")


def test_the_scrape_config_of_the_page_lets_prometheus_in(folder: Path) -> None:
    binary = shutil.which("prometheus")
    if not binary:
        pytest.skip("no prometheus here: it is in Debian's package prometheus")
    ours, theirs = free_port(), free_port()
    block = re.search(r"```yaml\n(scrape_configs:\n.*?)```", PAGE, re.DOTALL)
    assert block
    config = block[1].replace("/etc/prometheus/", f"{folder}/").replace("meter.home:10230", f"localhost:{ours}")
    (folder / "prometheus.yml").write_text(f"global: {{scrape_interval: 1s}}\n{config}", encoding="utf-8")
    (folder / "meterline.password").write_text(SECRET, encoding="utf-8")
    run = [binary, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    run += [f"--web.listen-address=127.0.0.1:{theirs}", "--log.level=warn"]
    serving = ("run", "/dev/null", "--web.listen-address", f"127.0.0.1:{ours}", "--web.config.file", str(folder / "web.yml"))
    with program(*serving), subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + LIMIT
            page(theirs, "/-/ready")
            found: list[str] = []
            while found != ["1"]:
                assert time.monotonic() < deadline, f"up is {found}"
                time.sleep(0.2)
                answer = fetch(f"http://127.0.0.1:{theirs}/api/v1/query?query=up")[2]
                if answer.startswith(b"{"):
                    found = [series["value"][1] for series in json.loads(answer)["data"]["result"]]
        finally:
            process.terminate()
            process.wait(LIMIT)


def test_the_page_names_every_key_that_is_honoured_or_refused() -> None:
    for name in (*HEADERS, *(what for _, what in REFUSED if what != "RequireClientCert")):
        assert f"`{name}`" in PAGE, name
