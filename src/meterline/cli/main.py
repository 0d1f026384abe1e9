"""The command line: runs one command, and prints each error of the user in one line, without a traceback."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from meterline import logs
from meterline.cli.arguments import parser
from meterline.errors import UserError

SHOW_SIMULATORS = {"simulate", "help", "completion"}
"""Commands that need the flags of all simulated meters."""


def main(words: Sequence[str] | None = None) -> None:
    """Run a command, and end the program.

    Args:
        words: The arguments; None: those of the process.

    The exit status is 0 for success, 1 if a link or file is not usable or doctor found a fault, 2 if the command or its
    configuration is not valid, and 130 after Ctrl-C or SIGTERM.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # End as at Ctrl-C, with all clean-up.
    given = sys.argv[1:] if words is None else list(words)
    simulators = not SHOW_SIMULATORS.isdisjoint(given)
    sys.exit(_main(parser(simulators).parse_args(given, argparse.Namespace(apart="--" in given))))


def _main(args: argparse.Namespace) -> int:
    logs.set_up(getattr(args, "level", "info"), getattr(args, "style", "logfmt"))
    try:
        return _COMMANDS[args.command](args) or 0
    except UserError as error:
        error.say("meterline")
        return error.status
    except BrokenPipeError:
        # The reader of standard output has closed it. Python must not write to it at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"meterline: {where}{error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _run(args: argparse.Namespace) -> None:
    from meterline.cli.run import Web, run
    from meterline.config import schema as config
    from meterline.store import default_folder
    from meterline.web.http.server import parse_network

    if args.config:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # Until the program can reload its configuration.
    allowed = tuple(map(parse_network, args.allowed))
    if args.like:
        from meterline.cli.replacements import adapter, start

        if (args.link and not args.apart) or (args.config and args.like != "linky-json"):
            raise UserError(
                "run: --like takes the other exporter's settings (after --), neither a LINK nor a meterline configuration"
            )
        words = [*(["--config", args.config] if args.config else []), *filter(None, [args.link]), *args.words]
        start(adapter(args.like)(words, os.environ), args.state, args.web, allowed)
        return
    if bool(args.link) == bool(args.config) or args.words:
        raise UserError("run: give either a LINK or --config.file FILE; meterline run --help shows both")
    folder, web = args.state or default_folder(), Web(args.address, args.web, args.page == "on", allowed=allowed)
    if args.link:
        run(config.single(args.link), web, folder)
        return

    def read() -> config.Config:
        found = config.load(args.config)
        logs.set_level(found.log_level or args.level)
        return config.shard(found, args.shard) if args.shard else found

    run(read(), web, folder, read)


def _read(args: argparse.Namespace) -> None:
    from meterline.cli.read import read

    read(args)


def _migrate(args: argparse.Namespace) -> None:
    from meterline.cli.replacements import adapter

    dropin = adapter(args.like)(args.words, os.environ)
    for line in dropin.advice:
        print(f"# {' '.join(line.split())}")
    print(dropin.native, end="")


def _demo(args: argparse.Namespace) -> None:
    from meterline.cli.demo import demo

    demo(args.address)


def _check(args: argparse.Namespace) -> None:
    from meterline.cli.check import check

    check(args.file)


def _detect(args: argparse.Namespace) -> None:
    from meterline.cli.detect import detect
    from meterline.config.schema import single

    detect(single(args.link).meters[0].link)


def _doctor(args: argparse.Namespace) -> int:
    from meterline.cli.doctor import doctor

    return doctor(args)


def _scan(args: argparse.Namespace) -> None:
    from meterline.cli.scan import scan
    from meterline.config.schema import single

    scan(single(args.link).meters[0].link, args.id_file)


def _capture(args: argparse.Namespace) -> None:
    from meterline.cli.capture import capture
    from meterline.config.schema import Config, load, single
    from meterline.link.url import shown

    config = load(args.config) if args.config else single(args.link)
    if not any(meter.link == args.link for meter in config.meters):
        raise UserError(f"{args.config}: no meter has the link {shown(args.link)}")
    if args.protocol:
        config = Config(tuple(replace(meter, protocol=args.protocol) for meter in config.meters))
    capture(config, args.link, args.file, args.redact, args.seconds, args.baud, args.force)


def _decode(args: argparse.Namespace) -> None:
    from meterline.cli.decode import decode

    decode(args.file, args.protocol)


def _cost(args: argparse.Namespace) -> int:
    from meterline.cli.cost import check, cost

    if args.check:
        return 0 if check(args.state, args.meter, args.check, args.since, args.until) else 1
    cost(args.state, args.meter, args.by, args.since, args.until, args.as_json)
    return 0


def _export(args: argparse.Namespace) -> None:
    from meterline.cli.export import export

    export(args.state, args.meter, args.since, args.until, args.by, args.form)


def _backup(args: argparse.Namespace) -> None:
    from meterline.cli.export import backup

    backup(args.state, args.file)


def _restore(args: argparse.Namespace) -> None:
    from meterline.cli.export import restore

    restore(args.state, args.file)


def _hash_password(_: argparse.Namespace) -> None:
    from meterline.cli.hash_password import hash_password

    hash_password()


def _simulate(args: argparse.Namespace) -> None:
    from meterline.cli.simulate import simulate

    simulate(args)


def _completion(args: argparse.Namespace) -> None:
    from meterline.cli.completion import completion

    completion(parser(), args.shell)


def _help(args: argparse.Namespace) -> None:
    parser().command(args.words).print_help()


_COMMANDS: dict[str, Callable[[argparse.Namespace], int | None]] = {
    "run": _run,
    "read": _read,
    "migrate": _migrate,
    "demo": _demo,
    "check": _check,
    "detect": _detect,
    "doctor": _doctor,
    "scan": _scan,
    "capture": _capture,
    "decode": _decode,
    "cost": _cost,
    "export": _export,
    "backup": _backup,
    "restore": _restore,
    "hash-password": _hash_password,
    "simulate": _simulate,
    "completion": _completion,
    "help": _help,
}
