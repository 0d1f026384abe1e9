"""Write docs/metrics.md, docs/meters.md and packaging/man/meterline.1 from the code: `make docs`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from meterline import __version__
from meterline.cli.arguments import EXAMPLES, parser
from meterline.meter.families import CATALOGUE, Family
from meterline.meter.readings import DOUBTS, REASONS
from meterline.protocols import PROTOCOLS
from meterline.protocols.broute.properties import MAKERS
from meterline.protocols.tic.fields import DEVICE_TYPES, MANUFACTURERS

FOLDER = Path(__file__).parent
MANUAL = FOLDER.parent / "packaging" / "man" / "meterline.1"
GENERATED = "<!-- Written by `make docs`; change the code instead. -->\n"

TITLES = {"tic": "TIC", "broute": "B-route"}
"""Protocol → name for people."""
MODULES = (
    ("ROHM BP35A1, JORJIN WSR35A1-00", "single"),
    ("Tessera RL7023 Stick-D/IPS", "single"),
    ("Tessera RL7023 Stick-D/DSS", "dual"),
    ("ROHM BP35C0, BP35C2", "dual"),
    ("RATOC RS-WSUHA-P", "dual"),
)


def sources() -> dict[str, dict[str, str]]:
    """Protocol → family → the labels or properties that it comes from."""
    return {name: import_module(f"meterline.protocols.{name}.sources").sources() for name in PROTOCOLS}


def origin(family: Family, by_protocol: dict[str, dict[str, str]]) -> str:
    """The column *from* of a family."""
    if family.origin != "meter":
        return family.origin
    found = {TITLES.get(name, name): texts[family.name] for name, texts in by_protocol.items() if family.name in texts}
    return "; ".join(f"{title}: {text}" for title, text in found.items()) or "–"


def metrics() -> str:
    """The catalogue as a table."""
    by_protocol = sources()
    rows = [
        f"| `{family.name}` | {family.type} | {', '.join(f'`{label}`' for label in family.labels) or '–'} "
        f"| {family.help} | {origin(family, by_protocol)} |"
        for family in CATALOGUE
    ]
    return "\n".join(
        [
            "# Metrics",
            "",
            GENERATED,
            "Every series also has the label `meter`, the name from the configuration, and the",
            "[labels](configure.md#labels-of-a-meter) of the meter in the configuration. An info family is one series with the",
            "value 1; its labels are the texts that are known at present.",
            "",
            "*From* is the source of the values:",
            "",
            "- Labels of the TIC, or codes of properties of the B-route (hexadecimal), with the label or label value of the",
            "  series in brackets. These series disappear when the meter has not confirmed them for `stale_after` seconds.",
            "- *driver*: meterline counts or measures the line itself. These series stay while the meter is silent. A gauge",
            "  about an open link (speed, signal, start of the session) disappears with the link, and",
            "  `smartmeter_session_up` is 0 without a link.",
            "- *billing*: meterline books the value from the registers ([costs](costs.md)). Counters and prices stay while the",
            "  meter is silent. The sums of a day and of a billing period disappear with the meter, and come back with",
            "  its next reading.",
            "",
            "| family | type | labels | meaning | from |",
            "|---|---|---|---|---|",
            *rows,
            "",
            f"`reason` of `smartmeter_rejected_total` is one of {', '.join(f'`{reason}`' for reason in REASONS)}.",
            "",
            f"`reason` of `smartmeter_history_refused_total` is one of {', '.join(f'`{reason}`' for reason in DOUBTS)}.",
            "[History](history.md) explains each.",
            "",
            "`tariff` is the name of the register: `BASE`, `HCHC`, `HCHP`, `EJPHN`, `EJPHPM`, `BBRHCJB` … `BBRHPJR` in",
            "historic mode, `EASF01` … `EASF10` and `EASD01` … `EASD04` in standard mode. Join energy, price and active tariff",
            "by this label. In the families of billing, `tariff` is the register, the name of a rate, `tier1` … or `TOTAL`,",
            "depending on the form of the prices in the configuration.",
            "",
            "`rung` is one of `request`, `join`, `scan`, `reset`, `reopen`: the steps of recovery of a lost B-route meter.",
            "`every` is `30m` or `1m`. `property` is the code of a property, such as `E8`.",
            "",
            "`/metrics` also has metrics of the program itself: `process_*`, `meterline_build_info`,",
            "`meterline_config_last_reload_successful`, `meterline_config_last_reload_success_timestamp_seconds`, and",
            "`meterline_state_writable`, which is 0 while the state cannot be written. With a broker in the configuration,",
            "`/metrics` has `meterline_mqtt_connected`, `meterline_mqtt_messages_total` and `meterline_mqtt_reconnects_total`",
            "([MQTT](mqtt.md#is-it-connected)). Where the state is stored, it has `meterline_ledger_aside_total`,",
            "`meterline_ledger_bytes`, `meterline_ledger_last_commit_timestamp_seconds` and `meterline_ledger_writable`",
            "([history](history.md#damage)).",
            "",
        ]
    )


def meters() -> str:
    """The list of meters."""
    types = [f"| {digits} | {name} |" for digits, name in DEVICE_TYPES.items()]
    makers = ", ".join(f"{digits} {name}" for digits, name in MANUFACTURERS.items())
    return "\n".join(
        [
            "# Meters",
            "",
            GENERATED,
            "## TIC: French meters, historic and standard mode",
            "",
            "Every Linky, and the electronic residential meters before it (historic mode only): single-phase and three-phase,",
            "consumer and producer, contracts Base, HC/HP, EJP and Tempo; any other contract in standard mode. Digits 5 and",
            "6 of the meter's number (ADCO, ADSC) are the type:",
            "",
            "| type | meter |",
            "|---|---|",
            *types,
            "",
            f"Digits 1 and 2 are the maker: {makers}. Meters with other numbers work too, without type and maker.",
            "",
            "Not supported: meters of companies (CJE, ICE, PME-PMI, SAPHIR). The log says so if such a meter is found.",
            "",
            "## B-route: Japanese low-voltage smart meters",
            "",
            "Every meter of class 0288 that a Wi-SUN module can join, of any generation: meterline reads the properties in the",
            f"property map of the meter. Makers shown by name: {', '.join(sorted(set(MAKERS.values())))}; others by code.",
            "",
            "| module | edition |",
            "|---|---|",
            *[f"| {module} | {edition} |" for module, edition in MODULES],
            "",
            "Edition and form of the data are detected, so other modules with SKSTACK commands work too. Not supported: J11",
            "firmware (BP35C0-J11, RS-WSUHA-J11), the B-route over Ethernet, Wi-Fi or power line, high voltage (class 028A).",
            "",
        ]
    )


def manual() -> str:
    """The manual page, in the language of man(7)."""
    top = parser()
    lines = [
        '.\\" Written by `make docs`; change the code instead.',
        f'.TH METERLINE 1 "" "meterline {__version__}" "User Commands"',
        *(".SH NAME", "meterline \\- read smart meters and serve them to Prometheus"),
        *(".SH SYNOPSIS", ".B meterline", ".I COMMAND", "\\&..."),
        *(".SH DESCRIPTION", _roff(top.description or "")),
        ".SH COMMANDS",
    ]
    lines += [line for command in top.commands.values() for line in _section(command)]
    lines += [
        ".SH EXIT STATUS",
        *(".TP", "0", "Done."),
        *(".TP", "1", "A link or file cannot be used, or the meter sends nothing valid; doctor found a fault; a bill differs."),
        *(".TP", "2", "The command or its configuration is wrong."),
        ".SH ENVIRONMENT",
        *(".TP", r"\fBBROUTE_ID\fR, \fBBROUTE_PASSWORD\fR", "ID and password of a B\\-route meter, for scan and read."),
        *(
            ".TP",
            r"\fBSTATE_DIRECTORY\fR, \fBXDG_STATE_HOME\fR",
            "Folder of the state without \\-\\-state.dir: the first one; or meterline in the second one.",
        ),
        *(".TP", r"\fBLC_ALL\fR, \fBLC_MESSAGES\fR, \fBLANG\fR", "The language of read, in this order."),
        *(".SH EXAMPLES", ".nf", *(_roff(line.strip()) for line in EXAMPLES.splitlines()[1:]), ".fi"),
    ]
    return "\n".join(lines) + "\n"


def _section(command: argparse.ArgumentParser) -> Iterator[str]:
    """A command and all that it takes; then its kinds."""
    yield f".SS {_roff(command.prog)}"
    yield _roff(command.description or "")
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            for kind in action.choices.values():
                yield from _section(kind)
        elif not isinstance(action, argparse._HelpAction):
            value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
            value = f"\\fI{_roff(str(value))}\\fR" if action.nargs != 0 else ""
            flags = ", ".join(f"\\fB{_roff(flag)}\\fR" for flag in action.option_strings)
            yield from (".TP", " ".join(filter(None, (flags, value))), _roff(action.help or ""))


def _roff(text: str) -> str:
    """A text as roff wants it: a hyphen stays one, and no line is taken for a request."""
    escaped = text.replace("\\", "\\\\").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{escaped}" if escaped.startswith(".") else escaped


def main() -> None:
    """Write all of them."""
    (FOLDER / "metrics.md").write_text(metrics(), encoding="utf-8")
    (FOLDER / "meters.md").write_text(meters(), encoding="utf-8")
    MANUAL.write_text(manual(), encoding="utf-8")


if __name__ == "__main__":
    main()
