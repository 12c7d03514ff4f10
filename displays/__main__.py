"""A hall board in a terminal, for small boxes and for looking: `python -m displays --url URL --hall HALL`.

The token comes from a file or from QSERVER_TOKEN, never from an argument, where everybody on the machine could read it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import sys
from pathlib import Path

from .announce import ESPEAK, Announcement, Announcer
from .board import Screen
from .chain import Outcome
from .client import Display, Stopped, socket_url


class Terminal:
    """Writes what changes, and says the calls."""

    def __init__(self, *, quiet: bool, voice: bool) -> None:
        self._screen = Screen()
        self._announcer = Announcer()
        self._quiet = quiet
        self._voice = voice and shutil.which(ESPEAK[0]) is not None
        self._speaking: asyncio.Task[None] | None = None

    def changed(self, display: Display, outcome: Outcome) -> None:
        """The display knows something new."""
        self._screen.board = display.board
        if display.live:
            self._screen.found()
        else:
            self._screen.lost(display.lost_since_ms or display.now_ms())
        if display.state is not None:
            print(display.state, flush=True)
        elif not self._quiet:
            print("\n".join(self._screen.lines()), flush=True)
        if display.board is None:
            return
        if outcome.replaced:
            self._announcer.snapshot(display.board)
        elif outcome.applied is not None:
            self._announcer.event(outcome.applied, display.board)
        if self._speaking is None:
            self._speaking = asyncio.get_running_loop().create_task(self._speak(display))

    async def _speak(self, display: Display) -> None:
        while (found := self._announcer.next(display.now_ms())) is not None:
            await self._say(found)
            self._announcer.spoken()
        self._speaking = None

    async def _say(self, found: Announcement) -> None:
        print(f"🔊 {found.chinese}  {found.english}", flush=True)
        if self._voice:
            process = await asyncio.create_subprocess_exec(*ESPEAK, found.pinyin, stderr=asyncio.subprocess.DEVNULL)
            await process.wait()


def _token(path: str) -> str:
    text = Path(path).read_text().strip() if path else os.environ.get("QSERVER_TOKEN", "").strip()
    if not text:
        raise SystemExit("no token: give --token-file or set QSERVER_TOKEN  请提供令牌")
    return text


def main() -> int:
    """Runs until interrupted; 1 when the server refuses the display, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m displays", description="综合屏 hall board in a terminal")
    parser.add_argument("--url", required=True, help="the server, http://host:port")
    parser.add_argument("--hall", required=True)
    parser.add_argument("--topic", default="board", help="board (default), window:ID or stats")
    parser.add_argument("--token-file", default="", help="file with the device token; else QSERVER_TOKEN")
    parser.add_argument("--protocol", choices=("msgpack", "json"), default="msgpack")
    parser.add_argument("--device", default="", help="the device's own name")
    parser.add_argument("--voice", action="store_true", help="speak with espeak-ng, if it is installed")
    parser.add_argument("--quiet", action="store_true", help="announcements only")
    args = parser.parse_args()
    try:
        socket_url(args.url)
    except ValueError as error:
        parser.error(str(error))
    terminal = Terminal(quiet=args.quiet, voice=args.voice)
    try:
        asyncio.run(_run(args, terminal))
    except Stopped as stopped:
        print(f"服务器拒绝了此屏幕 the server refused this display: {stopped.code}", file=sys.stderr)
        return 1
    return 0


async def _run(args: argparse.Namespace, terminal: Terminal) -> None:
    display = Display(
        args.url, _token(args.token_file), args.hall, args.topic, args.protocol, args.device, terminal.changed
    )
    with contextlib.suppress(asyncio.CancelledError):
        await display.run()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
