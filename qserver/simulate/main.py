"""`qserver simulate`: options, reading of files, a server of its own when none is named, exit codes.

0 every promise held · 1 a promise broke or the day could not be played · 2 wrong options or files · 130 interrupted,
143 ended by SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.resources
import math
import os
import signal
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import uvloop

from qserver.commands.client import CommandError, find_token
from qserver.domain import hall as definitions
from qserver.domain.errors import QserverError
from qserver.domain.hall import Hall

from . import day as days
from . import live, play, trace
from .own import OwnServer
from .trace import Day

SPEED = 60.0
DISPLAYS = 4


def parser() -> argparse.ArgumentParser:
    """The options, with their meaning in Chinese and English."""
    found = argparse.ArgumentParser(
        prog="qserver simulate",
        description="用真实客户端通过公开接口演一天，检验各项承诺 plays a day through the public interfaces with real "
        "clients and checks every promise; exit 1 if one broke",
    )
    found.add_argument(
        "--url",
        help="已运行的服务器 a running server, its admin token in QSERVER_ADMIN_TOKEN; 缺省自启 otherwise its own",
    )
    found.add_argument(
        "--trace",
        type=Path,
        metavar="FILE.csv",
        help="实录的一天 a recorded day, STEM.windows.csv beside it; 缺省随机生成 otherwise generated",
    )
    found.add_argument(
        "--hall",
        type=Path,
        metavar="FILE.toml",
        help="大厅定义 the day's halls; 缺省 otherwise STEM.toml beside the trace, or the demo hall",
    )
    found.add_argument(
        "--speed",
        type=_positive,
        default=SPEED,
        metavar="X",
        help=f"快多少倍，时限同比缩短 how much faster; limits shrink with it (default {SPEED:g})",
    )
    found.add_argument(
        "--displays",
        type=_count,
        default=DISPLAYS,
        metavar="N",
        help=f"综合屏数，每厅至少一块 boards, at least one per hall (default {DISPLAYS})",
    )
    found.add_argument(
        "--seed",
        type=int,
        default=1,
        metavar="N",
        help="随机种子，同种子同一天 the same seed gives the same day (default 1)",
    )
    return found


def _positive(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise ValueError
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError
    return value


def the_day(options: argparse.Namespace) -> Day:
    """The day to play. Raises trace.TraceError, HallError, TOMLDecodeError, OSError."""
    hall: Path | None = options.hall
    if hall is None and options.trace is not None:
        hall = options.trace.with_suffix(".toml")
    halls = definitions.load(hall) if hall is not None else demo()
    if options.trace is not None:
        return trace.read(options.trace, halls)
    return days.generated(halls, options.seed)


def demo() -> list[Hall]:
    """The demo hall that `serve --demo` shows."""
    text = importlib.resources.files("qserver").joinpath("demo.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    return [definitions.parse(one) for one in data.get("halls", [data])]


def main(argv: Sequence[str]) -> int:
    """Runs the command and answers its exit code; the summary goes to standard output."""
    options = parser().parse_args(argv)
    try:
        options.token = (os.environ.get("QSERVER_ADMIN_TOKEN") or find_token(None)) if options.url else ""
        day = the_day(options)
    except (CommandError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            played = runner.run(_play(day, options))
    except QserverError as error:
        print(f"无法演完 the day could not be played: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except asyncio.CancelledError:
        return 143
    print(played.summary)
    return 0 if played.held else 1


async def _play(day: Day, options: argparse.Namespace) -> play.Played:
    task = asyncio.current_task()
    assert task is not None
    # A server of our own must not outlive us, and a borrowed hall gets its definition back.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    wishes = {"speed": options.speed, "displays": options.displays, "seed": options.seed, "out": live.output()}
    if options.url:
        return await play.play(day, options.url, options.token, **wishes)
    async with OwnServer() as server:
        played = await play.play(day, server.url, server.token, passing=True, **wishes)
        if played.record.unfinished:
            print(server.log_tail(), file=sys.stderr)
        return played
