"""`qserver doctor`: prints what was looked at; 1 when something must be mended."""

from __future__ import annotations

import argparse
import asyncio
import logging
from pathlib import Path

from qserver import config

from .client import CommandError

MARKS = {"ok": "正常 ok  ", "warn": "注意 warn", "bad": "故障 bad "}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its options: those of `serve` that say where things are."""
    found = commands.add_parser("doctor", help="体检：数据服务器、持久化、时钟、磁盘、时区 check what must be well")
    found.add_argument("--config", type=Path, metavar="FILE", help="配置文件 settings file")
    found.add_argument("--redis-url", metavar="URL", help="外部数据服务器 data server")
    found.add_argument("--data-dir", metavar="DIR", help="数据目录 data directory")
    found.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Examine and print. Raises CommandError when the settings have mistakes."""
    try:
        given = {"redis_url": options.redis_url, "data_dir": options.data_dir}
        settings = config.load(options.config, options=given)
    except config.ConfigError as error:
        raise CommandError("\n".join(["the settings have mistakes:", *error.mistakes]), 2) from None
    logging.disable(logging.CRITICAL)  # what goes wrong is a finding, said once and with its remedy
    return asyncio.run(_examine(settings))


async def _examine(settings: config.Settings) -> int:
    from qserver import doctor  # the other commands need not wait for what it brings along

    bad = False
    async for finding in doctor.examine(settings):
        bad |= finding.level == "bad"
        print(f"{MARKS[finding.level]}  {finding.what}")
        if finding.mend:
            print(f"           -> {finding.mend}")
    return int(bad)
