"""All commands of the command line, their flags and their help."""

from __future__ import annotations

import argparse
from datetime import date
from typing import TypeAlias

from meterline import __version__, logs
from meterline.cli.parser import Parser
from meterline.compat.adapter import LIKE
from meterline.locale import codes
from meterline.protocols import PROTOCOLS

DEFAULT_ADDRESS = ":10230"

EXAMPLES = """\
examples:
  meterline demo                                   four simulated meters, no hardware
  meterline detect /dev/ttyUSB0                    identify the meter and print its configuration
  meterline read /dev/ttyUSB0                      print the current readings
  meterline doctor                                 find out why something fails, and what to do
  meterline run /dev/ttyUSB0                       read one meter; open http://localhost:10230/, scrape /metrics
  meterline run --config.file meterline.yml        read several meters
"""


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"

SHELLS = ("bash", "zsh", "fish", "tcsh")


def parser(simulators: bool = True) -> Parser:
    """Return the parser of all commands and flags.

    Args:
        simulators: Include the flags of `simulate`. Their help comes from the simulators of all protocols, which a command
            that does not show it need not import.
    """
    top = Parser(
        prog="meterline",
        description="Read smart meters at the customer port and serve their readings to Prometheus.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"meterline {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    _add_run(commands)
    _add_read(commands)

    migrate = _command(commands, "migrate", "convert another exporter's settings to a meterline configuration")
    migrate.add_argument("--like", choices=tuple(LIKE), required=True, help="the exporter whose settings are converted")
    migrate.add_argument("words", nargs="*", metavar="SETTING", help="the exporter's flags, after --")

    demo = _command(commands, "demo", "run four simulated meters, which are read and served like real meters")
    _serving(demo)

    check = _command(commands, "check", "check a configuration file and report where it is wrong, and why")
    check.add_argument("file", help="the configuration (see docs/configure.md)")

    detect = _command(commands, "detect", "identify the protocol, speed, mode, meter and contract of one link")
    detect.add_argument("link", help="a device, tcp://host:port or file:CAPTURE; no other device is opened")

    _add_doctor(commands)

    scan = _command(commands, "scan", "list the meters that an adapter receives by radio, and print their configuration")
    scan.add_argument("link", help="a device or tcp://host:port")
    scan.add_argument("--id-file", metavar="FILE", help="the ID of your own meter (default: from the environment)")

    _add_capture(commands)
    decode = _command(commands, "decode", "print a capture as JSON, one object a line, with what is rejected and why")
    decode.add_argument("file", help="a capture; - is standard input")
    decode.add_argument("--protocol", choices=tuple(PROTOCOLS), help="default: detected")

    _add_cost(commands)
    _add_ledger(commands)
    _command(commands, "hash-password", "hash a password (one line of standard input) for basic_auth_users")

    _add_simulate(commands, simulators)

    completion = _command(commands, "completion", "print a script that lets a shell complete commands and flags")
    completion.add_argument("shell", choices=SHELLS, metavar="SHELL", help=f"one of {', '.join(SHELLS)}")
    help_ = _command(commands, "help", "show the commands, or the flags of one command")
    help_.add_argument("words", nargs="*", metavar="COMMAND", help="such as: run")
    return top


def _add_run(commands: Commands) -> None:
    run = _command(commands, "run", "read meters and serve them to Prometheus")
    run.add_argument("link", nargs="?", help="one meter, which is detected: a device, tcp://host:port or file:CAPTURE")
    run.add_argument("words", nargs="*", metavar="SETTING", help="with --like: the other exporter's settings, after --")
    run.add_argument("--config.file", dest="config", metavar="FILE", help="the meters to read (see docs/configure.md)")
    run.add_argument("--like", choices=tuple(LIKE), help="replace another exporter: take its settings, serve its metrics")
    _kept(run)
    run.add_argument("--shard", metavar="N/COUNT", help="with several processes: read this process's share of the meters")
    run.add_argument("--web.config.file", dest="web", metavar="FILE", help="TLS and passwords, in the format of node_exporter")
    run.add_argument(
        "--web.allow-from",
        dest="allowed",
        action="append",
        default=[],
        metavar="NETWORK",
        help="answer only this address or network, and this machine; may be repeated",
    )
    run.add_argument("--web.page", dest="page", choices=("on", "off"), default="on", help="the live page at / (default on)")
    _serving(run)


def _add_read(commands: Commands) -> None:
    read = _command(commands, "read", "print the current readings of a meter, such as power, energy and tariff, with units")
    read.add_argument("link", nargs="?", help="a device, tcp://host:port or file:CAPTURE")
    read.add_argument("--config.file", dest="config", metavar="FILE", help="the configuration of the meter, in place of a link")
    read.add_argument("--meter", metavar="NAME", help="name of the meter, if the file has several")
    read.add_argument("--protocol", choices=tuple(PROTOCOLS), help="default: detected")
    read.add_argument(
        "--options",
        metavar="OPTIONS",
        help="options of the protocol, as in a configuration: {id_file: FILE, password_file: FILE} (default: the options "
        "that meterline detect prints, which may take secrets from the environment)",
    )
    read.add_argument(
        "--watch", action="store_true", help="keep reading and show each change (default: print the readings once)"
    )
    read.add_argument(
        "--json", dest="as_json", action="store_true", help="print one JSON object; with --watch one for each frame"
    )
    read.add_argument("--lang", choices=codes(), help="language (default: that of LANG, else English)")
    read.add_argument("--seconds", type=float, default=120.0, help="time to wait for the first values (default 120)")


def _command(commands: Commands, name: str, text: str) -> Parser:
    return commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")


def _kept(command: Parser) -> None:
    command.add_argument(
        "--state.dir",
        dest="state",
        metavar="FOLDER",
        help="folder of data that survives a restart (default: systemd's StateDirectory, else ~/.local/state/meterline)",
    )


def _served(command: Parser, purpose: str = "address to serve on") -> None:
    command.add_argument(
        "--web.listen-address",
        dest="address",
        metavar="ADDRESS",
        default=DEFAULT_ADDRESS,
        help=f"{purpose} (default {DEFAULT_ADDRESS}: all addresses of this machine)",
    )


def _serving(command: Parser) -> None:
    _served(command)
    command.add_argument("--log.level", dest="level", choices=logs.LEVELS, default="info", help="default: info")
    command.add_argument("--log.format", dest="style", choices=logs.FORMATS, default="logfmt", help="default: logfmt")


def _add_doctor(commands: Commands) -> None:
    doctor = _command(commands, "doctor", "report problems of links, devices and this machine, with remedies")
    doctor.add_argument(
        "link", nargs="?", help="a device or tcp://host:port (default: all links of the file, else every adapter)"
    )
    doctor.add_argument("--config.file", dest="config", metavar="FILE", help="the configuration of the meters")
    _kept(doctor)
    _served(doctor, "address of a running meterline, which is asked for its meters")
    doctor.add_argument("--seconds", type=float, default=10.0, help="time to listen to each line (default 10)")
    doctor.add_argument("--json", action="store_true", help="print one JSON object for each finding")
    doctor.add_argument(
        "--bundle", metavar="FILE", help="write a zip for a bug report, without data that identifies the household"
    )
    doctor.add_argument("--force", action="store_true", help="overwrite an existing bundle")


def _add_capture(commands: Commands) -> None:
    capture = _command(commands, "capture", "write the bytes that a meter sends to a file")
    capture.add_argument("link", help="a device or tcp://host:port")
    capture.add_argument("-o", dest="file", metavar="FILE", required=True, help="the file to write")
    capture.add_argument("--force", action="store_true", help="overwrite an existing file")
    capture.add_argument(
        "--redact", action="store_true", help="mask numbers that identify the household, and messages of the distributor"
    )
    capture.add_argument("--seconds", type=float, help="stop after this many seconds (default: at Ctrl-C)")
    capture.add_argument("--baud", type=int, help="speed of the line; without detection, and nothing is sent")
    capture.add_argument("--protocol", choices=tuple(PROTOCOLS), help="default: detected")
    capture.add_argument("--config.file", dest="config", metavar="FILE", help="the configuration of the link's meters")


def _add_cost(commands: Commands) -> None:
    cost = _command(commands, "cost", "print the cost of energy by day, month or billing period, or compare it with a bill")
    _of_the_state(cost)
    cost.add_argument("--by", choices=("day", "month", "period"), default="day", help="default: day")
    _of_some_days(cost)
    cost.add_argument("--json", dest="as_json", action="store_true", help="print one JSON object a line, with exact numbers")
    cost.add_argument(
        "--check", metavar="BILL", help="compare with a bill, such as 1234.5kWh=310.20EUR; status 1 if they differ"
    )


def _add_ledger(commands: Commands) -> None:
    export = _command(commands, "export", "print what the registers rose by, by slot, hour or day")
    _of_the_state(export)
    export.add_argument("--by", choices=("slot", "hour", "day"), default="hour", help="default: hour; slot: 15 or 30 minutes")
    _of_some_days(export)
    export.add_argument("--format", dest="form", choices=("csv", "json", "openmetrics"), default="csv", help="default: csv")
    for name, what, file in (
        ("backup", "copy the ledger, also while meterline run writes it", "the copy, a new file"),
        ("restore", "put a backup in the place of a lost ledger", "a file that backup wrote"),
    ):
        command = _command(commands, name, what)
        command.add_argument("file", metavar="FILE", help=file)
        _of_the_state(command, meters_too=False)


def _of_the_state(command: Parser, meters_too: bool = True) -> None:
    command.add_argument("--state.dir", dest="state", metavar="FOLDER", help="the folder that meterline run writes")
    if meters_too:
        command.add_argument("--meter", metavar="NAME", help="one meter (default: all)")


def _of_some_days(command: Parser) -> None:
    command.add_argument("--from", dest="since", type=_day, metavar="DATE", help="first day, such as 2026-01-15")
    command.add_argument("--to", dest="until", type=_day, metavar="DATE", help="last day")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date such as 2026-01-15") from None


def _add_simulate(commands: Commands, kinds_too: bool) -> None:
    simulate = _command(commands, "simulate", "simulate a meter, at the speed of its line")
    if not kinds_too:
        return
    kinds = simulate.add_subparsers(dest="kind", metavar="PROTOCOL", required=True)
    for name, protocol in PROTOCOLS.items():
        simulator = protocol.simulator()
        kind = _command(kinds, name, simulator.summary)
        simulator.add_flags(kind)
        _simulating(kind, simulator.faults)


def _simulating(kind: Parser, faults: str) -> None:
    """Add the flags that every simulated meter has."""
    kind.add_argument("--seed", type=int, default=1, help="seed of the simulated household (default 1)")
    place = kind.add_mutually_exclusive_group()
    place.add_argument("--pty", metavar="PATH", help="make PATH a link to a new pseudo-terminal")
    place.add_argument("--tcp", metavar="HOST:PORT", help="serve on a TCP port")
    kind.add_argument("--fault", action="append", default=[], metavar="NAME=VALUE", help=f"{faults}; may be repeated")
