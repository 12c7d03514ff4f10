"""`qserver`: the commands, each in a module of its own. Only what is common to them lives here: dispatch, exit codes.

Codes: 0 it was done · 1 it could not be done, or something is not well · 2 wrong options, settings or files ·
130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from . import __version__
from .commands import check, doctor, events, hall, report, serve, staff, token, webhook
from .commands.client import CommandError

_COMMANDS = (serve, hall, token, staff, events, webhook, report, doctor, check)


def parser() -> argparse.ArgumentParser:
    """All commands and their options, in Chinese and English."""
    found = argparse.ArgumentParser(
        prog="qserver",
        description="政务服务大厅排队叫号与即时评价 queue management and instant evaluation for service halls",
    )
    found.add_argument("--version", action="version", version=f"qserver {__version__}")
    commands = found.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in _COMMANDS:
        module.add(commands)
    # Has a parser of its own; it stands here for the list of commands only.
    commands.add_parser("simulate", add_help=False, help="用真实客户端演一天 play a day with real clients")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and answer its exit code."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    if arguments[:1] == ["simulate"]:
        from .simulate.main import main as simulate  # it brings all the devices along

        return simulate(arguments[1:])
    options = parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        return code
    except CommandError as error:
        print(f"qserver {options.command}: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has had enough; the interpreter must not try to flush the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
