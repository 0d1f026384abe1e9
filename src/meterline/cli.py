"""The command line: says what is wrong in one line, and never with a traceback."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from meterline import __version__, logs
from meterline.errors import UserError

DEFAULT_ADDRESS = ":10230"

EXAMPLES = """\
examples:
  meterline demo                                   three simulated meters, no hardware
  meterline detect /dev/ttyUSB0                    what speaks there, and the configuration for it
  meterline run /dev/ttyUSB0                       read one meter, serve http://localhost:10230/metrics
  meterline run --config.file meterline.yml        read many
"""


def parser() -> argparse.ArgumentParser:
    """All commands and flags."""
    top = argparse.ArgumentParser(
        prog="meterline",
        description="Reads smart meters at the customer's port and serves them to Prometheus.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"meterline {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    run = _command(commands, "run", "read meters and serve them to Prometheus")
    run.add_argument("link", nargs="?", help="one meter: a device, tcp://host:port or file:CAPTURE; all else is detected")
    run.add_argument("--config.file", dest="config", metavar="FILE", help="the meters to read (see docs/configure.md)")
    _serving(run)

    demo = _command(commands, "demo", "three simulated meters, read and served as real ones are")
    _serving(demo)

    check = _command(commands, "check", "say whether a configuration file is good, and if not, where and why")
    check.add_argument("file", help="the configuration (see docs/configure.md)")

    detect = _command(commands, "detect", "listen on one link: which protocol, speed, mode, meter and contract")
    detect.add_argument("link", help="a device, tcp://host:port or file:CAPTURE; nothing else is touched")

    capture = _command(commands, "capture", "write what a meter sends to a file, byte by byte")
    capture.add_argument("link", help="a device or tcp://host:port")
    capture.add_argument("-o", dest="file", metavar="FILE", required=True, help="the file to write")
    capture.add_argument("--redact", action="store_true", help="replace ADCO, ADSC and PRM, with right checksums")
    capture.add_argument("--seconds", type=float, help="stop after so many seconds (default: at Ctrl-C)")
    capture.add_argument("--baud", type=int, help="speed of the line (default: detected)")

    decode = _command(commands, "decode", "print a capture as JSON, one object a line, with what is rejected and why")
    decode.add_argument("file", help="a capture; - is standard input")
    decode.add_argument("--protocol", choices=("tic",), default="tic", help="default: tic")

    _add_simulate(commands)
    return top


def _command(commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")


def _serving(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--web.listen-address",
        dest="address",
        metavar="ADDRESS",
        default=DEFAULT_ADDRESS,
        help=f"where to serve (default {DEFAULT_ADDRESS}: all addresses of this machine)",
    )
    command.add_argument("--log.level", dest="level", choices=logs.LEVELS, default="info", help="default: info")
    command.add_argument("--log.format", dest="style", choices=logs.FORMATS, default="logfmt", help="default: logfmt")


def _add_simulate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    simulate = _command(commands, "simulate", "a meter without hardware, at the speed of its line")
    kinds = simulate.add_subparsers(dest="kind", metavar="PROTOCOL", required=True)
    tic = _command(kinds, "tic", "a Linky: its mode, contract and wiring, with a household behind it")
    tic.add_argument("--mode", choices=("historic", "standard"), default="historic", help="default: historic")
    tic.add_argument("--contract", choices=("base", "hc", "ejp", "tempo"), default="hc", help="default: hc")
    tic.add_argument("--phases", type=int, choices=(1, 3), default=1, help="default: 1")
    tic.add_argument("--producer", action="store_true", help="with a roof of 3 kW, and registers of what it injects")
    tic.add_argument("--subscribed", type=int, default=0, metavar="VA", help="default: 6000, three-phase 18000")
    tic.add_argument("--overload", metavar="PERIOD/LENGTH", help="draw too much for the last LENGTH s of every PERIOD s")
    tic.add_argument("--seed", type=int, default=1, help="another number, another household (default 1)")
    place = tic.add_mutually_exclusive_group()
    place.add_argument("--pty", metavar="PATH", help="make PATH a link to a new pseudo-terminal")
    place.add_argument("--tcp", metavar="HOST:PORT", help="serve on a TCP port instead")
    tic.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="bit-errors=RATE, lost-bytes=RATE, silence=PERIOD/LENGTH, eot=FRAMES, mode=SECONDS (between changes), seed=NUMBER",
    )


def main(words: Sequence[str] | None = None) -> None:
    """The program. Status 0: done; 1: a link or file cannot be used; 2: the command or its configuration is wrong."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end as at Ctrl-C: tidy up
    sys.exit(_main(parser().parse_args(words)))


def _main(args: argparse.Namespace) -> int:
    logs.set_up(getattr(args, "level", "info"), getattr(args, "style", "logfmt"))
    try:
        _COMMANDS[args.command](args)
    except UserError as error:
        for line in str(error).splitlines():
            print(f"meterline: {line}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Whoever read our output has enough of it; nothing may be written there at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"meterline: {where}{error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _run(args: argparse.Namespace) -> None:
    from meterline import config
    from meterline.commands.run import run

    if bool(args.link) == bool(args.config):
        raise UserError("run: give either a LINK or --config.file FILE; meterline run --help shows both")
    run(config.single(args.link) if args.link else config.load(args.config), args.address)


def _demo(args: argparse.Namespace) -> None:
    from meterline.commands.demo import demo

    demo(args.address)


def _check(args: argparse.Namespace) -> None:
    from meterline.commands.check import check

    check(args.file)


def _detect(args: argparse.Namespace) -> None:
    from meterline.commands.detect import detect
    from meterline.config import single

    detect(single(args.link).meters[0].link)


def _capture(args: argparse.Namespace) -> None:
    from meterline.commands.capture import capture
    from meterline.config import single

    capture(single(args.link).meters[0].link, args.file, args.redact, args.seconds, args.baud)


def _decode(args: argparse.Namespace) -> None:
    from meterline.commands.decode import decode

    decode(args.file, args.protocol)


def _simulate(args: argparse.Namespace) -> None:
    from meterline.commands.simulate import parse_faults, parse_period, simulate
    from meterline.house import House
    from meterline.protocols.tic.fake import MODES, FakeMeter
    from meterline.protocols.tic.fake_state import PARIS

    house = House(
        PARIS,
        args.subscribed or 6000 * args.phases,
        3000 if args.producer else 0,
        parse_period("--overload", args.overload) if args.overload else None,
        args.seed,
    )
    meter = FakeMeter(house, args.mode, args.contract.upper(), args.phases, args.producer, args.seed)
    simulate(meter, MODES, parse_faults(args.fault), args.pty, args.tcp)


_COMMANDS = {
    "run": _run,
    "demo": _demo,
    "check": _check,
    "detect": _detect,
    "capture": _capture,
    "decode": _decode,
    "simulate": _simulate,
}
