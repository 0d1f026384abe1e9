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
  meterline detect /dev/ttyUSB0                    what speaks there, and the configuration for it
  meterline read /dev/ttyUSB0                      what the meter says now
  meterline doctor                                 it does not work: why, and what to do
  meterline run /dev/ttyUSB0                       read one meter; look at http://localhost:10230/, scrape /metrics
  meterline run --config.file meterline.yml        read many
"""


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"

SHELLS = ("bash", "zsh", "fish", "tcsh")


def parser(simulators: bool = True) -> Parser:
    """Return the parser of all commands and flags.

    Args:
        simulators: With the flags of `simulate`, whose help comes from the simulators of all protocols; a command that does not
            show them need not import those.
    """
    top = Parser(
        prog="meterline",
        description="Reads smart meters at the customer's port and serves them to Prometheus.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"meterline {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    _add_run(commands)
    _add_read(commands)

    migrate = _command(commands, "migrate", "print the configuration of ours that does what another exporter's settings do")
    migrate.add_argument("--like", choices=tuple(LIKE), required=True, help="the exporter whose settings are there")
    migrate.add_argument("words", nargs="*", metavar="SETTING", help="its flags, after --")

    demo = _command(commands, "demo", "four simulated meters, read and served as real ones are")
    _serving(demo)

    check = _command(commands, "check", "say whether a configuration file is good, and if not, where and why")
    check.add_argument("file", help="the configuration (see docs/configure.md)")

    detect = _command(commands, "detect", "listen on one link: which protocol, speed, mode, meter and contract")
    detect.add_argument("link", help="a device, tcp://host:port or file:CAPTURE; nothing else is touched")

    _add_doctor(commands)

    scan = _command(commands, "scan", "which meters the radio of an adapter hears, and the configuration for them")
    scan.add_argument("link", help="a device or tcp://host:port")
    scan.add_argument("--id-file", metavar="FILE", help="the ID of your own meter (default: from the environment)")

    _add_capture(commands)
    decode = _command(commands, "decode", "print a capture as JSON, one object a line, with what is rejected and why")
    decode.add_argument("file", help="a capture; - is standard input")
    decode.add_argument("--protocol", choices=tuple(PROTOCOLS), help="default: found out")

    _add_cost(commands)
    _add_ledger(commands)
    _command(commands, "hash-password", "turn a password (one line of standard input) into what basic_auth_users takes")

    _add_simulate(commands, simulators)

    completion = _command(commands, "completion", "print a script by which a shell completes commands and flags")
    completion.add_argument("shell", choices=SHELLS, metavar="SHELL", help=f"one of {', '.join(SHELLS)}")
    help_ = _command(commands, "help", "show this, or the flags of a command")
    help_.add_argument("words", nargs="*", metavar="COMMAND", help="such as: run")
    return top


def _add_run(commands: Commands) -> None:
    run = _command(commands, "run", "read meters and serve them to Prometheus")
    run.add_argument("link", nargs="?", help="one meter: a device, tcp://host:port or file:CAPTURE; all else is detected")
    run.add_argument("words", nargs="*", metavar="SETTING", help="with --like: the other exporter's settings, after --")
    run.add_argument("--config.file", dest="config", metavar="FILE", help="the meters to read (see docs/configure.md)")
    run.add_argument("--like", choices=tuple(LIKE), help="stand in for another exporter: its settings, its metrics")
    _kept(run)
    run.add_argument("--shard", metavar="N/COUNT", help="one of several processes: read the meters whose names fall to it")
    run.add_argument("--web.config.file", dest="web", metavar="FILE", help="TLS and passwords, as node_exporter takes them")
    run.add_argument("--web.page", dest="page", choices=("on", "off"), default="on", help="the live page at / (default on)")
    _serving(run)


def _add_read(commands: Commands) -> None:
    read = _command(commands, "read", "say what a meter says now: its power, energy, tariff and all else, with their units")
    read.add_argument("link", nargs="?", help="a device, tcp://host:port or file:CAPTURE")
    read.add_argument("--config.file", dest="config", metavar="FILE", help="where the meter and its secrets are, instead")
    read.add_argument("--meter", metavar="NAME", help="which of the file's meters, where it has several")
    read.add_argument("--protocol", choices=tuple(PROTOCOLS), help="default: detected")
    read.add_argument(
        "--options",
        metavar="OPTIONS",
        help="of the protocol, written as in a configuration: {id_file: FILE, password_file: FILE} (default: those that "
        "meterline detect prints, which may take secrets from the environment)",
    )
    read.add_argument("--watch", action="store_true", help="go on, and show each change (default: say it once)")
    read.add_argument("--json", dest="as_json", action="store_true", help="one JSON object; with --watch one a frame")
    read.add_argument("--lang", choices=codes(), help="default: that of LANG, else English")
    read.add_argument("--seconds", type=float, default=120.0, help="how long to wait for the first values (default 120)")


def _command(commands: Commands, name: str, text: str) -> Parser:
    return commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")


def _kept(command: Parser) -> None:
    command.add_argument(
        "--state.dir",
        dest="state",
        metavar="FOLDER",
        help="what must survive a restart (default: systemd's StateDirectory, else ~/.local/state/meterline)",
    )


def _served(command: Parser) -> None:
    command.add_argument(
        "--web.listen-address",
        dest="address",
        metavar="ADDRESS",
        default=DEFAULT_ADDRESS,
        help=f"where to serve (default {DEFAULT_ADDRESS}: all addresses of this machine)",
    )


def _serving(command: Parser) -> None:
    _served(command)
    command.add_argument("--log.level", dest="level", choices=logs.LEVELS, default="info", help="default: info")
    command.add_argument("--log.format", dest="style", choices=logs.FORMATS, default="logfmt", help="default: logfmt")


def _add_doctor(commands: Commands) -> None:
    doctor = _command(commands, "doctor", "say what is wrong with links, devices and this machine, and what to do about it")
    doctor.add_argument("link", nargs="?", help="a device or tcp://host:port (default: all of the file, else every adapter)")
    doctor.add_argument("--config.file", dest="config", metavar="FILE", help="where the meters and their secrets are")
    _kept(doctor)
    _served(doctor)
    doctor.add_argument("--seconds", type=float, default=10.0, help="how long to listen to each line (default 10)")
    doctor.add_argument("--json", action="store_true", help="one JSON object a finding")
    doctor.add_argument("--bundle", metavar="FILE", help="write a zip for a bug report: nothing in it names the household")
    doctor.add_argument("--force", action="store_true", help="overwrite a bundle that is there already")


def _add_capture(commands: Commands) -> None:
    capture = _command(commands, "capture", "write what a meter sends to a file, byte by byte")
    capture.add_argument("link", help="a device or tcp://host:port")
    capture.add_argument("-o", dest="file", metavar="FILE", required=True, help="the file to write")
    capture.add_argument("--force", action="store_true", help="overwrite a file that is there already")
    capture.add_argument("--redact", action="store_true", help="take the household out: numbers of meter, contract, radio")
    capture.add_argument("--seconds", type=float, help="stop after so many seconds (default: at Ctrl-C)")
    capture.add_argument("--baud", type=int, help="speed of the line: only listen, nothing is detected")
    capture.add_argument("--protocol", choices=tuple(PROTOCOLS), help="default: detected")
    capture.add_argument("--config.file", dest="config", metavar="FILE", help="where the link's meters and secrets are")


def _add_cost(commands: Commands) -> None:
    cost = _command(commands, "cost", "what energy has cost, by day, month or billing period; whether a bill agrees")
    cost.add_argument("--state.dir", dest="state", metavar="FOLDER", help="as of meterline run")
    cost.add_argument("--meter", metavar="NAME", help="one meter (default: all)")
    cost.add_argument("--by", choices=("day", "month", "period"), default="day", help="default: day")
    cost.add_argument("--from", dest="since", type=_day, metavar="DATE", help="first day, such as 2026-01-15")
    cost.add_argument("--to", dest="until", type=_day, metavar="DATE", help="last day")
    cost.add_argument("--json", dest="as_json", action="store_true", help="one object a line, exact numbers")
    cost.add_argument("--check", metavar="BILL", help="compare with a bill, such as 1234.5kWh=310.20EUR; status 1: it differs")


def _add_ledger(commands: Commands) -> None:
    export = _command(commands, "export", "what the registers rose by, by slot, hour or day, as a table")
    export.add_argument("--state.dir", dest="state", metavar="FOLDER", help="as of meterline run")
    export.add_argument("--meter", metavar="NAME", help="one meter (default: all)")
    export.add_argument("--by", choices=("slot", "hour", "day"), default="hour", help="default: hour; slot: 15 or 30 minutes")
    export.add_argument("--from", dest="since", type=_day, metavar="DATE", help="first day, such as 2026-01-15")
    export.add_argument("--to", dest="until", type=_day, metavar="DATE", help="last day")
    export.add_argument("--format", dest="form", choices=("csv", "json", "openmetrics"), default="csv", help="default: csv")
    for name, what, file in (
        ("backup", "copy the ledger while meterline run may go on writing", "the copy, a new file"),
        ("restore", "put a backup in the place of a ledger that is lost", "a file that backup wrote"),
    ):
        command = _command(commands, name, what)
        command.add_argument("file", metavar="FILE", help=file)
        command.add_argument("--state.dir", dest="state", metavar="FOLDER", help="as of meterline run")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date such as 2026-01-15") from None


def _add_simulate(commands: Commands, kinds_too: bool) -> None:
    simulate = _command(commands, "simulate", "a meter without hardware, at the speed of its line")
    if not kinds_too:
        return
    kinds = simulate.add_subparsers(dest="kind", metavar="PROTOCOL", required=True)
    for name, protocol in PROTOCOLS.items():
        simulator = protocol.simulator()
        kind = _command(kinds, name, simulator.summary)
        simulator.add_flags(kind)
        _simulating(kind, simulator.faults)


def _simulating(kind: Parser, faults: str) -> None:
    """Flags of every simulated meter."""
    kind.add_argument("--seed", type=int, default=1, help="another number, another household (default 1)")
    place = kind.add_mutually_exclusive_group()
    place.add_argument("--pty", metavar="PATH", help="make PATH a link to a new pseudo-terminal")
    place.add_argument("--tcp", metavar="HOST:PORT", help="serve on a TCP port instead")
    kind.add_argument("--fault", action="append", default=[], metavar="NAME=VALUE", help=faults)
