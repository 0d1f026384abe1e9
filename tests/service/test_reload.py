"""Another configuration while the program runs: only what is configured otherwise changes."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from support.live_meters import LIMIT, POWER, fake, page, port_of, program, reading, shows, talking, tic, until
from support.live_meters import run as run_in_real_time
from support.virtual_lines import run

from meterline.billing.tariff import Period, Tariffs
from meterline.config.labels import Labels
from meterline.config.schema import Config, MeterConfig, load, shard
from meterline.errors import UserError
from meterline.meter.exposition import Page
from meterline.meter.readings import Observation
from meterline.simulation.line import on_pty


def test_a_meter_that_is_configured_as_before_is_not_touched() -> None:
    async def test() -> None:
        async with talking(fake()) as one, talking(fake(number=2)) as two, reading(tic("one", one), for_ever=True) as runtime:
            await until(lambda: runtime.meters["one"].value(*POWER))
            before = runtime.meters["one"]
            await runtime.change(Config((tic("two", two), tic("one", one))))
            assert list(runtime.meters) == ["two", "one"]
            assert runtime.meters["one"] is before
            await until(lambda: runtime.meters["two"].value(*POWER))
            assert before.counters.opened == 1
            await runtime.change(Config((tic("one", one),)))
            assert list(runtime.meters) == ["one"]
            frames = before.counters.frames
            await until(lambda: before.counters.frames > frames)
            assert before.counters.opened == 1

    run(test())


def test_a_meter_whose_link_changes_goes_on_counting_on_the_new_one() -> None:
    async def test() -> None:
        meter = fake()
        async with talking(meter) as old, talking(meter) as new, reading(tic("home", old), for_ever=True) as runtime:
            await until(lambda: runtime.meters["home"].value(*POWER))
            frames = runtime.meters["home"].counters.frames
            await runtime.change(Config((tic("home", new),)))
            await until(lambda: runtime.meters["home"].counters.opened == 2)
            await until(lambda: runtime.meters["home"].counters.frames > frames)

    run(test())


def test_a_link_is_free_for_another_name_at_once() -> None:
    async def test() -> None:
        async with talking(fake()) as url, reading(tic("old", url), for_ever=True) as runtime:
            await until(lambda: runtime.meters["old"].counters.frames)
            await runtime.change(Config((tic("new", url),)))
            await until(lambda: runtime.meters["new"].counters.frames)
            assert runtime.meters["new"].counters.opened == 1

    run(test())


def test_another_deadline_is_taken_over() -> None:
    async def test() -> None:
        async with talking(fake()) as url, reading(tic("home", url), for_ever=True) as runtime:
            await runtime.change(Config((tic("home", url, stale_after=42.0),)))
            assert runtime.meters["home"].stale_after == 42.0

    run(test())


def test_another_label_is_shown_at_once_and_opens_no_link_again() -> None:
    async def test() -> None:
        async with talking(fake()) as url, reading(tic("home", url, labels=Labels(flat="1")), for_ever=True) as runtime:
            await until(lambda: runtime.meters["home"].value(*POWER))
            shown = Page(runtime.meters.values()).text()
            assert shown.count('{flat="1",meter="home"') > 10
            assert '{meter="home"' not in shown
            await runtime.change(Config((tic("home", url, labels=Labels(area="attic")),)))
            shown = Page(runtime.meters.values()).text()
            assert shown.count('{area="attic",meter="home"') > 10
            assert 'flat="1"' not in shown
            frames = runtime.meters["home"].counters.frames
            await until(lambda: runtime.meters["home"].counters.frames > frames)
            assert runtime.meters["home"].counters.opened == 1
            await runtime.change(Config((tic("home", url),)))
            assert 'area="attic"' not in Page(runtime.meters.values()).text()

    run(test())


def test_another_price_holds_for_what_comes_and_what_is_booked_stays() -> None:
    def contract(price: str) -> Tariffs:
        return Tariffs("EUR", (Period(date(2020, 1, 1), price=Decimal(price)),))

    async def test() -> None:
        async with talking(fake()) as url, reading(tic("home", url, tariffs=contract("0.20")), for_ever=True) as runtime:
            await until(lambda: runtime.books.account("home"))
            account = runtime.books.account("home")
            assert account
            account.totals.costs["HCHP"] = Decimal(7)
            account.changed = True
            await runtime.change(Config((tic("home", url, tariffs=contract("0.30")),)))
            await until(lambda: runtime.books.account("home") not in (None, account))
            after = runtime.books.account("home")
            assert after
            assert after.totals.costs["HCHP"] >= 7
            assert set(after.prices(int(time.time())).values()) == {Decimal("0.30")}

    run(test())


def write(path: Path, *meters: str, more: str = "") -> None:
    path.write_text(more + "meters:\n" + "".join(f"  - {meter}\n" for meter in meters))


def test_sighup_reads_the_file_again_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        async with on_pty(str(tmp_path / "tty")) as (url, _, _):
            file = tmp_path / "meterline.yml"
            write(file, f"{{name: one, link: {url}, protocol: tic}}")
            words = ("--config.file", str(file), "--state.dir", str(tmp_path), "--web.listen-address", "127.0.0.1:0")
            with program("run", *words) as process:
                port = await asyncio.to_thread(port_of, process)
                text = await asyncio.to_thread(page, port)
                assert "meterline_config_last_reload_successful 1.0" in text

                write(file, f"{{name: one, link: {url}, protocol: tic}}", "{name: two, link: /dev/ttyNONE}")
                process.send_signal(signal.SIGHUP)
                await shown(port, 'meter="two"')

                write(file, "{name: one, link: nowhere}", more="log_level: debug\n")
                process.send_signal(signal.SIGHUP)
                text = await shown(port, "meterline_config_last_reload_successful 0.0")
                assert 'meter="two"' in text

                write(file, f"{{name: one, link: {url}, protocol: tic}}", more="log_level: error\n")
                process.send_signal(signal.SIGHUP)
                text = await shown(port, "meterline_config_last_reload_successful 1.0")
                assert 'meter="two"' not in text
                process.send_signal(signal.SIGTERM)
                out, _ = await asyncio.to_thread(process.communicate, None, LIMIT)
            assert process.returncode == 0
            assert (
                len(re.findall("not reloaded, the previous configuration stays in force: .*meter 'one': link 'nowhere'", out))
                == 1
            )
            assert "configuration reloaded: 2 meters" in out
            assert "configuration reloaded: 1 meter" not in out  # only errors are said by then
            assert "Traceback" not in out

    run_in_real_time(test())


async def shown(port: int, wanted: str) -> str:
    return await asyncio.to_thread(shows, port, wanted)


def test_sighup_without_a_file_ends_the_program_as_a_closed_terminal_should() -> None:
    with program("run", "/dev/ttyNONE", "--web.listen-address", "127.0.0.1:0") as process:
        port_of(process)
        process.send_signal(signal.SIGHUP)
        assert process.wait(LIMIT) == 0


def test_a_name_on_another_link_keeps_its_counters_and_nothing_that_was_true_of_the_old_one() -> None:
    async def test() -> None:
        async with talking(fake()) as url, reading(tic("home", url), for_ever=True) as runtime:
            meter = runtime.meters["home"]
            await until(lambda: meter.value(*POWER))
            meter.counters.observe(Observation(("smartmeter_session_up",), 1))
            meter.counters.observe(Observation(("smartmeter_polls_failed_total",), 3, increment=True))
            frames = meter.counters.frames
            await runtime.change(Config((tic("home", "/dev/ttyNONE"),)))
            assert meter.value(*POWER) is None
            assert not meter.up
            text = Page(runtime.meters.values()).text()
            assert "smartmeter_session_up" not in text
            assert 'smartmeter_polls_failed_total{meter="home"} 3.0' in text
            assert meter.counters.frames >= frames

    run(test())


class TestShard:
    NAMES = tuple(f"meter-{n:04}" for n in range(1000))

    def config(self) -> Config:
        return Config(tuple(MeterConfig(name, f"tcp://bridge:{n + 1}") for n, name in enumerate(self.NAMES)))

    @pytest.mark.parametrize("count", [1, 2, 3, 7])
    def test_each_meter_belongs_to_one_process(self, count: int) -> None:
        parts = [shard(self.config(), f"{number}/{count}").meters for number in range(1, count + 1)]
        assert sorted(meter.name for part in parts for meter in part) == list(self.NAMES)
        assert min(map(len, parts)) > 0.8 * 1000 / count

    def test_the_meters_of_one_link_stay_together(self) -> None:
        meters = [replace(meter, link=f"tcp://bridge:{n // 10 + 1}") for n, meter in enumerate(self.config().meters)]
        first = {meter.link for meter in shard(Config(tuple(meters)), "1/2").meters}
        assert first.isdisjoint(meter.link for meter in shard(Config(tuple(meters)), "2/2").meters)

    @pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/", "-1/2", "1/0"])
    def test_a_wrong_shard_is_an_error_of_one_line(self, text: str) -> None:
        with pytest.raises(UserError, match="expected NUMBER/COUNT, such as 1/2"):
            shard(self.config(), text)

    def test_a_shard_keeps_the_settings_beside_the_meters(self, tmp_path: Path) -> None:
        file = tmp_path / "meterline.yml"
        write(file, "{name: one, link: /dev/ttyUSB0}", more="log_level: warn\n")
        assert shard(load(str(file)), "1/1") == load(str(file))
