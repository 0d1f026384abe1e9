"""The images: what the Dockerfile promises, and, where a Docker engine runs, that they read a meter and serve it."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import yaml
from support.live_meters import LIMIT, fake, fetch, free_port, page, talking

from meterline.cli import health as health_module
from meterline.link import errors

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
STAGES: dict[str, str] = dict(re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.M | re.S))
PORTS = {"linky-exporter": 8123, "smartmeter-exporter": 9102, "meterline": 10230}
COMPOSE = sorted((ROOT / "examples" / "docker").rglob("docker-compose.yml"))


def instructions(text: str) -> list[tuple[str, str]]:
    """Name and arguments of each, without comments."""
    joined = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.M))
    return [(name, rest.strip()) for name, _, rest in (row.partition(" ") for row in joined.splitlines() if row.strip())]


def test_the_images_differ_in_what_they_start_and_in_their_port_only() -> None:
    assert list(STAGES) == ["build", "program", *PORTS], "the last one is the default"
    for target, port in PORTS.items():
        said = [(name, rest) for name, rest in instructions(STAGES[target]) if name != "CMD"]
        assert said == [("ENV", f"HEALTH_PORT={port}"), ("EXPOSE", str(port)), ("ENTRYPOINT", f'["{target}"]')]
    assert [name for name in PORTS if "CMD" in dict(instructions(STAGES[name]))] == ["meterline"]


def test_nothing_is_added_from_an_address() -> None:
    assert not [rest for name, rest in instructions(DOCKERFILE) if name == "ADD"]
    assert "://" not in DOCKERFILE
    assert "curl" not in DOCKERFILE
    assert "wget" not in DOCKERFILE


def test_every_package_is_installed_with_its_hash_or_is_ours() -> None:
    installs = re.findall(r"pip install (.*)", DOCKERFILE)
    assert len(installs) == 3
    for words in installs:
        assert "--require-hashes" in words or words.startswith("--no-index --no-deps /source/dist/")


def test_what_builds_our_wheel_is_pinned_for_developers() -> None:
    wanted = re.findall(r"wanted = /\^\((.*?)\)==/", DOCKERFILE)[0].split("|")
    pins = re.findall(r"^([a-z-]+)==", (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8"), re.M)
    assert set(wanted) <= set(pins)


def test_the_program_runs_as_somebody_without_rights_and_has_no_compiler() -> None:
    said = dict(instructions(STAGES["program"]))
    assert said["USER"] == "10001"
    assert said["VOLUME"] == "/var/lib/meterline"
    assert "--groups dialout" in STAGES["program"]
    assert "STATE_DIRECTORY=/var/lib/meterline" in said["ENV"]
    assert "gcc" not in STAGES["program"]
    assert not [name for target in PORTS for name, _ in instructions(STAGES[target]) if name in ("USER", "RUN")]


def test_the_context_holds_only_what_the_image_is_made_of() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[0] != "#"]
    assert lines[0] == "*"
    copied = {
        source.rstrip("/*")
        for stage, text in STAGES.items()
        for name, rest in instructions(text)
        if name == "COPY" and stage == "build"
        for source in rest.split()[:-1]
    }
    assert {line[1:] for line in lines if line.startswith("!")} == copied


def health() -> list[str]:
    command = re.findall(r"^HEALTHCHECK .*CMD (\[.*\])$", DOCKERFILE, re.M)
    assert len(command) == 1
    return [str(word) for word in json.loads(command[0])]


@pytest.mark.parametrize("variable", ["HEALTH_PORT", "LINKY_EXPORTER_PORT", "PROMETHEUS_PORT", "SMARTMETER_PORT"])
def test_health_is_asked_where_the_program_serves(variable: str) -> None:
    async def test() -> None:
        asked: list[str] = []
        status = b"200"

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append((await reader.readline()).decode())
            writer.write(b"HTTP/1.1 %s .\r\nContent-Length: 0\r\n\r\n" % status)
            await writer.drain()
            writer.close()

        async def ask() -> int:
            words = [sys.executable, *health()[1:]]
            others = {"SMARTMETER_PORT": " ", "HEALTH_PORT": "9"}
            environment = {**others, variable: f"{port} ", "http_proxy": "http://127.0.0.1:9"}
            process = await asyncio.create_subprocess_exec(*words, env=environment, stderr=subprocess.DEVNULL)
            return await process.wait()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        assert await ask() == 0
        assert asked == ["GET /-/healthy HTTP/1.1\r\n"]
        status = b"503"
        assert await ask() != 0
        server.close()
        await server.wait_closed()
        assert await ask() != 0

    asyncio.run(test())


@pytest.mark.parametrize(
    ("document", "words", "environment", "port"),
    [
        ('{"prometheus": {"port": 9133}}', [], {}, 9133),
        ('{"prometheus": {"port": 9133}}', [], {"LINKY_EXPORTER_PORT": "8124"}, 9133),
        ('{"prometheus": {"port": 9133}}', [], {"PROMETHEUS_PORT": "9134"}, 9134),
        ("{}", [], {}, 9100),
        (None, [], {}, 8123),
        (None, ["linky-exporter"], {}, 8123),
        (None, ["linky-exporter"], {"DEVICE": "/dev/serial0"}, 9100),
        (None, ["linky-exporter"], {"DEVICE": "/dev/serial0", "LINKY_EXPORTER_PORT": "8124"}, 8124),
        (None, ["linky-exporter", "--config", "OTHER"], {}, 9135),
        (None, ["tini", "--", "/opt/meterline/bin/linky-exporter", "--config=OTHER"], {}, 9135),
        (None, ["meterline", "run"], {"DEVICE": "/dev/serial0"}, 8123),
    ],
)
def test_health_of_the_json_exporter_is_asked_at_the_port_of_its_file(
    document: str | None,
    words: list[str],
    environment: dict[str, str],
    port: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file, other, first = tmp_path / "linky-exporter.json", tmp_path / "other.json", tmp_path / "cmdline"
    monkeypatch.setattr("meterline.compat.linky_exporter.JSON_FILE", str(file))
    monkeypatch.setattr("meterline.cli.health.CONTAINER_ARGUMENTS", str(first))
    if document:
        file.write_text(document)
    other.write_text('{"prometheus": {"port": 9135}}')
    first.write_text("".join(f"{word.replace('OTHER', str(other))}\0" for word in words))
    assert health_module.port(health_module.started_as(), {"HEALTH_PORT": "8123"} | environment) == port


def test_asking_for_health_reads_little_code() -> None:
    loaded = "import sys, meterline.cli.health; print(len([name for name in sys.modules if name.startswith('meterline')]))"
    answer = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True, timeout=60)
    assert int(answer.stdout) <= 6
    others = "import sys, meterline.cli.health; print([name for name in ('asyncio', 'tornado', 'yaml') if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", others], capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout == "[]\n"


@pytest.mark.parametrize("file", COMPOSE, ids=lambda file: file.parent.name)
def test_a_compose_file_builds_what_is_there_and_mounts_what_is_there(file: Path) -> None:
    compose = yaml.safe_load(file.read_text(encoding="utf-8"))
    ours = [service for service in compose["services"].values() if "build" in service]
    assert len(ours) == 1
    service = ours[0]
    target = service["build"].get("target", "meterline")
    assert (file.parent / service["build"]["context"]).resolve() == ROOT
    assert service["image"] == target
    assert service["read_only"] is True
    settings = file.parent / "linky-exporter.json"
    port = json.loads(settings.read_text())["prometheus"]["port"] if settings.exists() else PORTS[target]
    assert service["ports"][0].endswith(f"{port}:{port}")
    for each in compose["services"].values():
        assert ":" in each["image"] or each is service, "the version is pinned"
        for volume in each.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                if not (file.parent / source).exists():
                    assert "grafana" in source, f"{file}: {source}"
                    pytest.skip("no grafana/ here")
            else:
                assert source in compose["volumes"]


def test_in_a_container_permission_denied_names_the_group_to_add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device, mark = tmp_path / "ttyUSB0", tmp_path / "dockerenv"
    device.touch()
    device.chmod(0o660)
    mark.touch()
    monkeypatch.setattr(errors, "CONTAINER_MARKS", (str(tmp_path / "no"), str(mark)))
    group = device.stat().st_gid
    assert errors.not_opened(str(device), PermissionError(13, "Permission denied")).sentence == (
        f"permission denied; the device belongs to group {group}: start the container with --group-add {group}"
    )


# With an engine ------------------------------------------------------------------------------------------------------


def docker(*words: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *words], capture_output=True, text=True, timeout=seconds, check=False)


def pulled(name: str) -> bool:
    try:
        return docker("pull", "--quiet", name, seconds=120).returncode == 0
    except subprocess.TimeoutExpired:
        return False


@pytest.fixture(scope="session")
def base() -> str:
    """The image to build on: METERLINE_DOCKER_BASE, else what the Dockerfile says, if it can be had."""
    if not shutil.which("docker") or docker("info").returncode:
        pytest.skip("no Docker engine answers here")
    wanted = os.environ.get("METERLINE_DOCKER_BASE") or re.findall(r"^ARG BASE=(\S+)", DOCKERFILE, re.M)[0]
    if docker("image", "inspect", wanted).returncode and not pulled(wanted):
        pytest.skip(f"no image {wanted} here: METERLINE_DOCKER_BASE names another, such as one made with debootstrap")
    return wanted


@pytest.fixture(scope="session")
def context(base: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The build's context, with the wheels that the host's pip gets, so that the build needs none of its settings."""
    folder = tmp_path_factory.mktemp("context")
    for name in ("Dockerfile", ".dockerignore", "LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    for name in ("requirements", "src"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    tools = re.findall(r"wanted = /\^\((.*?)\)==/", DOCKERFILE)[0]
    pins = (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8")
    build = re.findall(rf"^(?:{tools})==\S+", pins, re.M)
    python = docker("run", "--rm", base, "python3", "--version").stdout
    version = python.split()[1].rpartition(".")[0] if python else "3.11"
    get = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "--python-version", version]
    for wanted in (["-r", str(ROOT / "requirements" / "run.txt")], build):
        got = subprocess.run([*get, "-d", str(folder / "wheels"), *wanted], capture_output=True, timeout=600, check=False)
        if got.returncode:
            pytest.skip("pip cannot download what the image needs")
    return folder


@functools.cache
def built(context: Path, base: str, target: str) -> str:
    """The image of this target."""
    tag = f"meterline-test-{target}"
    arguments = {"BASE": base, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels"}
    words = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
    made = docker("build", "--network", "host", "--target", target, "--tag", tag, *words, str(context), seconds=420)
    if "Temporary failure resolving" in made.stdout + made.stderr:
        pytest.skip("the build has no network: apt-get cannot look up Debian's archive")
    assert made.returncode == 0, made.stdout[-2000:] + made.stderr[-2000:]
    return tag


@pytest.fixture(scope="session")
def image(context: Path, base: str) -> Iterator[Callable[[str], str]]:
    """Target → the name of its image."""
    yield lambda target: built(context, base, target)
    docker("image", "rm", "--force", *(f"meterline-test-{target}" for target in PORTS))


@contextmanager
def container(image: str, *words: str, options: tuple[str, ...] = ()) -> Iterator[str]:
    """A container as the compose files run it, but on the host's network: its name."""
    shut = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
    started = docker("run", "--detach", "--network", "host", *shut, *options, image, *words)
    assert started.returncode == 0, started.stderr
    name = started.stdout.strip()
    try:
        yield name
    finally:
        docker("rm", "--force", "--volumes", name)


@asynccontextmanager
async def meter() -> AsyncIterator[str]:
    async with talking(fake(), tcp=True) as url:
        yield url


async def metrics(port: int, wanted: str, name: str) -> str:
    """The page, once it says `wanted`."""
    deadline = time.monotonic() + LIMIT
    while wanted not in (text := await asyncio.to_thread(page, port, "/metrics", 30.0)):
        assert time.monotonic() < deadline, docker("logs", name).stderr
        await asyncio.sleep(0.2)
    return text


def test_the_image_serves_a_meter_without_rights_on_a_read_only_root(image: Callable[[str], str]) -> None:
    tag, port = image("meterline"), free_port()

    async def test() -> None:
        address = f"127.0.0.1:{port}"
        async with meter() as url:
            run = ("run", url, "--web.listen-address", address)
            with container(tag, *run, options=("--env", f"HEALTH_PORT={port}")) as name:
                await metrics(port, 'smartmeter_up{meter="127.0.0.1"} 1.0', name)
                assert fetch(f"http://{address}/-/healthy")[0] == 200
                assert (await asyncio.to_thread(docker, "exec", name, *health())).returncode == 0
                assert (
                    "uid=10001(meterline) gid=10001(meterline) groups=10001(meterline),20(dialout)"
                    in docker("exec", name, "id").stdout
                )
                assert docker("exec", name, "touch", "/var/lib/meterline/kept").returncode == 0
                assert docker("exec", name, "touch", "/opt/meterline/kept").returncode != 0
                assert (await asyncio.to_thread(docker, "stop", "--time", "50", name)).returncode == 0
                assert docker("inspect", "--format", "{{.State.ExitCode}}", name).stdout.strip() == "0"

    asyncio.run(test())


def test_the_image_has_no_compiler_and_no_pip(image: Callable[[str], str]) -> None:
    look = "for program in cc gcc pip pip3 curl wget; do command -v $program; done; echo looked"
    found = docker("run", "--rm", "--entrypoint", "sh", image("meterline"), "-c", look)
    assert found.stdout == "looked\n"


def test_a_missing_configuration_is_said_in_one_line(image: Callable[[str], str]) -> None:
    answer = docker("run", "--rm", "--read-only", image("meterline"))
    assert answer.stderr == "meterline: /etc/meterline.yml: No such file or directory\n"
    assert answer.returncode in (1, 2)


def test_the_image_of_the_linky_exporter_serves_its_names(image: Callable[[str], str]) -> None:
    tag, port = image("linky-exporter"), free_port()

    async def test() -> None:
        async with meter() as url:
            variables = ("--env", f"LINKY_EXPORTER_INTERFACE={url}", "--env", f"LINKY_EXPORTER_PORT={port}")
            with container(tag, options=variables) as name:
                await metrics(port, "\nlinky_papp{", name)
                assert (await asyncio.to_thread(docker, "exec", name, *health())).returncode == 0

    asyncio.run(test())


def test_the_image_of_the_smartmeter_exporter_asks_for_its_secrets(image: Callable[[str], str]) -> None:
    answer = docker("run", "--rm", "--read-only", image("smartmeter-exporter"))
    assert answer.returncode == 1
    assert answer.stderr.count("\n") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a device to a group")
def test_a_device_of_another_group_needs_that_group_and_is_told_so(image: Callable[[str], str]) -> None:
    tag, port = image("meterline"), free_port()

    async def test() -> None:
        async with talking(fake()) as url:
            await asyncio.to_thread(os.chown, url, 0, 4242)
            os.chmod(url, 0o660)
            number = os.stat(url).st_rdev
            rule = f"c {os.major(number)}:{os.minor(number)} rw"
            options = ("--device-cgroup-rule", rule, "--volume", f"{os.path.realpath(url)}:/dev/ttyUSB0")
            run = ("run", "/dev/ttyUSB0", "--web.listen-address", f"127.0.0.1:{port}")
            assert stat.S_ISCHR(os.stat(url).st_mode)
            with container(tag, *run, options=options) as name:
                deadline = time.monotonic() + LIMIT
                while "start the container with --group-add 4242" not in docker("logs", name).stderr:
                    assert time.monotonic() < deadline, docker("logs", name).stderr
                    await asyncio.sleep(0.2)
            with container(tag, *run, options=(*options, "--group-add", "4242")) as name:
                await metrics(port, 'smartmeter_up{meter="ttyUSB0"} 1.0', name)

    asyncio.run(test())
