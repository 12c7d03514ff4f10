"""`qserver serve`: runs the server until SIGTERM or Ctrl-C, and says where it is."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from qserver import config, logs
from qserver.domain.errors import QserverError

from .client import CommandError

if TYPE_CHECKING:  # the other commands need not wait for all that a server is made of
    from qserver.server import Server, Started

log = logging.getLogger(__name__)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its options; what is not given comes from the environment and the settings file."""
    found = commands.add_parser("serve", help="运行服务器 run the server")
    found.add_argument(
        "--config", type=Path, metavar="FILE", help="配置文件 settings file (default ./qserver.toml if present)"
    )
    found.add_argument("--host", metavar="H", help="监听地址 address to listen on (default 127.0.0.1)")
    found.add_argument("--port", type=int, metavar="PORT", help="端口 (default 8080; 0 = any free one)")
    found.add_argument("--workers", type=int, metavar="N", help="进程数 processes sharing the port (default 1)")
    found.add_argument("--tls-cert", metavar="F", help="证书 certificate chain, PEM")
    found.add_argument("--tls-key", metavar="F", help="私钥 private key, PEM")
    found.add_argument(
        "--redis-url", metavar="URL", help="外部数据服务器 a data server of your own; 缺省内嵌 otherwise embedded"
    )
    found.add_argument("--data-dir", metavar="DIR", help="数据目录 the embedded data server's directory")
    found.add_argument(
        "--hall", action="append", dest="halls", metavar="FILE.toml", help="启动时应用的大厅定义 halls to apply"
    )
    found.add_argument(
        "--demo", action="store_true", default=None, help="加载示范大厅并打印各屏链接 demo hall and its links"
    )
    found.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve. Raises CommandError when it cannot begin."""
    given = {name: value for name, value in vars(options).items() if name in config.names()}
    try:
        settings = config.load(options.config, options=given)
    except config.ConfigError as error:
        raise CommandError("\n".join(["the settings have mistakes:", *error.mistakes]), 2) from None
    for name in config.SECRETS:  # what we start need not inherit them
        os.environ.pop(config.PREFIX + name.upper(), None)
    import uvloop

    from qserver.server import Server

    writer = logs.set_up(settings.log_format, settings.log_level)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(Server(settings, writer)))
    except (QserverError, ValueError) as error:
        raise CommandError(str(error)) from None
    finally:
        writer.close()
    return 0


async def _serve(server: Server) -> None:
    loop = asyncio.get_running_loop()
    asked = 0

    def end() -> None:
        nonlocal asked
        asked += 1
        if asked > 2:  # whoever asks again and again means at once
            os._exit(1)
        server.ask_to_stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    loop.add_signal_handler(signal.SIGHUP, server.renew_certificate)
    starting = asyncio.create_task(server.start())
    ending = asyncio.create_task(server.wait())
    await asyncio.wait((starting, ending), return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        started = await starting
        _tell(server, started)
        await ending
    else:
        starting.cancel()
        await asyncio.wait([starting])
    log.info("stopping")
    await server.stop()
    log.info("stopped")


def _tell(server: Server, started: Started) -> None:
    """Say at the console what a person needs now; everything else goes to the log."""
    lines = [f"qserver 已就绪 listening on {started.url}"]
    if started.admin_token:
        lines += [
            f"管理员令牌，只显示这一次 admin token, shown only now: {started.admin_token}",
            f"  本机命令从此处读取 commands on this machine find it in {server.settings.directory / config.TOKEN_FILE}",
        ]
    if started.links:
        lines.append(
            "各屏链接，用一次即失效，重启后换新 a link per screen; each works once, a restart prints new ones:"
        )
        lines += [f"  {screen.name} {screen.name_en}\n    {link}" for screen, link in started.links]
    try:
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
    except OSError:
        log.warning("nobody reads what is printed")
